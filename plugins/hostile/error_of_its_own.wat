;; Reports an error, in 30,000 bytes.
;; expect: guest_error
;; in: score
(memory.fill (i32.const 16384) (i32.const 97) (i32.const 30000))
(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 16384)) (i32.store (i32.const 1032) (i32.const 30000))
