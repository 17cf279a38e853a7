;; Gives up when asked to describe itself.
;; expect: trap
;; in: describe
unreachable
