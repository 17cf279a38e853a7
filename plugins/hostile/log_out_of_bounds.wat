;; Logs what lies beyond its memory.
;; expect: trap
;; in: score
(call $log (i32.const 1) (i32.const 16) (i32.const 0x7fffffff))
