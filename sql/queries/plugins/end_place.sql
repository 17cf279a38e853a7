-- plugins/end_place: whatever is in the place of an organization's new binding of a world (the active one, or what runs beside it) is replaced
update tenant.plugin_bindings
set ended_at = $4, ended_by = $5, ended_because = 'replaced'
where organization_id = $1
  and world = $2
  and ended_at is null
  and (mode = 'active') = $3
returning binding_id
