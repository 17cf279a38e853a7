;; Declares 4 GiB.
;; expect: memory
;; in: memory
(memory (export "memory") 65536)
