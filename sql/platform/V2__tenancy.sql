-- The life of a tenant, and long work on whole tenants.

alter table tenants
    drop constraint tenants_status_check,
    drop constraint tenants_slug_key,
    drop constraint tenants_issuer_key,
    -- What was destroyed keeps its row, so that its id is never given again and its certificate has a subject.
    add constraint tenants_status_check
        check (status in ('provisioning', 'active', 'suspended', 'leaving', 'destroyed')),
    add column revision integer not null default 1,
    add column status_reason text check (length(status_reason) <= 2000),
    add column legal_hold text check (length(legal_hold) between 1 and 2000),
    add column leaves_at timestamptz,
    add column destroyed_at timestamptz,
    -- Limits that differ from none; platform/tenancy/quotas.rs reads it.
    add column quotas jsonb not null default '{}',
    -- Steps that cannot run in a transaction (CREATE INDEX CONCURRENTLY) follow the migrations, and are counted by themselves.
    add column concurrent_version integer not null default 0,
    add column migrated_at timestamptz,
    add column migration_error text check (length(migration_error) <= 2000),
    add column changed_at timestamptz not null default now();
create unique index tenants_slug on tenants (slug) where status <> 'destroyed';
create unique index tenants_issuer on tenants (issuer) where status <> 'destroyed';
create index tenants_newest on tenants (created_at desc, tenant_id desc);
-- What servers ask every other second: whom they must forget.
create index tenants_changed on tenants (changed_at);

-- A long request: its steps are done one after the other by the operator's process, and each is recorded before the next begins.
create table operations (
    operation_id uuid primary key,
    kind text not null check (length(kind) between 1 and 80),
    tenant_id uuid,
    -- The tenant's members may look at their own tenant's operations.
    root_organization_id uuid,
    status text not null default 'waiting' check (status in ('waiting', 'running', 'succeeded', 'failed', 'cancelled')),
    input jsonb not null,
    steps jsonb not null,
    result jsonb,
    error_kind text check (length(error_kind) between 1 and 100),
    error_reason text check (length(error_reason) <= 2000),
    cancel_requested boolean not null default false,
    attempts smallint not null default 0 check (attempts >= 0),
    run_at timestamptz not null,
    lease_token uuid,
    leased_until timestamptz,
    requested_by text not null check (length(requested_by) between 1 and 300),
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    check ((status = 'running') = (lease_token is not null and leased_until is not null)),
    check ((status = 'failed') = (error_kind is not null)),
    check ((status in ('succeeded', 'failed', 'cancelled')) = (ended_at is not null))
);
create index operations_newest on operations (created_at desc, operation_id desc);
create index operations_of_tenant on operations (tenant_id, created_at desc, operation_id desc);
create index operations_waiting on operations (run_at) where status = 'waiting';
-- One of a kind at a time, and one at work on a tenant at all.
create unique index operations_open on operations (tenant_id, kind) where status in ('waiting', 'running');
create unique index operations_at_work on operations (tenant_id) where status = 'running';

-- What was destroyed, when, and how that was verified. Never changed afterwards.
create table certificates (
    tenant_id uuid primary key,
    slug text not null,
    document jsonb not null,
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    issued_at timestamptz not null
);

-- Append-only: what operators did. What happens inside a tenant is in the tenant's own log.
create table audit_events (
    audit_event_id uuid primary key,
    tenant_id uuid,
    actor text not null,
    action text not null,
    subject_kind text not null,
    subject_id uuid,
    request_id text,
    details jsonb not null,
    occurred_at timestamptz not null
);
create index audit_events_newest on audit_events (occurred_at desc, audit_event_id desc);
create index audit_events_of_tenant on audit_events (tenant_id, occurred_at desc, audit_event_id desc);

alter table operations enable row level security;
alter table certificates enable row level security;
alter table audit_events enable row level security;

create policy operator on tenants to plumbline_operator using (true);
create policy operator on operations to plumbline_operator using (true);
create policy operator on certificates to plumbline_operator using (true);
create policy operator on audit_events to plumbline_operator using (true);
create policy operator on jobs to plumbline_operator using (true);
create policy operator on uploads to plumbline_operator using (true);
create policy root_organization on operations to plumbline_member
    using (root_organization_id = any (current_setting('app.organizations')::uuid[]));

grant select, insert, update on tenants, operations to plumbline_operator;
grant select, insert on certificates, audit_events to plumbline_operator;
grant select, insert, delete on jobs, uploads to plumbline_operator;
grant select, insert on operations to plumbline_member;
-- A member may ask for an end, and for nothing else.
grant update (cancel_requested, run_at) on operations to plumbline_member;
