;; Logs 40 MB at once.
;; expect: output_too_large
;; in: score
(drop (memory.grow (i32.const 800))) (call $log (i32.const 1) (i32.const 65536) (i32.const 40000000))
