;; Never describes itself.
;; expect: deadline
;; in: describe
(loop $again (br $again))
