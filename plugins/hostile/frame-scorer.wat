;; A scorer that behaves: the attacks of this folder are pieces put in at its marks. It answers with its description, accepts
;; all settings, and scores nothing: no criteria, no overall score, no insights.
;;
;; Result of score, from 1024: 0 = ok; then criteria (list) at 1028, overall (option) at 1036, insights (list) at 1044,
;; metadata (list) at 1052. As an error: 1 at 1024, message (string) at 1028.
(module
  (import "plumbline:plugin/host@1.0.0" "log" (func $log (param i32 i32 i32)))
  {{memory: (memory (export "memory") 1) }}
  (data (i32.const 16) "hostile1.0.0a test")
  (global $heap (mut i32) (i32.const 8192))
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    {{realloc}}
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $enough (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
      (br $more)))
    (local.get $at))
  (func (export "plumbline:plugin/scoring@1.0.0#describe") (result i32)
    (i32.store (i32.const 512) (i32.const 16)) (i32.store (i32.const 516) (i32.const 7))
    (i32.store (i32.const 520) (i32.const 23)) (i32.store (i32.const 524) (i32.const 5))
    (i32.store (i32.const 528) (i32.const 28)) (i32.store (i32.const 532) (i32.const 6))
    {{describe}}
    (i32.const 512))
  (func (export "plumbline:plugin/scoring@1.0.0#validate-settings") (param i32 i32) (result i32)
    {{validate}}
    (i32.const 768))
  (func (export "plumbline:plugin/scoring@1.0.0#score") (param i32) (result i32)
    (local $i i32) (local $at i32)
    {{score}}
    (i32.const 1024))
  (func (export "cabi_post_plumbline:plugin/scoring@1.0.0#score") (param i32)
    {{post}})
  {{module}})
