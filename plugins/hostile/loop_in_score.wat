;; Never comes back from score.
;; expect: deadline
;; in: score
(loop $again (br $again))
