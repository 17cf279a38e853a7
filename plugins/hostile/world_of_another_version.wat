;; Exports a version of the contract that does not exist.
;; expect: wrong_world
;; frame: none
(component
  (component $inner)
  (instance $none (instantiate $inner))
  (export "plumbline:plugin/scoring@9.0.0" (instance $none)))
