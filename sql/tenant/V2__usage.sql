-- What the tenant used, by day (UTC) and in all: rows of the root organization, counted in the transaction that uses it.

create table usage_days (
    organization_id uuid not null references organizations,
    day date not null,
    calls bigint not null default 0 check (calls >= 0),
    audio_ms bigint not null default 0 check (audio_ms >= 0),
    stored_bytes bigint not null default 0,
    evaluations bigint not null default 0 check (evaluations >= 0),
    prompt_tokens bigint not null default 0 check (prompt_tokens >= 0),
    completion_tokens bigint not null default 0 check (completion_tokens >= 0),
    primary key (organization_id, day)
);

create table usage_totals (
    organization_id uuid primary key references organizations,
    stored_bytes bigint not null default 0 check (stored_bytes >= 0),
    plugins bigint not null default 0 check (plugins >= 0)
);

alter table usage_days enable row level security;
alter table usage_totals enable row level security;

create policy member on usage_days to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on usage_totals to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));

grant select, insert, update on usage_days, usage_totals to plumbline_member;

-- What was there before it was counted.
insert into usage_totals (organization_id, stored_bytes, plugins)
select root.organization_id,
       (select coalesce(sum(size_bytes), 0) from audio_files) + (select coalesce(sum(size_bytes), 0) from plugin_versions),
       (select count(*) from plugin_versions)
from organizations root
where root.organization_id = root.root_organization_id;

insert into usage_days (organization_id, day, calls, audio_ms)
select organizations.root_organization_id, (received_at at time zone 'UTC')::date, count(*),
       coalesce(sum(duration_ms) filter (where exists (select from audio_files where audio_files.call_id = calls.call_id)), 0)
from calls join organizations using (organization_id)
group by 1, 2;
