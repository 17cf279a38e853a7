;; A criterion score of 655.36.
;; expect: invalid_output
;; in: score
(call $score_greeting (i32.const 2048)) (i32.store8 (i32.const 2056) (i32.const 1)) (i32.store (i32.const 2060) (i32.const 65536))
(i32.store (i32.const 1028) (i32.const 2048)) (i32.store (i32.const 1032) (i32.const 1))
;; in: module
(data (i32.const 4096) "greeting")
(func $score_greeting (param i32) (i32.store (local.get 0) (i32.const 4096)) (i32.store offset=4 (local.get 0) (i32.const 8)))
