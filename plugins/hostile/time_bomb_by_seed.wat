;; Behaves until the seed is 7: passes every golden call, then traps.
;; expect: trap
;; in: score
(call $cover (local.get 0))
(if (i64.eq (i64.load offset=112 (local.get 0)) (i64.const 7)) (then (unreachable)))
