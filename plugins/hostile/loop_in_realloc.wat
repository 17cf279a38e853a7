;; Never gives room for the input.
;; expect: deadline
;; in: realloc
(loop $again (br $again))
