;; Gives up before anything is called.
;; expect: trap
;; in: module
(func $begin unreachable) (start $begin)
