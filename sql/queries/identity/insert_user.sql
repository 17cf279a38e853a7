-- identity/insert_user: a new, active one
insert into tenant.users
    (user_id, organization_id, subject, display_name, email, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $6)
