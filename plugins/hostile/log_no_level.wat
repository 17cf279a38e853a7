;; Logs at a level that does not exist.
;; expect: trap
;; in: score
(call $log (i32.const 99) (i32.const 16) (i32.const 7))
