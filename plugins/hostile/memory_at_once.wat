;; Asks for 4 GiB in one go.
;; expect: memory
;; in: score
(drop (memory.grow (i32.const 65000)))
