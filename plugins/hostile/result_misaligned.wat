;; A list that does not begin where it must.
;; expect: trap
;; in: score
(i32.store (i32.const 1028) (i32.const 2049)) (i32.store (i32.const 1032) (i32.const 1))
