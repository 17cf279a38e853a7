;; Declares a table of ten million elements.
;; expect: compile
;; in: module
(table 10000000 funcref)
