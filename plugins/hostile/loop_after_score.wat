;; Loops when it is told to free its result.
;; expect: fuel
;; in: post
(loop $again (br $again))
