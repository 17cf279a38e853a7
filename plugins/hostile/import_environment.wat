;; Wants the environment, and the file system.
;; expect: forbidden_import
;; frame: none
(component
  (import "wasi:cli/environment@0.2.0" (instance (export "get-arguments" (func (result (list string))))))
  (import "wasi:filesystem/preopens@0.2.0" (instance)))
