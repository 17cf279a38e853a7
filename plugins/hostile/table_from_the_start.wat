;; Declares a table of ten million elements.
;; expect: memory
;; in: module
(table 10000000 funcref)
