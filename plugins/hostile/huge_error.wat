;; An error message of 40 MB.
;; expect: output_too_large
;; in: score
(drop (memory.grow (i32.const 800))) (memory.fill (i32.const 65536) (i32.const 97) (i32.const 40000000))
(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 65536)) (i32.store (i32.const 1032) (i32.const 40000000))
