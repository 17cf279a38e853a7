;; A summary of 30,000 bytes.
;; expect: output_too_large
;; in: describe
(memory.fill (i32.const 16384) (i32.const 97) (i32.const 30000))
(i32.store (i32.const 528) (i32.const 16384)) (i32.store (i32.const 532) (i32.const 30000))
