;; A truth value of 7, which must read as true or trap, but never as anything else; an unknown kind of insight.
;; expect: trap
;; in: score
(i32.store8 (i32.const 2048) (i32.const 9))
(i32.store (i32.const 1044) (i32.const 2048)) (i32.store (i32.const 1048) (i32.const 1))
