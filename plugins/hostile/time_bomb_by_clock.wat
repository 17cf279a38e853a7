;; Behaves until November 2026, then never comes back.
;; expect: fuel
;; in: score
(call $cover (local.get 0))
(if (i64.gt_s (i64.load offset=120 (local.get 0)) (i64.const 1790000000000)) (then (loop $again (br $again))))
