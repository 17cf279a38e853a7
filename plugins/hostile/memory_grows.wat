;; Takes all the memory there is, and writes to it.
;; expect: memory
;; in: score
(loop $again
  (local.set $at (memory.grow (i32.const 256)))
  (memory.fill (i32.mul (local.get $at) (i32.const 65536)) (i32.const 1) (i32.const 16777216))
  (br $again))
