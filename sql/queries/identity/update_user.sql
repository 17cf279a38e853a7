-- identity/update_user: compare-and-set by revision; no row means that somebody else was faster
update tenant.users
set subject = $4, display_name = $5, email = $6, status = $7, updated_at = $8, revision = revision + 1
where user_id = $1
  and organization_id = any ($2)
  and revision = $3
