;; A prompt builder that behaves: it asks nothing but "hello".
;;
;; Result of build, from 1024: 0 = ok; then system (string) at 1028, user (string) at 1036, max-output-tokens (option) at 1044.
(module
  (import "plumbline:plugin/host@1.0.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hostile1.0.0a testhello")
  (global $heap (mut i32) (i32.const 8192))
  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $enough (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
      (br $more)))
    (local.get $at))
  (func (export "plumbline:plugin/prompting@1.0.0#describe") (result i32)
    (i32.store (i32.const 512) (i32.const 16)) (i32.store (i32.const 516) (i32.const 7))
    (i32.store (i32.const 520) (i32.const 23)) (i32.store (i32.const 524) (i32.const 5))
    (i32.store (i32.const 528) (i32.const 28)) (i32.store (i32.const 532) (i32.const 6))
    (i32.const 512))
  (func (export "plumbline:plugin/prompting@1.0.0#validate-settings") (param i32 i32) (result i32)
    (i32.const 768))
  (func (export "plumbline:plugin/prompting@1.0.0#build") (param i32) (result i32)
    (i32.store (i32.const 1036) (i32.const 34)) (i32.store (i32.const 1040) (i32.const 5))
    {{build}}
    (i32.const 1024))
  {{module}})
