;; Declares more memories than a guest may have.
;; expect: compile
;; in: module
(memory 1) (memory 1) (memory 1) (memory 1) (memory 1)
