;; Gives room for the input where there is none.
;; expect: trap
;; in: realloc
(return (i32.const 0x7ffffff0))
