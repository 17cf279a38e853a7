;; Wants a host interface that does not exist.
;; expect: forbidden_import
;; frame: none
(component (import "plumbline:plugin/network@1.0.0" (instance (export "get" (func (result string))))))
