;; A thousand insights without a word.
;; expect: output_too_large
;; in: score
(i32.store (i32.const 1044) (i32.const 16384)) (i32.store (i32.const 1048) (i32.const 1000))
