;; Sets itself a limit of no bytes at all.
;; expect: manifest
;; in: describe
(i32.store (i32.const 548) (i32.const 2048)) (i32.store (i32.const 552) (i32.const 1))
(i32.store (i32.const 2048) (i32.const 2100)) (i32.store (i32.const 2052) (i32.const 18))
(i32.store (i32.const 2056) (i32.const 2118)) (i32.store (i32.const 2060) (i32.const 1))
;; in: module
(data (i32.const 2100) "limit.memory_bytes0")
