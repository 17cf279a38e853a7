;; Takes memory with every piece of input.
;; expect: memory
;; in: realloc
(drop (memory.grow (i32.const 1000)))
