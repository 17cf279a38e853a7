;; Wants a log that gives something back.
;; expect: wrong_world
;; frame: none
(component
  (import "plumbline:plugin/host@1.0.0" (instance (export "log" (func (result u64)))))
  (component $inner)
  (instance $none (instantiate $inner))
  (export "plumbline:plugin/scoring@1.0.0" (instance $none)))
