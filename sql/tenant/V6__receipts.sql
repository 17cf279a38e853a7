-- Signed receipts, revisions of evaluations, versions of transcripts, and re-scores.

-- The keys that sign receipts: the newest signs, older ones verify. Never changed; the private half is sealed with the installation's master key.
create table receipt_keys (
    receipt_key_id uuid primary key,
    organization_id uuid not null references organizations,
    generation integer not null check (generation > 0),
    public_key text not null check (length(public_key) = 44),
    sealed_private_key text not null,
    created_by text not null,
    created_at timestamptz not null,
    constraint receipt_keys_generation unique (organization_id, generation)
);

-- A call's evaluations are revisions of each other; the newest is the current one.
alter table evaluations
    add column revision integer not null default 1 check (revision > 0),
    add column cause text not null default 'first'
        check (cause in ('first', 'rescore', 'human_answers', 'transcript_correction', 'rerun')),
    add column replaces uuid references evaluations,
    add column is_current boolean not null default true,
    -- The version of the transcript that it judges.
    add column transcript_version integer not null default 1,
    add column rescore_id uuid,
    -- Ed25519 over the receipt's canonical JSON, and the key that made it, in base64; null when the receipt is unsigned.
    add column signature text,
    add column public_key text;

update evaluations
set revision = numbered.revision, is_current = numbered.is_current, cause = numbered.cause, replaces = numbered.replaces
from (
    select evaluation_id,
           row_number() over calls as revision,
           lead(evaluation_id) over calls is null as is_current,
           case when lag(evaluation_id) over calls is null then 'first' else 'rerun' end as cause,
           lag(evaluation_id) over calls as replaces
    from evaluations
    window calls as (partition by call_id order by assessed_at, evaluation_id)
) numbered
where numbered.evaluation_id = evaluations.evaluation_id;

create unique index evaluations_revision on evaluations (call_id, revision);
create unique index evaluations_one_current on evaluations (call_id) where is_current;
create index evaluations_current on evaluations (organization_id, assessed_at desc, evaluation_id desc) where is_current;

alter table transcriptions
    add column version integer not null default 1 check (version > 0),
    -- Who made this version of the one before; null when a recogniser or the uploader did.
    add column corrected_by text,
    add column corrected_at timestamptz;

-- Transcripts that were replaced.
create table transcript_versions (
    call_id uuid not null references calls,
    version integer not null check (version > 0),
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    provider text not null,
    model text,
    language text,
    digest text,
    metrics jsonb,
    -- What personal data stands where in the utterances, which are as they were said.
    redaction jsonb,
    utterances jsonb not null,
    corrected_by text,
    corrected_at timestamptz,
    completed_at timestamptz not null,
    replaced_by text not null,
    replaced_at timestamptz not null,
    primary key (call_id, version)
);

-- Calls of an organization under another scorecard version.
create table rescores (
    rescore_id uuid primary key,
    organization_id uuid not null references organizations,
    scorecard_version_id uuid not null references scorecard_versions,
    status text not null check (status in ('waiting', 'running', 'succeeded', 'cancelled')),
    -- What the calls were chosen by.
    agent_id uuid references agents,
    received_from timestamptz,
    received_before timestamptz,
    cancel_requested boolean not null default false,
    requested_by text not null,
    created_at timestamptz not null,
    ended_at timestamptz
);
create index rescores_newest on rescores (organization_id, created_at desc, rescore_id desc);

create table rescore_items (
    rescore_id uuid not null references rescores,
    call_id uuid not null references calls,
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    status text not null check (status in ('waiting', 'queued', 'assessed', 'skipped', 'failed', 'cancelled')),
    -- The revision that the call had, and the one that it got.
    before_id uuid not null references evaluations,
    after_id uuid references evaluations,
    -- Why it was skipped or failed.
    reason text check (length(reason) <= 2000),
    asked_criteria integer,
    reused_criteria integer,
    primary key (rescore_id, call_id)
);
create index rescore_items_status on rescore_items (rescore_id, status, call_id);

alter table receipt_keys enable row level security;
alter table transcript_versions enable row level security;
alter table rescores enable row level security;
alter table rescore_items enable row level security;

create policy member on receipt_keys to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on transcript_versions to plumbline_member
    using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on rescores to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on rescore_items to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy agent on transcript_versions to plumbline_agent using (agent_id = current_setting('app.agent')::uuid);

grant select, insert on receipt_keys, transcript_versions to plumbline_member;
grant select, insert, update on rescores, rescore_items to plumbline_member;
grant select on transcript_versions to plumbline_agent;
