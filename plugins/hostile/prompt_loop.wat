;; Never comes back from build.
;; expect: fuel
;; frame: prompt-builder
;; in: build
(loop $again (br $again))
