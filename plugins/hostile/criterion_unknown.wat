;; Scores a criterion that nobody asked for.
;; expect: invalid_output
;; in: score
(i32.store (i32.const 2048) (i32.const 16)) (i32.store (i32.const 2052) (i32.const 7))
(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1))
