;; Wants randomness.
;; expect: forbidden_import
;; frame: none
(component (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64))))))
