;; Behaves until a call carries exactly one pair of metadata, then takes all memory there is.
;; expect: memory
;; in: score
(call $cover (local.get 0))
(if (i32.eq (i32.load offset=132 (local.get 0)) (i32.const 1))
  (then (loop $again (local.set $at (memory.grow (i32.const 256))) (br $again))))
