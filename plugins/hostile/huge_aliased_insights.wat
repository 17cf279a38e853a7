;; 100,000 insights that all share one megabyte of text.
;; expect: output_too_large
;; in: score
(drop (memory.grow (i32.const 100)))
(memory.fill (i32.const 4194304) (i32.const 97) (i32.const 1000000))
(loop $next
  (local.set $at (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 32))))
  (i32.store offset=4 (local.get $at) (i32.const 4194304)) (i32.store offset=8 (local.get $at) (i32.const 1000000))
  (local.set $i (i32.add (local.get $i) (i32.const 1)))
  (br_if $next (i32.lt_u (local.get $i) (i32.const 100000))))
(i32.store (i32.const 1044) (i32.const 65536)) (i32.store (i32.const 1048) (i32.const 100000))
