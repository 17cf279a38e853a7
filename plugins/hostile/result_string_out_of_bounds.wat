;; An error message that lies beyond its memory.
;; expect: trap
;; in: score
(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 0x7fffffff))
