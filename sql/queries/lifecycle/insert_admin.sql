-- lifecycle/insert_admin: the first admin's user; nothing when the subject is one already
insert into tenant.users
    (user_id, organization_id, subject, display_name, email, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $6)
on conflict do nothing
