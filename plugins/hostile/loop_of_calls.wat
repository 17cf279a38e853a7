;; Loops by calling itself at the end, without a loop instruction.
;; expect: fuel
;; in: score
(call $round (i32.const 1000000))
;; in: module
(func $round (param i32) (return_call $round (local.get 0)))
