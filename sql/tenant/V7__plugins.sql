-- Plugins: what is known of a version, the modes of its use, what its runs came to, and back-tests.

-- What its validation found. A version is never changed; those from before this migration have no report.
alter table plugin_versions
    add column summary text not null default '' check (length(summary) <= 2000),
    add column settings_schema jsonb,
    -- The fields that it reads and the limits that it asks for.
    add column manifest jsonb not null default '{}',
    add column report jsonb,
    add column uploaded_by text not null default '';
create index plugin_versions_newest on plugin_versions (organization_id, created_at desc, digest desc);

-- Beside the active binding of an organization and world there may be one whose scores do not count (shadow), or count for a share of the calls (canary).
alter table plugin_bindings
    add column mode text not null default 'active' check (mode in ('active', 'shadow', 'canary')),
    -- The share of the calls, in hundredths of a percent.
    add column canary_share integer check (canary_share between 1 and 10000),
    -- A canary is rolled back once this share of its runs failed, or its scores drifted this far from the active ones on average, in hundredths ...
    add column most_faults integer not null default 500 check (most_faults between 0 and 10000),
    add column most_drift integer not null default 1000 check (most_drift between 0 and 10000),
    -- ... over at least so many runs.
    add column least_runs integer not null default 20 check (least_runs between 1 and 10000),
    add column created_by text not null default '',
    add column ended_by text,
    add column ended_because text check (ended_because in ('replaced', 'unbound', 'promoted', 'rolled_back', 'faults', 'drift')),
    -- Which active one it took the place of: that comes back when it is rolled back. Null where the built-in one was there.
    add column replaces uuid references plugin_bindings,
    add constraint plugin_bindings_share check ((mode = 'canary') = (canary_share is not null));
drop index plugin_bindings_active;
create unique index plugin_bindings_active on plugin_bindings (organization_id, world) where ended_at is null and mode = 'active';
create unique index plugin_bindings_beside on plugin_bindings (organization_id, world) where ended_at is null and mode <> 'active';
create index plugin_bindings_newest on plugin_bindings (organization_id, world, created_at desc, binding_id desc);

-- What an organization asks of a version before it may score.
create table plugin_policies (
    organization_id uuid primary key references organizations,
    -- A finished back-test of the version and settings over at least so many calls; null when none is asked for.
    backtest_calls integer check (backtest_calls between 1 and 100000),
    revision integer not null default 1 check (revision > 0),
    updated_by text not null,
    updated_at timestamptz not null
);

-- Runs of plugins, kept for a while: what an author sees of them.
create table plugin_runs (
    plugin_run_id uuid primary key,
    organization_id uuid not null references organizations,
    digest text not null references plugin_versions,
    -- Null where no binding stands behind it, as in a test.
    binding_id uuid references plugin_bindings,
    -- Null when the conversation was pasted.
    call_id uuid references calls,
    evaluation_id uuid references evaluations,
    -- The active one's run beside a canary is a comparison.
    purpose text not null check (purpose in ('active', 'canary', 'shadow', 'comparison', 'test')),
    -- `ok`, or the failure's code.
    outcome text not null check (length(outcome) between 1 and 64),
    -- The failure in words, which may quote the call.
    message text check (length(message) <= 2000),
    -- [level, message] pairs, the first ones; how many were cut or left out.
    log jsonb not null default '[]',
    log_truncated integer not null default 0 check (log_truncated >= 0),
    fuel bigint not null check (fuel >= 0),
    elapsed_us bigint not null check (elapsed_us >= 0),
    memory_bytes bigint not null check (memory_bytes >= 0),
    -- What it scored, and what that is held against, in hundredths: the score that counts; of a canary, which counts itself, the score of the
    -- one that it is tried beside. And whether the call passes by each, where there is a pass mark.
    overall integer check (overall between 0 and 10000),
    counted integer check (counted between 0 and 10000),
    passed boolean,
    counted_passed boolean,
    -- What it returned, where that counts for nothing and so stands nowhere else.
    output jsonb,
    ran_at timestamptz not null
);
create index plugin_runs_newest on plugin_runs (organization_id, digest, ran_at desc, plugin_run_id desc);
create index plugin_runs_of_binding on plugin_runs (binding_id, ran_at desc) where binding_id is not null;
create index plugin_runs_of_call on plugin_runs (call_id) where call_id is not null;
create index plugin_runs_oldest on plugin_runs (organization_id, ran_at);

-- A version over many stored evaluations.
create table backtests (
    backtest_id uuid primary key,
    -- Whose evaluations.
    organization_id uuid not null references organizations,
    digest text not null references plugin_versions,
    settings jsonb not null,
    settings_digest text not null check (settings_digest ~ '^[0-9a-f]{64}$'),
    filter jsonb not null,
    status text not null check (status in ('waiting', 'running', 'succeeded', 'failed', 'cancelled')),
    cancel_requested boolean not null default false,
    -- Calls that fitted when it was asked for; those that were looked at; those that the version scored without a fault.
    calls_total integer not null check (calls_total >= 0),
    calls_done integer not null default 0 check (calls_done >= 0),
    calls_scored integer not null default 0 check (calls_scored between 0 and calls_done),
    -- The call that was looked at last, newest first, and what was found until there: where it goes on.
    cursor_at timestamptz,
    cursor_id uuid,
    found jsonb,
    report jsonb,
    failure text check (length(failure) <= 2000),
    requested_by text not null,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz
);
create index backtests_newest on backtests (organization_id, digest, created_at desc, backtest_id desc);
-- One at a time: it may take every core.
create unique index backtests_one on backtests (organization_id) where status in ('waiting', 'running');
create index backtests_of_version on backtests (digest, settings_digest) where status = 'succeeded';

alter table plugin_policies enable row level security;
alter table plugin_runs enable row level security;
alter table backtests enable row level security;

create policy member on plugin_policies to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on plugin_runs to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on backtests to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));

grant select, insert, update on plugin_policies, backtests to plumbline_member;
grant select, insert, delete on plugin_runs to plumbline_member;
