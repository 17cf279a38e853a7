;; Loops before anything is called.
;; expect: fuel
;; in: module
(func $begin (loop $again (br $again))) (start $begin)
