;; Few instructions, each of which writes 48 MB.
;; expect: fuel
;; in: score
(drop (memory.grow (i32.const 800)))
(loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 48000000)) (br $again))
