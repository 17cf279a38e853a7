;; An error message that is not text.
;; expect: trap
;; in: score
(i32.store8 (i32.const 2048) (i32.const 0xff))
(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1))
