;; A prompt of 40 MB.
;; expect: output_too_large
;; frame: prompt-builder
;; in: build
(drop (memory.grow (i32.const 800))) (memory.fill (i32.const 65536) (i32.const 97) (i32.const 40000000))
(i32.store (i32.const 1036) (i32.const 65536)) (i32.store (i32.const 1040) (i32.const 40000000))
