;; More than a million criterion scores.
;; expect: output_too_large
;; in: score
(drop (memory.grow (i32.const 800)))
(i32.store (i32.const 1028) (i32.const 65536)) (i32.store (i32.const 1032) (i32.const 1400000))
