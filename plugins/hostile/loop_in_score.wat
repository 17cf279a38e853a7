;; Never comes back from score.
;; expect: fuel
;; in: score
(loop $again (br $again))
