-- One tenant's schema. Every table names the organization that its rows belong to; rows of the whole tenant belong to the root organization.
-- Agents see rows of their own calls alone: those tables carry agent_id, because a policy with a subquery is slow and does not shard.

create table organizations (
    organization_id uuid primary key,
    root_organization_id uuid not null references organizations,
    slug text not null check (slug ~ '^[a-z][a-z0-9-]{0,62}$'),
    name text not null check (length(name) between 1 and 200),
    status text not null default 'active' check (status in ('active', 'deactivated')),
    revision integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint organizations_slug unique (slug)
);

create table users (
    user_id uuid primary key,
    organization_id uuid not null references organizations,
    subject text check (length(subject) between 1 and 255),
    display_name text not null check (length(display_name) between 1 and 200),
    email text check (length(email) between 3 and 320),
    status text not null default 'active' check (status in ('active', 'deactivated')),
    revision integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint users_subject unique (subject)
);
create index users_newest on users (organization_id, created_at desc, user_id desc);

create table agents (
    agent_id uuid primary key,
    organization_id uuid not null references organizations,
    user_id uuid references users,
    external_id text check (length(external_id) between 1 and 200),
    display_name text not null check (length(display_name) between 1 and 200),
    status text not null default 'active' check (status in ('active', 'deactivated')),
    revision integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint agents_user unique (user_id),
    constraint agents_external_id unique (organization_id, external_id)
);
create index agents_newest on agents (organization_id, created_at desc, agent_id desc);

create table scorecards (
    scorecard_id uuid primary key,
    organization_id uuid not null references organizations,
    name text not null check (length(name) between 1 and 200),
    -- The next version's definition while it is being written; null when all is published.
    draft jsonb,
    revision integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint scorecards_name unique (organization_id, name)
);
create index scorecards_newest on scorecards (organization_id, created_at desc, scorecard_id desc);

-- Published and immutable: no role may update or delete a row.
create table scorecard_versions (
    scorecard_version_id uuid primary key,
    scorecard_id uuid not null references scorecards,
    organization_id uuid not null references organizations,
    version integer not null check (version > 0),
    definition jsonb not null,
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    published_at timestamptz not null,
    published_by text not null,
    constraint scorecard_versions_version unique (scorecard_id, version)
);
create index scorecard_versions_newest on scorecard_versions (organization_id, published_at desc);

create table plugin_versions (
    digest text primary key check (digest ~ '^[0-9a-f]{64}$'),
    organization_id uuid not null references organizations,
    name text not null,
    version text not null,
    world text not null check (world in ('scorer', 'prompt_builder')),
    size_bytes bigint not null,
    object_key text not null,
    created_at timestamptz not null
);

-- The use of a plugin version by an organization; the newest one that has not ended counts.
create table plugin_bindings (
    binding_id uuid primary key,
    organization_id uuid not null references organizations,
    digest text not null references plugin_versions,
    world text not null check (world in ('scorer', 'prompt_builder')),
    settings jsonb not null,
    failure_policy text not null check (failure_policy in ('fall_back', 'hold', 'fail')),
    created_at timestamptz not null,
    ended_at timestamptz
);
create unique index plugin_bindings_active on plugin_bindings (organization_id, world) where ended_at is null;

create table calls (
    call_id uuid primary key,
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    scorecard_id uuid references scorecards,
    external_id text check (length(external_id) between 1 and 200),
    channel text not null check (channel in ('phone', 'chat', 'email')),
    language text check (length(language) between 2 and 35),
    status text not null check (status in ('received', 'transcribed', 'assessed', 'evaluated', 'failed')),
    failed_stage text check (failed_stage in ('transcribe', 'assess', 'score', 'follow_up')),
    failure_kind text check (length(failure_kind) <= 100),
    failure_reason text check (length(failure_reason) <= 2000),
    duration_ms bigint check (duration_ms >= 0),
    started_at timestamptz,
    received_at timestamptz not null,
    transcribed_at timestamptz,
    evaluated_at timestamptz,
    -- The newest evaluation's, so that lists need no join.
    overall_score numeric(5, 2) check (overall_score between 0 and 100),
    constraint calls_external_id unique (organization_id, external_id),
    check ((status = 'failed') = (failed_stage is not null))
);
create index calls_newest on calls (organization_id, received_at desc, call_id desc);
create index calls_agent on calls (agent_id, received_at desc, call_id desc);

create table audio_files (
    audio_file_id uuid primary key,
    call_id uuid not null references calls,
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    size_bytes bigint not null check (size_bytes > 0),
    content_type text not null,
    channels smallint,
    -- Which channel the agent speaks on, counted from 1.
    agent_channel smallint not null default 1,
    object_key text not null unique,
    created_at timestamptz not null,
    constraint audio_files_call unique (call_id),
    constraint audio_files_sha256 unique (organization_id, sha256)
);

create table transcriptions (
    call_id uuid primary key references calls,
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    -- Who recognised the speech; `written` for a conversation that came as text.
    provider text not null,
    -- The provider's own id of the work while it runs.
    reference text,
    webhook_secret text,
    model text,
    language text,
    digest text check (digest ~ '^[0-9a-f]{64}$'),
    metrics jsonb,
    submitted_at timestamptz not null,
    completed_at timestamptz
);

create table utterances (
    call_id uuid not null references calls,
    n integer not null check (n > 0),
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    speaker text not null check (speaker in ('agent', 'customer', 'system', 'unknown')),
    start_ms bigint check (start_ms >= 0),
    end_ms bigint check (end_ms >= start_ms),
    text text not null,
    primary key (call_id, n)
);

create table evaluations (
    evaluation_id uuid primary key,
    call_id uuid not null references calls,
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    scorecard_version_id uuid not null references scorecard_versions,
    status text not null check (status in ('assessed', 'held', 'evaluated')),
    provider text not null,
    model text not null,
    prompt_digest text not null check (prompt_digest ~ '^[0-9a-f]{64}$'),
    prompt_builder text not null,
    raw_answer text not null,
    answers jsonb not null,
    prompt_tokens bigint not null,
    completion_tokens bigint not null,
    scorer text,
    -- Why another scorer than the bound one scored, or why the evaluation is held.
    scorer_note text check (length(scorer_note) <= 2000),
    overall_score numeric(5, 2) check (overall_score between 0 and 100),
    needs_review boolean not null default false,
    receipt jsonb not null,
    assessed_at timestamptz not null,
    evaluated_at timestamptz
);
create index evaluations_call on evaluations (call_id, assessed_at desc);
create index evaluations_newest on evaluations (organization_id, assessed_at desc, evaluation_id desc);

create table scores (
    evaluation_id uuid not null references evaluations,
    criterion_key text not null,
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    section_key text not null,
    verdict text not null check (verdict in ('yes', 'no', 'not_applicable', 'unverified')),
    score numeric(5, 2) check (score between 0 and 100),
    passed boolean,
    note text,
    primary key (evaluation_id, criterion_key)
);

create table insights (
    evaluation_id uuid not null references evaluations,
    n integer not null,
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    kind text not null check (kind in ('strength', 'risk', 'failed_criterion', 'unverified_evidence', 'note')),
    criterion_key text,
    text text not null,
    primary key (evaluation_id, n)
);

create table idempotency_keys (
    organization_id uuid not null references organizations,
    actor text not null,
    operation text not null,
    key text not null check (length(key) between 1 and 255),
    request_digest text not null,
    status smallint,
    headers jsonb,
    body text,
    created_at timestamptz not null,
    primary key (organization_id, actor, operation, key)
);
create index idempotency_keys_created on idempotency_keys (created_at);

-- Append-only: no role may update or delete a row.
create table audit_events (
    audit_event_id uuid primary key,
    organization_id uuid not null references organizations,
    actor text not null,
    action text not null,
    subject_kind text not null,
    subject_id uuid,
    request_id text,
    details jsonb not null,
    occurred_at timestamptz not null
);
create index audit_events_newest on audit_events (organization_id, occurred_at desc, audit_event_id desc);

alter table organizations enable row level security;
alter table users enable row level security;
alter table agents enable row level security;
alter table scorecards enable row level security;
alter table scorecard_versions enable row level security;
alter table plugin_versions enable row level security;
alter table plugin_bindings enable row level security;
alter table calls enable row level security;
alter table audio_files enable row level security;
alter table transcriptions enable row level security;
alter table utterances enable row level security;
alter table evaluations enable row level security;
alter table scores enable row level security;
alter table insights enable row level security;
alter table idempotency_keys enable row level security;
alter table audit_events enable row level security;

-- Members: rows of their organizations.
create policy member on organizations to plumbline_member
    using (organization_id = any (current_setting('app.organizations')::uuid[]))
    with check (root_organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on users to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on agents to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on scorecards to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on scorecard_versions to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on plugin_versions to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on plugin_bindings to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on calls to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on audio_files to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on transcriptions to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on utterances to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on evaluations to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on scores to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on insights to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on idempotency_keys to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on audit_events to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));

-- Agents: what belongs to their own calls, and the criteria that they are measured by.
create policy agent on calls to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);
create policy agent on audio_files to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);
create policy agent on transcriptions to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);
create policy agent on utterances to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);
create policy agent on evaluations to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);
create policy agent on scores to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);
create policy agent on insights to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);
create policy agent on scorecard_versions to plumbline_agent
    using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy agent on audit_events for insert to plumbline_agent
    with check (organization_id = any (current_setting('app.organizations')::uuid[]));

-- The directory: who belongs to the tenant, asked before a caller's organizations are known.
create policy directory on organizations to plumbline_directory
    using (root_organization_id = any (current_setting('app.organizations')::uuid[]));
create policy directory on users to plumbline_directory using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy directory on agents to plumbline_directory using (organization_id = any (current_setting('app.organizations')::uuid[]));

grant select, insert, update on organizations, users, agents, scorecards, calls, transcriptions, evaluations, plugin_bindings to plumbline_member;
grant select, insert on scorecard_versions, plugin_versions, audit_events, audio_files to plumbline_member;
grant select, insert, delete on utterances, scores, insights to plumbline_member;
grant select, insert, update, delete on idempotency_keys to plumbline_member;
grant select on calls, audio_files, transcriptions, utterances, evaluations, scores, insights, scorecard_versions to plumbline_agent;
grant insert on audit_events to plumbline_agent;
grant select on organizations, users, agents to plumbline_directory;
