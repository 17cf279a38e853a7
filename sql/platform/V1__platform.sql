-- The platform schema: what exists once for all tenants. Roles exist before this runs (platform/db/owner.rs).

create table tenants (
    tenant_id uuid primary key,
    slug text not null unique check (slug ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'),
    name text not null check (length(name) between 1 and 200),
    status text not null default 'active' check (status in ('provisioning', 'active', 'suspended')),
    issuer text not null unique check (length(issuer) between 1 and 500),
    root_organization_id uuid not null unique,
    schema_version integer not null default 0,
    created_at timestamptz not null default now()
);

-- Queued work of every tenant. A finished job is deleted; a dead one stays until it is retried.
create table jobs (
    job_id uuid primary key,
    tenant_id uuid not null,
    organization_id uuid not null,
    root_organization_id uuid not null,
    kind text not null check (length(kind) between 1 and 80),
    payload jsonb not null,
    status text not null default 'ready' check (status in ('ready', 'leased', 'dead')),
    dedup_key text check (length(dedup_key) between 1 and 200),
    attempts smallint not null default 0 check (attempts >= 0),
    max_attempts smallint not null check (max_attempts between 1 and 100),
    run_at timestamptz not null,
    lease_token uuid,
    leased_until timestamptz,
    last_error text check (length(last_error) <= 2000),
    created_at timestamptz not null,
    check ((status = 'leased') = (lease_token is not null and leased_until is not null))
);
-- The waiting jobs of one tenant in order, and, by a loose scan, the tenants that have any.
create index jobs_ready on jobs (tenant_id, run_at, job_id) where status = 'ready';
create index jobs_leased on jobs (leased_until) where status = 'leased';
create index jobs_dead on jobs (organization_id, created_at desc, job_id desc) where status = 'dead';
create unique index jobs_dedup on jobs (organization_id, kind, dedup_key) where dedup_key is not null;

-- Objects on their way into the object store: what a crash leaves behind here is swept away.
create table uploads (
    object_key text primary key check (length(object_key) between 1 and 500),
    tenant_id uuid not null,
    organization_id uuid not null,
    started_at timestamptz not null
);
create index uploads_started on uploads (started_at);

alter table tenants enable row level security;
alter table jobs enable row level security;
alter table uploads enable row level security;

create policy platform on tenants to plumbline_platform using (true);
create policy platform on jobs to plumbline_platform using (true);
create policy platform on uploads to plumbline_platform using (true);
create policy organizations on jobs to plumbline_member
    using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy organizations on uploads to plumbline_member
    using (organization_id = any (current_setting('app.organizations')::uuid[]));

grant select on tenants to plumbline_platform;
grant select, insert, update, delete on jobs to plumbline_platform, plumbline_member;
grant select, insert, update, delete on uploads to plumbline_platform, plumbline_member;
