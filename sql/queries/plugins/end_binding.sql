-- plugins/end_binding: the organization's active binding of a world is replaced
update tenant.plugin_bindings
set ended_at = $3
where organization_id = $1
  and world = $2
  and ended_at is null
  and mode = 'active'
