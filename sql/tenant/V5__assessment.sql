-- What the language model was asked and paid for, how its evidence held, what people answered, and what all that cost.

-- Answers of the language model, stored before anything is done with them: the same question about a call is never bought twice.
create table model_answers (
    call_id uuid not null references calls,
    -- SHA-256 of everything that was sent.
    request_digest text not null check (request_digest ~ '^[0-9a-f]{64}$'),
    organization_id uuid not null references organizations,
    agent_id uuid references agents,
    provider text not null,
    model text not null,
    -- The provider's name for the configuration that answered.
    fingerprint text,
    content text not null,
    prompt_tokens bigint not null check (prompt_tokens >= 0),
    completion_tokens bigint not null check (completion_tokens >= 0),
    -- Whether its tokens are in the usage already.
    counted boolean not null default false,
    answered_at timestamptz not null,
    primary key (call_id, request_digest)
);

alter table evaluations
    add column fingerprint text,
    -- What besides the question decided the model's answer: model asked, temperature, seed, most tokens.
    add column parameters jsonb not null default '{}',
    -- Quotes of the language model, and those that are not in the transcript.
    add column quotes integer not null default 0 check (quotes >= 0),
    add column quotes_rejected integer not null default 0 check (quotes_rejected between 0 and quotes),
    add column human_answers jsonb not null default '[]',
    -- In millionths of the currency's unit, by the price table of that day; null where it has no price.
    add column cost_micros bigint check (cost_micros >= 0),
    -- What its prompt builder and its scorer took, where these are plugins.
    add column plugin_fuel bigint not null default 0 check (plugin_fuel >= 0),
    add column plugin_us bigint not null default 0 check (plugin_us >= 0);

-- What each organization's evaluations cost, by day (UTC).
create table usage_costs (
    organization_id uuid not null references organizations,
    day date not null,
    evaluations bigint not null default 0 check (evaluations >= 0),
    prompt_tokens bigint not null default 0 check (prompt_tokens >= 0),
    completion_tokens bigint not null default 0 check (completion_tokens >= 0),
    cost_micros bigint not null default 0 check (cost_micros >= 0),
    -- Evaluations whose model has no price.
    unpriced bigint not null default 0 check (unpriced >= 0),
    -- What plugins took for them.
    plugin_fuel bigint not null default 0 check (plugin_fuel >= 0),
    plugin_us bigint not null default 0 check (plugin_us >= 0),
    primary key (organization_id, day)
);

alter table model_answers enable row level security;
alter table usage_costs enable row level security;

create policy member on model_answers to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));
create policy member on usage_costs to plumbline_member using (organization_id = any (current_setting('app.organizations')::uuid[]));

grant select, insert, update, delete on model_answers to plumbline_member;
grant select, insert, update on usage_costs to plumbline_member;
