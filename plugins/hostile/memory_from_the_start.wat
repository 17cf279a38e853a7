;; Declares 4 GiB.
;; expect: compile
;; in: memory
(memory (export "memory") 65536)
