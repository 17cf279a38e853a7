;; Names a field that no plugin may read.
;; expect: manifest
;; in: describe
(i32.store (i32.const 548) (i32.const 2048)) (i32.store (i32.const 552) (i32.const 1))
(i32.store (i32.const 2048) (i32.const 2100)) (i32.store (i32.const 2052) (i32.const 5))
(i32.store (i32.const 2056) (i32.const 2105)) (i32.store (i32.const 2060) (i32.const 27))
;; in: module
(data (i32.const 2100) "readsmetrics utterances.raw_text")
