;; A core module.
;; expect: not_a_component
;; frame: none
(module (func (export "score") unreachable))
