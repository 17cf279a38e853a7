;; Scores one criterion twice.
;; expect: invalid_output
;; in: score
(call $score_greeting (i32.const 2048)) (call $score_greeting (i32.const 2080))
(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 2))
;; in: module
(data (i32.const 4096) "greeting")
(func $score_greeting (param i32) (i32.store (local.get 0) (i32.const 4096)) (i32.store offset=4 (local.get 0) (i32.const 8)))
