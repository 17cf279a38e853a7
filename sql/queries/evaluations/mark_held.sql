-- evaluations/mark_held: compare-and-set; no row means that somebody else moved it first
update tenant.evaluations
set status = 'held', scorer_note = $3, plugin_fuel = plugin_fuel + $4, plugin_us = plugin_us + $5
where evaluation_id = $1
  and organization_id = any ($2)
  and status in ('assessed', 'held')
