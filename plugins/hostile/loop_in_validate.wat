;; Never answers whether its settings are fit.
;; expect: deadline
;; in: validate
(loop $again (br $again))
