-- isolation/write_foreign: a row that must be refused; its transaction is rolled back whatever happens
insert into tenant.users (user_id, organization_id, display_name, created_at, updated_at)
values ($1, $2, 'isolation probe', now(), now())
