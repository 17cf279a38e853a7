;; A component that exports nothing.
;; expect: wrong_world
;; frame: none
(component)
