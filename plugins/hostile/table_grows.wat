;; Grows a table without end.
;; expect: memory
;; in: score
(loop $again (drop (table.grow $table (ref.null func) (i32.const 50000))) (br $again))
;; in: module
(table $table 1 funcref)
