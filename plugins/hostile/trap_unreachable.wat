;; Gives up.
;; expect: trap
;; in: score
unreachable
