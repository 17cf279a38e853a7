;; Logs without end.
;; expect: log_flood
;; in: score
(loop $again (call $log (i32.const 1) (i32.const 16) (i32.const 7)) (br $again))
