;; Calls what is not there.
;; expect: trap
;; in: score
(call_indirect $table (i32.const 0))
;; in: module
(table $table 1 funcref)
