;; Never answers whether its settings are fit.
;; expect: fuel
;; in: validate
(loop $again (br $again))
