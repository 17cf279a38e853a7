;; An insight that points at an utterance that is not there.
;; expect: invalid_output
;; in: score
(i32.store (i32.const 3072) (i32.const 99)) (i32.store (i32.const 2072) (i32.const 3072)) (i32.store (i32.const 2076) (i32.const 1))
(i32.store (i32.const 1044) (i32.const 2048)) (i32.store (i32.const 1048) (i32.const 1))
