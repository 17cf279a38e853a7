;; Behaves until version 3 of a scorecard, then scores above what there is.
;; expect: invalid_output
;; in: score
(call $cover (local.get 0))
(if (i32.eq (i32.load offset=88 (local.get 0)) (i32.const 3))
  (then (i32.store8 (i32.const 1036) (i32.const 1)) (i32.store (i32.const 1040) (i32.const 20000))))
