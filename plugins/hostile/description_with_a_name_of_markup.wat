;; A name that is markup.
;; expect: invalid_output
;; in: describe
(i32.store (i32.const 512) (i32.const 4096))
;; in: module
(data (i32.const 4096) "<b>ham</b>")
