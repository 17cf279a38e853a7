;; The allocator calls itself for ever.
;; expect: stack
;; in: realloc
(drop (call $deeper (i32.const 1)))
;; in: module
(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))
