;; An insight of 30,000 bytes.
;; expect: output_too_large
;; in: score
(memory.fill (i32.const 16384) (i32.const 97) (i32.const 30000))
(i32.store (i32.const 2052) (i32.const 16384)) (i32.store (i32.const 2056) (i32.const 30000))
(i32.store (i32.const 1044) (i32.const 2048)) (i32.store (i32.const 1048) (i32.const 1))
