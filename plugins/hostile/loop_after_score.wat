;; Loops when it is told to free its result.
;; expect: deadline
;; in: post
(loop $again (br $again))
