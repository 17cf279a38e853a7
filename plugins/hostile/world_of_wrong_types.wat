;; Exports functions of the right names and wrong types.
;; expect: wrong_world
;; frame: none
(component
  (core module $m (func (export "f") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $f (result u32) (canon lift (core func $i "f")))
  (component $inner
    (import "f" (func $f (result u32)))
    (export "describe" (func $f)) (export "validate-settings" (func $f)) (export "score" (func $f)))
  (instance $exports (instantiate $inner (with "f" (func $f))))
  (export "plumbline:plugin/scoring@1.0.0" (instance $exports)))
