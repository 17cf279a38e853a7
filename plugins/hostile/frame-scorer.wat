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
  (func $realloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    {{realloc}}
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
    (global.set $heap (i32.add (local.get $at) (local.get $size)))
    (block $enough (loop $more
      (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $enough (i32.eq (memory.grow (i32.const 16)) (i32.const -1)))
      (br $more)))
    (local.get $at))
  ;; Names every criterion of the input, without a score: what passes the golden calls.
  (func $cover (param $input i32)
    (local $section i32) (local $sections i32) (local $criterion i32) (local $criteria i32) (local $at i32) (local $count i32)
    (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 32000)))
    (i32.store (i32.const 1028) (local.get $at))
    (local.set $section (i32.load offset=92 (local.get $input)))
    (local.set $sections
      (i32.add (local.get $section) (i32.mul (i32.load offset=96 (local.get $input)) (i32.const 28))))
    (block $done (loop $next_section
      (br_if $done (i32.ge_u (local.get $section) (local.get $sections)))
      (local.set $criterion (i32.load offset=20 (local.get $section)))
      (local.set $criteria
        (i32.add (local.get $criterion) (i32.mul (i32.load offset=24 (local.get $section)) (i32.const 32))))
      (block $last (loop $next
        (br_if $last (i32.ge_u (local.get $criterion) (local.get $criteria)))
        (i32.store (local.get $at) (i32.load (local.get $criterion)))
        (i32.store offset=4 (local.get $at) (i32.load offset=4 (local.get $criterion)))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (local.set $criterion (i32.add (local.get $criterion) (i32.const 32)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
      (local.set $section (i32.add (local.get $section) (i32.const 28)))
      (br $next_section)))
    (i32.store (i32.const 1032) (local.get $count)))
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
