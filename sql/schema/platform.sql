-- The schema `platform` as its migrations leave it: read from the catalogs by tests/it/sql.rs, for people to read in a review.

-- table audit_events, row level security
    audit_event_id uuid not null
    tenant_id uuid
    actor text not null
    action text not null
    subject_kind text not null
    subject_id uuid
    request_id text
    details jsonb not null
    occurred_at timestamp with time zone not null
    constraint audit_events_pkey PRIMARY KEY (audit_event_id)
    CREATE INDEX audit_events_newest ON audit_events USING btree (occurred_at DESC, audit_event_id DESC)
    CREATE INDEX audit_events_of_tenant ON audit_events USING btree (tenant_id, occurred_at DESC, audit_event_id DESC)
    policy operator for all to plumbline_operator using true
    grant insert, select to plumbline_operator
-- table certificates, row level security
    tenant_id uuid not null
    slug text not null
    document jsonb not null
    digest text not null
    issued_at timestamp with time zone not null
    constraint certificates_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text))
    constraint certificates_pkey PRIMARY KEY (tenant_id)
    policy operator for all to plumbline_operator using true
    grant insert, select to plumbline_operator
-- table jobs, row level security
    job_id uuid not null
    tenant_id uuid not null
    organization_id uuid not null
    root_organization_id uuid not null
    kind text not null
    payload jsonb not null
    status text not null default 'ready'::text
    dedup_key text
    attempts smallint not null default 0
    max_attempts smallint not null
    run_at timestamp with time zone not null
    lease_token uuid
    leased_until timestamp with time zone
    last_error text
    created_at timestamp with time zone not null
    constraint jobs_attempts_check CHECK ((attempts >= 0))
    constraint jobs_attempts_most CHECK ((attempts <= 10000))
    constraint jobs_check CHECK (((status = 'leased'::text) = ((lease_token IS NOT NULL) AND (leased_until IS NOT NULL))))
    constraint jobs_dedup_key_check CHECK (((length(dedup_key) >= 1) AND (length(dedup_key) <= 200)))
    constraint jobs_kind_check CHECK (((length(kind) >= 1) AND (length(kind) <= 80)))
    constraint jobs_last_error_check CHECK ((length(last_error) <= 2000))
    constraint jobs_max_attempts_check CHECK (((max_attempts >= 1) AND (max_attempts <= 100)))
    constraint jobs_pkey PRIMARY KEY (job_id)
    constraint jobs_status_check CHECK ((status = ANY (ARRAY['ready'::text, 'leased'::text, 'dead'::text])))
    CREATE INDEX jobs_dead ON jobs USING btree (organization_id, created_at DESC, job_id DESC) WHERE (status = 'dead'::text)
    CREATE INDEX jobs_leased ON jobs USING btree (leased_until) WHERE (status = 'leased'::text)
    CREATE INDEX jobs_ready ON jobs USING btree (tenant_id, run_at, job_id) WHERE (status = 'ready'::text)
    CREATE UNIQUE INDEX jobs_dedup ON jobs USING btree (organization_id, kind, dedup_key) WHERE (dedup_key IS NOT NULL)
    policy operator for all to plumbline_operator using true
    policy organizations for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy platform for all to plumbline_platform using true
    grant delete, insert, select to plumbline_operator
    grant delete, insert, select, update to plumbline_member
    grant delete, insert, select, update to plumbline_platform
-- table operations, row level security
    operation_id uuid not null
    kind text not null
    tenant_id uuid
    root_organization_id uuid
    status text not null default 'waiting'::text
    input jsonb not null
    steps jsonb not null
    result jsonb
    error_kind text
    error_reason text
    cancel_requested boolean not null default false
    attempts smallint not null default 0
    run_at timestamp with time zone not null
    lease_token uuid
    leased_until timestamp with time zone
    requested_by text not null
    created_at timestamp with time zone not null
    started_at timestamp with time zone
    ended_at timestamp with time zone
    constraint operations_attempts_check CHECK ((attempts >= 0))
    constraint operations_check CHECK (((status = 'running'::text) = ((lease_token IS NOT NULL) AND (leased_until IS NOT NULL))))
    constraint operations_check1 CHECK (((status = 'failed'::text) = (error_kind IS NOT NULL)))
    constraint operations_check2 CHECK (((status = ANY (ARRAY['succeeded'::text, 'failed'::text, 'cancelled'::text])) = (ended_at IS NOT NULL)))
    constraint operations_error_kind_check CHECK (((length(error_kind) >= 1) AND (length(error_kind) <= 100)))
    constraint operations_error_reason_check CHECK ((length(error_reason) <= 2000))
    constraint operations_kind_check CHECK (((length(kind) >= 1) AND (length(kind) <= 80)))
    constraint operations_pkey PRIMARY KEY (operation_id)
    constraint operations_requested_by_check CHECK (((length(requested_by) >= 1) AND (length(requested_by) <= 300)))
    constraint operations_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])))
    CREATE INDEX operations_newest ON operations USING btree (created_at DESC, operation_id DESC)
    CREATE INDEX operations_of_tenant ON operations USING btree (tenant_id, created_at DESC, operation_id DESC)
    CREATE INDEX operations_waiting ON operations USING btree (run_at) WHERE (status = 'waiting'::text)
    CREATE UNIQUE INDEX operations_at_work ON operations USING btree (tenant_id) WHERE (status = 'running'::text)
    CREATE UNIQUE INDEX operations_open ON operations USING btree (tenant_id, kind) WHERE (status = ANY (ARRAY['waiting'::text, 'running'::text]))
    policy operator for all to plumbline_operator using true
    policy root_organization for all to plumbline_member using (root_organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select to plumbline_member
    grant insert, select, update to plumbline_operator
-- table tenants, row level security
    tenant_id uuid not null
    slug text not null
    name text not null
    status text not null default 'active'::text
    issuer text not null
    root_organization_id uuid not null
    schema_version integer not null default 0
    created_at timestamp with time zone not null default now()
    revision integer not null default 1
    status_reason text
    legal_hold text
    leaves_at timestamp with time zone
    destroyed_at timestamp with time zone
    quotas jsonb not null default '{}'::jsonb
    concurrent_version integer not null default 0
    migrated_at timestamp with time zone
    migration_error text
    changed_at timestamp with time zone not null default now()
    constraint tenants_issuer_check CHECK (((length(issuer) >= 1) AND (length(issuer) <= 500)))
    constraint tenants_legal_hold_check CHECK (((length(legal_hold) >= 1) AND (length(legal_hold) <= 2000)))
    constraint tenants_migration_error_check CHECK ((length(migration_error) <= 2000))
    constraint tenants_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)))
    constraint tenants_pkey PRIMARY KEY (tenant_id)
    constraint tenants_slug_check CHECK ((slug ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'::text))
    constraint tenants_status_check CHECK ((status = ANY (ARRAY['provisioning'::text, 'active'::text, 'suspended'::text, 'leaving'::text, 'destroyed'::text])))
    constraint tenants_status_reason_check CHECK ((length(status_reason) <= 2000))
    CREATE INDEX tenants_changed ON tenants USING btree (changed_at)
    CREATE INDEX tenants_newest ON tenants USING btree (created_at DESC, tenant_id DESC)
    CREATE UNIQUE INDEX tenants_issuer ON tenants USING btree (issuer) WHERE (status <> 'destroyed'::text)
    CREATE UNIQUE INDEX tenants_root_organization ON tenants USING btree (root_organization_id) WHERE (status <> 'destroyed'::text)
    CREATE UNIQUE INDEX tenants_slug ON tenants USING btree (slug) WHERE (status <> 'destroyed'::text)
    policy operator for all to plumbline_operator using true
    policy platform for all to plumbline_platform using true
    grant insert, select, update to plumbline_operator
    grant select to plumbline_platform
-- table uploads, row level security
    object_key text not null
    tenant_id uuid not null
    organization_id uuid not null
    started_at timestamp with time zone not null
    constraint uploads_object_key_check CHECK (((length(object_key) >= 1) AND (length(object_key) <= 500)))
    constraint uploads_pkey PRIMARY KEY (object_key)
    CREATE INDEX uploads_started ON uploads USING btree (started_at)
    policy operator for all to plumbline_operator using true
    policy organizations for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy platform for all to plumbline_platform using true
    grant delete, insert, select to plumbline_operator
    grant delete, insert, select, update to plumbline_member
    grant delete, insert, select, update to plumbline_platform
