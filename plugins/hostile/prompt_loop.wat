;; Never comes back from build.
;; expect: deadline
;; frame: prompt-builder
;; in: build
(loop $again (br $again))
