;; Asks nothing.
;; expect: invalid_output
;; frame: prompt-builder
;; in: build
(i32.store (i32.const 1040) (i32.const 0))
