;; A thousand empty pairs of metadata.
;; expect: output_too_large
;; in: score
(i32.store (i32.const 1052) (i32.const 16384)) (i32.store (i32.const 1056) (i32.const 1000))
