;; The allocator takes all memory there is.
;; expect: memory
;; in: realloc
(loop $again (drop (memory.grow (i32.const 256))) (br $again))
