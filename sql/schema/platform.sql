-- The schema `platform` as its migrations leave it: read from the catalogs by tests/it/sql.rs, for people to read in a review.

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
    policy organizations for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy platform for all to plumbline_platform using true
    grant delete, insert, select, update to plumbline_member
    grant delete, insert, select, update to plumbline_platform
-- table tenants, row level security
    tenant_id uuid not null
    slug text not null
    name text not null
    status text not null default 'active'::text
    issuer text not null
    root_organization_id uuid not null
    schema_version integer not null default 0
    created_at timestamp with time zone not null default now()
    constraint tenants_issuer_check CHECK (((length(issuer) >= 1) AND (length(issuer) <= 500)))
    constraint tenants_issuer_key UNIQUE (issuer)
    constraint tenants_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)))
    constraint tenants_pkey PRIMARY KEY (tenant_id)
    constraint tenants_root_organization_id_key UNIQUE (root_organization_id)
    constraint tenants_slug_check CHECK ((slug ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'::text))
    constraint tenants_slug_key UNIQUE (slug)
    constraint tenants_status_check CHECK ((status = ANY (ARRAY['provisioning'::text, 'active'::text, 'suspended'::text])))
    policy platform for all to plumbline_platform using true
    grant select to plumbline_platform
-- table uploads, row level security
    object_key text not null
    tenant_id uuid not null
    organization_id uuid not null
    started_at timestamp with time zone not null
    constraint uploads_object_key_check CHECK (((length(object_key) >= 1) AND (length(object_key) <= 500)))
    constraint uploads_pkey PRIMARY KEY (object_key)
    CREATE INDEX uploads_started ON uploads USING btree (started_at)
    policy organizations for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy platform for all to plumbline_platform using true
    grant delete, insert, select, update to plumbline_member
    grant delete, insert, select, update to plumbline_platform
