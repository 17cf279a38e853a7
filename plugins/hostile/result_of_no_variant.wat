;; Neither a result nor an error.
;; expect: trap
;; in: score
(i32.store8 (i32.const 1024) (i32.const 7))
