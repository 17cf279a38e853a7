;; Never gives room for the input.
;; expect: fuel
;; in: realloc
(loop $again (br $again))
