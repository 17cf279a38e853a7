;; A component whose code is not typed.
;; expect: compile
;; frame: none
(component (core module $m (func (export "f") (result i32))) (core instance (instantiate $m)))
