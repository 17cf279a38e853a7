;; Gives up when it is told to free its result.
;; expect: trap
;; in: post
unreachable
