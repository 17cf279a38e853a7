;; Declares more memories than a guest may have.
;; expect: memory
;; in: module
(memory 1) (memory 1) (memory 1)
