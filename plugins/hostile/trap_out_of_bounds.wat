;; Reads beyond its memory.
;; expect: trap
;; in: score
(drop (i32.load (i32.const -4)))
