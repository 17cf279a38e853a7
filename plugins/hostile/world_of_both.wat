;; Claims to be a scorer and a prompt builder.
;; expect: wrong_world
;; frame: none
(component
  (component $inner)
  (instance $none (instantiate $inner))
  (export "plumbline:plugin/scoring@1.0.0" (instance $none))
  (export "plumbline:plugin/prompting@1.0.0" (instance $none)))
