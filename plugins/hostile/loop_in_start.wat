;; Loops before anything is called.
;; expect: deadline
;; in: module
(func $begin (loop $again (br $again))) (start $begin)
