;; Expects an answer of four thousand million tokens.
;; expect: invalid_output
;; frame: prompt-builder
;; in: build
(i32.store8 (i32.const 1044) (i32.const 1)) (i32.store (i32.const 1048) (i32.const -1))
