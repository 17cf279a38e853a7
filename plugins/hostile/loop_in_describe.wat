;; Never describes itself.
;; expect: fuel
;; in: describe
(loop $again (br $again))
