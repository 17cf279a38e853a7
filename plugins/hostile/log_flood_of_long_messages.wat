;; Logs a megabyte at a time without end.
;; expect: log_flood deadline
;; in: score
(drop (memory.grow (i32.const 100)))
(loop $again (call $log (i32.const 1) (i32.const 65536) (i32.const 1000000)) (br $again))
