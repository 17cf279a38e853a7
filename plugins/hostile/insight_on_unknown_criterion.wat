;; An insight on a criterion that is not there.
;; expect: invalid_output
;; in: score
(i32.store8 (i32.const 2060) (i32.const 1)) (i32.store (i32.const 2064) (i32.const 16)) (i32.store (i32.const 2068) (i32.const 7))
(i32.store (i32.const 1044) (i32.const 2048)) (i32.store (i32.const 1048) (i32.const 1))
