;; Wants a clock.
;; expect: forbidden_import
;; frame: none
(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "resolution" (func (result u64))))))
