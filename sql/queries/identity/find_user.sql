-- identity/find_user: one user of the organizations that the grant reaches
select user_id, organization_id, subject, display_name, email, status, revision, created_at, updated_at
from tenant.users
where user_id = $1
  and organization_id = any ($2)
