;; Has no name.
;; expect: invalid_output
;; in: describe
(i32.store (i32.const 516) (i32.const 0))
