;; Wants a function without an interface.
;; expect: forbidden_import
;; frame: none
(component (import "now" (func (result u64))))
