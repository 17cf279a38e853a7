;; Its result is where no memory is.
;; expect: trap
;; in: score
(return (i32.const 0x7ffffff0))
