;; A settings schema that is not JSON.
;; expect: invalid_output
;; in: describe
(i32.store8 (i32.const 536) (i32.const 1)) (i32.store (i32.const 540) (i32.const 16)) (i32.store (i32.const 544) (i32.const 7))
