;; A second module beside the one that is called, whose start function never comes back.
;; expect: fuel wrong_world
;; frame: none
(component
  (core module $busy (func $run (loop $again (br $again))) (start $run))
  (core instance (instantiate $busy)))
