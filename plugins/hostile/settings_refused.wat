;; Refuses all settings, in 30,000 bytes.
;; expect: invalid_settings
;; in: validate
(memory.fill (i32.const 16384) (i32.const 97) (i32.const 30000))
(i32.store8 (i32.const 768) (i32.const 1)) (i32.store (i32.const 772) (i32.const 16384)) (i32.store (i32.const 776) (i32.const 30000))
