;; Behaves until there are four answers to a transcript of five utterances by a call without an end, then floods the log.
;; expect: log_flood
;; in: score
(call $cover (local.get 0))
(if (i32.and (i32.eq (i32.load offset=104 (local.get 0)) (i32.const 4))
      (i32.and (i32.eq (i32.load offset=68 (local.get 0)) (i32.const 5)) (i32.eqz (i32.load8_u offset=48 (local.get 0)))))
  (then (loop $again (call $log (i32.const 1) (i32.const 16) (i32.const 7)) (br $again))))
