-- plugins/end_binding: a binding ends; no row when it has ended already
update tenant.plugin_bindings
set ended_at = $3, ended_by = $4, ended_because = $5
where binding_id = $1
  and organization_id = any ($2)
  and ended_at is null
