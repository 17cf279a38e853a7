;; A memory that threads share.
;; expect: compile
;; frame: none
(component (core module (memory 1 1 shared)))
