;; Logs without end before anything is called.
;; expect: log_flood
;; in: module
(func $begin (loop $again (call $log (i32.const 1) (i32.const 16) (i32.const 7)) (br $again))) (start $begin)
