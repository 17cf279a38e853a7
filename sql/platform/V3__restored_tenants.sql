-- A destroyed tenant keeps its row; its archive may be restored, with the root organization that it had.

alter table tenants drop constraint tenants_root_organization_id_key;
create unique index tenants_root_organization on tenants (root_organization_id) where status <> 'destroyed';

-- Attempts are counted up to a few dozens; a number near the column's end, from wherever, would fail the statement that leases for everybody.
alter table jobs add constraint jobs_attempts_most check (attempts <= 10000);
