;; Divides by zero.
;; expect: trap
;; in: score
(drop (i32.div_u (i32.const 1) (local.get $i)))
