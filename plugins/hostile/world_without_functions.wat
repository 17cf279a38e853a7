;; Exports the right name with nothing behind it.
;; expect: wrong_world
;; frame: none
(component
  (component $inner)
  (instance $none (instantiate $inner))
  (export "plumbline:plugin/scoring@1.0.0" (instance $none)))
