;; An overall score of -1, read without its sign.
;; expect: invalid_output
;; in: score
(i32.store8 (i32.const 1036) (i32.const 1)) (i32.store (i32.const 1040) (i32.const -1))
