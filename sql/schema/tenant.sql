-- The schema `tenant` as its migrations leave it: read from the catalogs by tests/it/sql.rs, for people to read in a review.

-- table agents, row level security
    agent_id uuid not null
    organization_id uuid not null
    user_id uuid
    external_id text
    display_name text not null
    status text not null default 'active'::text
    revision integer not null default 1
    created_at timestamp with time zone not null
    updated_at timestamp with time zone not null
    constraint agents_display_name_check CHECK (((length(display_name) >= 1) AND (length(display_name) <= 200)))
    constraint agents_external_id UNIQUE (organization_id, external_id)
    constraint agents_external_id_check CHECK (((length(external_id) >= 1) AND (length(external_id) <= 200)))
    constraint agents_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint agents_pkey PRIMARY KEY (agent_id)
    constraint agents_status_check CHECK ((status = ANY (ARRAY['active'::text, 'deactivated'::text])))
    constraint agents_user UNIQUE (user_id)
    constraint agents_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(user_id)
    CREATE INDEX agents_newest ON agents USING btree (organization_id, created_at DESC, agent_id DESC)
    policy directory for all to plumbline_directory using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
    grant select to plumbline_directory
-- table audio_files, row level security
    audio_file_id uuid not null
    call_id uuid not null
    organization_id uuid not null
    agent_id uuid
    sha256 text not null
    size_bytes bigint not null
    content_type text not null
    channels smallint
    agent_channel smallint not null default 1
    object_key text not null
    created_at timestamp with time zone not null
    constraint audio_files_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint audio_files_call UNIQUE (call_id)
    constraint audio_files_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint audio_files_object_key_key UNIQUE (object_key)
    constraint audio_files_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint audio_files_pkey PRIMARY KEY (audio_file_id)
    constraint audio_files_sha256 UNIQUE (organization_id, sha256)
    constraint audio_files_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
    constraint audio_files_size_bytes_check CHECK ((size_bytes > 0))
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select to plumbline_member
    grant select to plumbline_agent
-- table audit_events, row level security
    audit_event_id uuid not null
    organization_id uuid not null
    actor text not null
    action text not null
    subject_kind text not null
    subject_id uuid
    request_id text
    details jsonb not null
    occurred_at timestamp with time zone not null
    constraint audit_events_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint audit_events_pkey PRIMARY KEY (audit_event_id)
    CREATE INDEX audit_events_newest ON audit_events USING btree (organization_id, occurred_at DESC, audit_event_id DESC)
    policy agent for insert to plumbline_agent with check (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert to plumbline_agent
    grant insert, select to plumbline_member
-- table backtests, row level security
    backtest_id uuid not null
    organization_id uuid not null
    digest text not null
    settings jsonb not null
    settings_digest text not null
    filter jsonb not null
    status text not null
    cancel_requested boolean not null default false
    calls_total integer not null
    calls_done integer not null default 0
    calls_scored integer not null default 0
    cursor_at timestamp with time zone
    cursor_id uuid
    found jsonb
    report jsonb
    failure text
    requested_by text not null
    created_at timestamp with time zone not null
    started_at timestamp with time zone
    ended_at timestamp with time zone
    constraint backtests_calls_done_check CHECK ((calls_done >= 0))
    constraint backtests_calls_total_check CHECK ((calls_total >= 0))
    constraint backtests_check CHECK (((calls_scored >= 0) AND (calls_scored <= calls_done)))
    constraint backtests_digest_fkey FOREIGN KEY (digest) REFERENCES plugin_versions(digest)
    constraint backtests_failure_check CHECK ((length(failure) <= 2000))
    constraint backtests_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint backtests_pkey PRIMARY KEY (backtest_id)
    constraint backtests_settings_digest_check CHECK ((settings_digest ~ '^[0-9a-f]{64}$'::text))
    constraint backtests_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])))
    CREATE INDEX backtests_newest ON backtests USING btree (organization_id, digest, created_at DESC, backtest_id DESC)
    CREATE INDEX backtests_of_version ON backtests USING btree (digest, settings_digest) WHERE (status = 'succeeded'::text)
    CREATE UNIQUE INDEX backtests_one ON backtests USING btree (organization_id) WHERE (status = ANY (ARRAY['waiting'::text, 'running'::text]))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table calls, row level security
    call_id uuid not null
    organization_id uuid not null
    agent_id uuid
    scorecard_id uuid
    external_id text
    channel text not null
    language text
    status text not null
    failed_stage text
    failure_kind text
    failure_reason text
    duration_ms bigint
    started_at timestamp with time zone
    received_at timestamp with time zone not null
    transcribed_at timestamp with time zone
    evaluated_at timestamp with time zone
    overall_score numeric(5,2)
    queue text
    direction text
    constraint calls_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint calls_channel_check CHECK ((channel = ANY (ARRAY['phone'::text, 'chat'::text, 'email'::text])))
    constraint calls_check CHECK (((status = 'failed'::text) = (failed_stage IS NOT NULL)))
    constraint calls_direction_check CHECK ((direction = ANY (ARRAY['inbound'::text, 'outbound'::text])))
    constraint calls_duration_ms_check CHECK ((duration_ms >= 0))
    constraint calls_external_id UNIQUE (organization_id, external_id)
    constraint calls_external_id_check CHECK (((length(external_id) >= 1) AND (length(external_id) <= 200)))
    constraint calls_failed_stage_check CHECK ((failed_stage = ANY (ARRAY['transcribe'::text, 'assess'::text, 'score'::text, 'follow_up'::text])))
    constraint calls_failure_kind_check CHECK ((length(failure_kind) <= 100))
    constraint calls_failure_reason_check CHECK ((length(failure_reason) <= 2000))
    constraint calls_language_check CHECK (((length(language) >= 2) AND (length(language) <= 35)))
    constraint calls_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint calls_overall_score_check CHECK (((overall_score >= (0)::numeric) AND (overall_score <= (100)::numeric)))
    constraint calls_pkey PRIMARY KEY (call_id)
    constraint calls_queue_check CHECK (((length(queue) >= 1) AND (length(queue) <= 200)))
    constraint calls_scorecard_id_fkey FOREIGN KEY (scorecard_id) REFERENCES scorecards(scorecard_id)
    constraint calls_status_check CHECK ((status = ANY (ARRAY['received'::text, 'transcribed'::text, 'assessed'::text, 'evaluated'::text, 'failed'::text])))
    CREATE INDEX calls_agent ON calls USING btree (agent_id, received_at DESC, call_id DESC)
    CREATE INDEX calls_newest ON calls USING btree (organization_id, received_at DESC, call_id DESC)
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
    grant select to plumbline_agent
-- table evaluations, row level security
    evaluation_id uuid not null
    call_id uuid not null
    organization_id uuid not null
    agent_id uuid
    scorecard_version_id uuid not null
    status text not null
    provider text not null
    model text not null
    prompt_digest text not null
    prompt_builder text not null
    raw_answer text not null
    answers jsonb not null
    prompt_tokens bigint not null
    completion_tokens bigint not null
    scorer text
    scorer_note text
    overall_score numeric(5,2)
    needs_review boolean not null default false
    receipt jsonb not null
    assessed_at timestamp with time zone not null
    evaluated_at timestamp with time zone
    passed boolean
    fingerprint text
    parameters jsonb not null default '{}'::jsonb
    quotes integer not null default 0
    quotes_rejected integer not null default 0
    human_answers jsonb not null default '[]'::jsonb
    cost_micros bigint
    plugin_fuel bigint not null default 0
    plugin_us bigint not null default 0
    revision integer not null default 1
    cause text not null default 'first'::text
    replaces uuid
    is_current boolean not null default true
    transcript_version integer not null default 1
    rescore_id uuid
    signature text
    public_key text
    constraint evaluations_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint evaluations_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint evaluations_cause_check CHECK ((cause = ANY (ARRAY['first'::text, 'rescore'::text, 'human_answers'::text, 'transcript_correction'::text, 'rerun'::text])))
    constraint evaluations_check CHECK (((quotes_rejected >= 0) AND (quotes_rejected <= quotes)))
    constraint evaluations_cost_micros_check CHECK ((cost_micros >= 0))
    constraint evaluations_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint evaluations_overall_score_check CHECK (((overall_score >= (0)::numeric) AND (overall_score <= (100)::numeric)))
    constraint evaluations_pkey PRIMARY KEY (evaluation_id)
    constraint evaluations_plugin_fuel_check CHECK ((plugin_fuel >= 0))
    constraint evaluations_plugin_us_check CHECK ((plugin_us >= 0))
    constraint evaluations_prompt_digest_check CHECK ((prompt_digest ~ '^[0-9a-f]{64}$'::text))
    constraint evaluations_quotes_check CHECK ((quotes >= 0))
    constraint evaluations_replaces_fkey FOREIGN KEY (replaces) REFERENCES evaluations(evaluation_id)
    constraint evaluations_revision_check CHECK ((revision > 0))
    constraint evaluations_scorecard_version_id_fkey FOREIGN KEY (scorecard_version_id) REFERENCES scorecard_versions(scorecard_version_id)
    constraint evaluations_scorer_note_check CHECK ((length(scorer_note) <= 2000))
    constraint evaluations_status_check CHECK ((status = ANY (ARRAY['assessed'::text, 'held'::text, 'evaluated'::text])))
    CREATE INDEX evaluations_call ON evaluations USING btree (call_id, assessed_at DESC)
    CREATE INDEX evaluations_current ON evaluations USING btree (organization_id, assessed_at DESC, evaluation_id DESC) WHERE is_current
    CREATE INDEX evaluations_newest ON evaluations USING btree (organization_id, assessed_at DESC, evaluation_id DESC)
    CREATE UNIQUE INDEX evaluations_one_current ON evaluations USING btree (call_id) WHERE is_current
    CREATE UNIQUE INDEX evaluations_revision ON evaluations USING btree (call_id, revision)
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
    grant select to plumbline_agent
-- table idempotency_keys, row level security
    organization_id uuid not null
    actor text not null
    operation text not null
    key text not null
    request_digest text not null
    status smallint
    headers jsonb
    body text
    created_at timestamp with time zone not null
    constraint idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
    constraint idempotency_keys_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint idempotency_keys_pkey PRIMARY KEY (organization_id, actor, operation, key)
    CREATE INDEX idempotency_keys_created ON idempotency_keys USING btree (created_at)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant delete, insert, select, update to plumbline_member
-- table insights, row level security
    evaluation_id uuid not null
    n integer not null
    organization_id uuid not null
    agent_id uuid
    kind text not null
    criterion_key text
    text text not null
    constraint insights_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint insights_evaluation_id_fkey FOREIGN KEY (evaluation_id) REFERENCES evaluations(evaluation_id)
    constraint insights_kind_check CHECK ((kind = ANY (ARRAY['strength'::text, 'risk'::text, 'failed_criterion'::text, 'unverified_evidence'::text, 'note'::text])))
    constraint insights_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint insights_pkey PRIMARY KEY (evaluation_id, n)
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant delete, insert, select to plumbline_member
    grant select to plumbline_agent
-- table model_answers, row level security
    call_id uuid not null
    request_digest text not null
    organization_id uuid not null
    agent_id uuid
    provider text not null
    model text not null
    fingerprint text
    content text not null
    prompt_tokens bigint not null
    completion_tokens bigint not null
    counted boolean not null default false
    answered_at timestamp with time zone not null
    constraint model_answers_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint model_answers_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint model_answers_completion_tokens_check CHECK ((completion_tokens >= 0))
    constraint model_answers_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint model_answers_pkey PRIMARY KEY (call_id, request_digest)
    constraint model_answers_prompt_tokens_check CHECK ((prompt_tokens >= 0))
    constraint model_answers_request_digest_check CHECK ((request_digest ~ '^[0-9a-f]{64}$'::text))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant delete, insert, select, update to plumbline_member
-- table organizations, row level security
    organization_id uuid not null
    root_organization_id uuid not null
    slug text not null
    name text not null
    status text not null default 'active'::text
    revision integer not null default 1
    created_at timestamp with time zone not null
    updated_at timestamp with time zone not null
    constraint organizations_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)))
    constraint organizations_pkey PRIMARY KEY (organization_id)
    constraint organizations_root_organization_id_fkey FOREIGN KEY (root_organization_id) REFERENCES organizations(organization_id)
    constraint organizations_slug UNIQUE (slug)
    constraint organizations_slug_check CHECK ((slug ~ '^[a-z][a-z0-9-]{0,62}$'::text))
    constraint organizations_status_check CHECK ((status = ANY (ARRAY['active'::text, 'deactivated'::text])))
    policy directory for all to plumbline_directory using (root_organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[])) with check (root_organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
    grant select to plumbline_directory
-- table plugin_bindings, row level security
    binding_id uuid not null
    organization_id uuid not null
    digest text not null
    world text not null
    settings jsonb not null
    failure_policy text not null
    created_at timestamp with time zone not null
    ended_at timestamp with time zone
    mode text not null default 'active'::text
    canary_share integer
    most_faults integer not null default 500
    most_drift integer not null default 1000
    least_runs integer not null default 20
    created_by text not null default ''::text
    ended_by text
    ended_because text
    replaces uuid
    constraint plugin_bindings_canary_share_check CHECK (((canary_share >= 1) AND (canary_share <= 10000)))
    constraint plugin_bindings_digest_fkey FOREIGN KEY (digest) REFERENCES plugin_versions(digest)
    constraint plugin_bindings_ended_because_check CHECK ((ended_because = ANY (ARRAY['replaced'::text, 'unbound'::text, 'promoted'::text, 'rolled_back'::text, 'faults'::text, 'drift'::text])))
    constraint plugin_bindings_failure_policy_check CHECK ((failure_policy = ANY (ARRAY['fall_back'::text, 'hold'::text, 'fail'::text])))
    constraint plugin_bindings_least_runs_check CHECK (((least_runs >= 1) AND (least_runs <= 10000)))
    constraint plugin_bindings_mode_check CHECK ((mode = ANY (ARRAY['active'::text, 'shadow'::text, 'canary'::text])))
    constraint plugin_bindings_most_drift_check CHECK (((most_drift >= 0) AND (most_drift <= 10000)))
    constraint plugin_bindings_most_faults_check CHECK (((most_faults >= 0) AND (most_faults <= 10000)))
    constraint plugin_bindings_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint plugin_bindings_pkey PRIMARY KEY (binding_id)
    constraint plugin_bindings_replaces_fkey FOREIGN KEY (replaces) REFERENCES plugin_bindings(binding_id)
    constraint plugin_bindings_share CHECK (((mode = 'canary'::text) = (canary_share IS NOT NULL)))
    constraint plugin_bindings_world_check CHECK ((world = ANY (ARRAY['scorer'::text, 'prompt_builder'::text])))
    CREATE INDEX plugin_bindings_newest ON plugin_bindings USING btree (organization_id, world, created_at DESC, binding_id DESC)
    CREATE UNIQUE INDEX plugin_bindings_active ON plugin_bindings USING btree (organization_id, world) WHERE ((ended_at IS NULL) AND (mode = 'active'::text))
    CREATE UNIQUE INDEX plugin_bindings_beside ON plugin_bindings USING btree (organization_id, world) WHERE ((ended_at IS NULL) AND (mode <> 'active'::text))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table plugin_policies, row level security
    organization_id uuid not null
    backtest_calls integer
    revision integer not null default 1
    updated_by text not null
    updated_at timestamp with time zone not null
    constraint plugin_policies_backtest_calls_check CHECK (((backtest_calls >= 1) AND (backtest_calls <= 100000)))
    constraint plugin_policies_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint plugin_policies_pkey PRIMARY KEY (organization_id)
    constraint plugin_policies_revision_check CHECK ((revision > 0))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table plugin_runs, row level security
    plugin_run_id uuid not null
    organization_id uuid not null
    digest text not null
    binding_id uuid
    call_id uuid
    evaluation_id uuid
    purpose text not null
    outcome text not null
    message text
    log jsonb not null default '[]'::jsonb
    log_truncated integer not null default 0
    fuel bigint not null
    elapsed_us bigint not null
    memory_bytes bigint not null
    overall integer
    counted integer
    passed boolean
    counted_passed boolean
    output jsonb
    ran_at timestamp with time zone not null
    constraint plugin_runs_binding_id_fkey FOREIGN KEY (binding_id) REFERENCES plugin_bindings(binding_id)
    constraint plugin_runs_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint plugin_runs_counted_check CHECK (((counted >= 0) AND (counted <= 10000)))
    constraint plugin_runs_digest_fkey FOREIGN KEY (digest) REFERENCES plugin_versions(digest)
    constraint plugin_runs_elapsed_us_check CHECK ((elapsed_us >= 0))
    constraint plugin_runs_evaluation_id_fkey FOREIGN KEY (evaluation_id) REFERENCES evaluations(evaluation_id)
    constraint plugin_runs_fuel_check CHECK ((fuel >= 0))
    constraint plugin_runs_log_truncated_check CHECK ((log_truncated >= 0))
    constraint plugin_runs_memory_bytes_check CHECK ((memory_bytes >= 0))
    constraint plugin_runs_message_check CHECK ((length(message) <= 2000))
    constraint plugin_runs_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint plugin_runs_outcome_check CHECK (((length(outcome) >= 1) AND (length(outcome) <= 64)))
    constraint plugin_runs_overall_check CHECK (((overall >= 0) AND (overall <= 10000)))
    constraint plugin_runs_pkey PRIMARY KEY (plugin_run_id)
    constraint plugin_runs_purpose_check CHECK ((purpose = ANY (ARRAY['active'::text, 'canary'::text, 'shadow'::text, 'comparison'::text, 'test'::text])))
    CREATE INDEX plugin_runs_newest ON plugin_runs USING btree (organization_id, digest, ran_at DESC, plugin_run_id DESC)
    CREATE INDEX plugin_runs_of_binding ON plugin_runs USING btree (binding_id, ran_at DESC) WHERE (binding_id IS NOT NULL)
    CREATE INDEX plugin_runs_of_call ON plugin_runs USING btree (call_id) WHERE (call_id IS NOT NULL)
    CREATE INDEX plugin_runs_oldest ON plugin_runs USING btree (organization_id, ran_at)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant delete, insert, select to plumbline_member
-- table plugin_versions, row level security
    digest text not null
    organization_id uuid not null
    name text not null
    version text not null
    world text not null
    size_bytes bigint not null
    object_key text not null
    created_at timestamp with time zone not null
    summary text not null default ''::text
    settings_schema jsonb
    manifest jsonb not null default '{}'::jsonb
    report jsonb
    uploaded_by text not null default ''::text
    constraint plugin_versions_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text))
    constraint plugin_versions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint plugin_versions_pkey PRIMARY KEY (digest)
    constraint plugin_versions_summary_check CHECK ((length(summary) <= 2000))
    constraint plugin_versions_world_check CHECK ((world = ANY (ARRAY['scorer'::text, 'prompt_builder'::text])))
    CREATE INDEX plugin_versions_newest ON plugin_versions USING btree (organization_id, created_at DESC, digest DESC)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select to plumbline_member
-- table receipt_keys, row level security
    receipt_key_id uuid not null
    organization_id uuid not null
    generation integer not null
    public_key text not null
    sealed_private_key text not null
    created_by text not null
    created_at timestamp with time zone not null
    constraint receipt_keys_generation UNIQUE (organization_id, generation)
    constraint receipt_keys_generation_check CHECK ((generation > 0))
    constraint receipt_keys_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint receipt_keys_pkey PRIMARY KEY (receipt_key_id)
    constraint receipt_keys_public_key_check CHECK ((length(public_key) = 44))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select to plumbline_member
-- table rescore_items, row level security
    rescore_id uuid not null
    call_id uuid not null
    organization_id uuid not null
    agent_id uuid
    status text not null
    before_id uuid not null
    after_id uuid
    reason text
    asked_criteria integer
    reused_criteria integer
    constraint rescore_items_after_id_fkey FOREIGN KEY (after_id) REFERENCES evaluations(evaluation_id)
    constraint rescore_items_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint rescore_items_before_id_fkey FOREIGN KEY (before_id) REFERENCES evaluations(evaluation_id)
    constraint rescore_items_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint rescore_items_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint rescore_items_pkey PRIMARY KEY (rescore_id, call_id)
    constraint rescore_items_reason_check CHECK ((length(reason) <= 2000))
    constraint rescore_items_rescore_id_fkey FOREIGN KEY (rescore_id) REFERENCES rescores(rescore_id)
    constraint rescore_items_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'queued'::text, 'assessed'::text, 'skipped'::text, 'failed'::text, 'cancelled'::text])))
    CREATE INDEX rescore_items_status ON rescore_items USING btree (rescore_id, status, call_id)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table rescores, row level security
    rescore_id uuid not null
    organization_id uuid not null
    scorecard_version_id uuid not null
    status text not null
    agent_id uuid
    received_from timestamp with time zone
    received_before timestamp with time zone
    cancel_requested boolean not null default false
    requested_by text not null
    created_at timestamp with time zone not null
    ended_at timestamp with time zone
    constraint rescores_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint rescores_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint rescores_pkey PRIMARY KEY (rescore_id)
    constraint rescores_scorecard_version_id_fkey FOREIGN KEY (scorecard_version_id) REFERENCES scorecard_versions(scorecard_version_id)
    constraint rescores_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'running'::text, 'succeeded'::text, 'cancelled'::text])))
    CREATE INDEX rescores_newest ON rescores USING btree (organization_id, created_at DESC, rescore_id DESC)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table scorecard_versions, row level security
    scorecard_version_id uuid not null
    scorecard_id uuid not null
    organization_id uuid not null
    version integer not null
    definition jsonb not null
    digest text not null
    published_at timestamp with time zone not null
    published_by text not null
    constraint scorecard_versions_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text))
    constraint scorecard_versions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint scorecard_versions_pkey PRIMARY KEY (scorecard_version_id)
    constraint scorecard_versions_scorecard_id_fkey FOREIGN KEY (scorecard_id) REFERENCES scorecards(scorecard_id)
    constraint scorecard_versions_version UNIQUE (scorecard_id, version)
    constraint scorecard_versions_version_check CHECK ((version > 0))
    CREATE INDEX scorecard_versions_newest ON scorecard_versions USING btree (organization_id, published_at DESC)
    policy agent for all to plumbline_agent using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select to plumbline_member
    grant select to plumbline_agent
-- table scorecards, row level security
    scorecard_id uuid not null
    organization_id uuid not null
    name text not null
    draft jsonb
    revision integer not null default 1
    created_at timestamp with time zone not null
    updated_at timestamp with time zone not null
    retired_at timestamp with time zone
    constraint scorecards_name UNIQUE (organization_id, name)
    constraint scorecards_name_check CHECK (((length(name) >= 1) AND (length(name) <= 200)))
    constraint scorecards_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint scorecards_pkey PRIMARY KEY (scorecard_id)
    CREATE INDEX scorecards_newest ON scorecards USING btree (organization_id, created_at DESC, scorecard_id DESC)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table scores, row level security
    evaluation_id uuid not null
    criterion_key text not null
    organization_id uuid not null
    agent_id uuid
    section_key text not null
    verdict text not null
    score numeric(5,2)
    passed boolean
    note text
    constraint scores_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint scores_evaluation_id_fkey FOREIGN KEY (evaluation_id) REFERENCES evaluations(evaluation_id)
    constraint scores_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint scores_pkey PRIMARY KEY (evaluation_id, criterion_key)
    constraint scores_score_check CHECK (((score >= (0)::numeric) AND (score <= (100)::numeric)))
    constraint scores_verdict_check CHECK ((verdict = ANY (ARRAY['yes'::text, 'no'::text, 'not_applicable'::text, 'unverified'::text, 'answered'::text, 'pending'::text])))
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant delete, insert, select to plumbline_member
    grant select to plumbline_agent
-- table transcript_versions, row level security
    call_id uuid not null
    version integer not null
    organization_id uuid not null
    agent_id uuid
    provider text not null
    model text
    language text
    digest text
    metrics jsonb
    redaction jsonb
    utterances jsonb not null
    corrected_by text
    corrected_at timestamp with time zone
    completed_at timestamp with time zone not null
    replaced_by text not null
    replaced_at timestamp with time zone not null
    constraint transcript_versions_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint transcript_versions_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint transcript_versions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint transcript_versions_pkey PRIMARY KEY (call_id, version)
    constraint transcript_versions_version_check CHECK ((version > 0))
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select to plumbline_member
    grant select to plumbline_agent
-- table transcriptions, row level security
    call_id uuid not null
    organization_id uuid not null
    agent_id uuid
    provider text not null
    reference text
    webhook_secret text
    model text
    language text
    digest text
    metrics jsonb
    submitted_at timestamp with time zone not null
    completed_at timestamp with time zone
    redacted_digest text
    redaction jsonb
    redaction_digest text
    version integer not null default 1
    corrected_by text
    corrected_at timestamp with time zone
    constraint transcriptions_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint transcriptions_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint transcriptions_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text))
    constraint transcriptions_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint transcriptions_pkey PRIMARY KEY (call_id)
    constraint transcriptions_redacted_digest_check CHECK ((redacted_digest ~ '^[0-9a-f]{64}$'::text))
    constraint transcriptions_redaction_digest_check CHECK ((redaction_digest ~ '^[0-9a-f]{64}$'::text))
    constraint transcriptions_version_check CHECK ((version > 0))
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
    grant select to plumbline_agent
-- table usage_costs, row level security
    organization_id uuid not null
    day date not null
    evaluations bigint not null default 0
    prompt_tokens bigint not null default 0
    completion_tokens bigint not null default 0
    cost_micros bigint not null default 0
    unpriced bigint not null default 0
    plugin_fuel bigint not null default 0
    plugin_us bigint not null default 0
    constraint usage_costs_completion_tokens_check CHECK ((completion_tokens >= 0))
    constraint usage_costs_cost_micros_check CHECK ((cost_micros >= 0))
    constraint usage_costs_evaluations_check CHECK ((evaluations >= 0))
    constraint usage_costs_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint usage_costs_pkey PRIMARY KEY (organization_id, day)
    constraint usage_costs_plugin_fuel_check CHECK ((plugin_fuel >= 0))
    constraint usage_costs_plugin_us_check CHECK ((plugin_us >= 0))
    constraint usage_costs_prompt_tokens_check CHECK ((prompt_tokens >= 0))
    constraint usage_costs_unpriced_check CHECK ((unpriced >= 0))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table usage_days, row level security
    organization_id uuid not null
    day date not null
    calls bigint not null default 0
    audio_ms bigint not null default 0
    stored_bytes bigint not null default 0
    evaluations bigint not null default 0
    prompt_tokens bigint not null default 0
    completion_tokens bigint not null default 0
    constraint usage_days_audio_ms_check CHECK ((audio_ms >= 0))
    constraint usage_days_calls_check CHECK ((calls >= 0))
    constraint usage_days_completion_tokens_check CHECK ((completion_tokens >= 0))
    constraint usage_days_evaluations_check CHECK ((evaluations >= 0))
    constraint usage_days_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint usage_days_pkey PRIMARY KEY (organization_id, day)
    constraint usage_days_prompt_tokens_check CHECK ((prompt_tokens >= 0))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table usage_totals, row level security
    organization_id uuid not null
    stored_bytes bigint not null default 0
    plugins bigint not null default 0
    constraint usage_totals_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint usage_totals_pkey PRIMARY KEY (organization_id)
    constraint usage_totals_plugins_check CHECK ((plugins >= 0))
    constraint usage_totals_stored_bytes_check CHECK ((stored_bytes >= 0))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
-- table users, row level security
    user_id uuid not null
    organization_id uuid not null
    subject text
    display_name text not null
    email text
    status text not null default 'active'::text
    revision integer not null default 1
    created_at timestamp with time zone not null
    updated_at timestamp with time zone not null
    constraint users_display_name_check CHECK (((length(display_name) >= 1) AND (length(display_name) <= 200)))
    constraint users_email_check CHECK (((length(email) >= 3) AND (length(email) <= 320)))
    constraint users_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint users_pkey PRIMARY KEY (user_id)
    constraint users_status_check CHECK ((status = ANY (ARRAY['active'::text, 'deactivated'::text])))
    constraint users_subject UNIQUE (subject)
    constraint users_subject_check CHECK (((length(subject) >= 1) AND (length(subject) <= 255)))
    CREATE INDEX users_newest ON users USING btree (organization_id, created_at DESC, user_id DESC)
    policy directory for all to plumbline_directory using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant insert, select, update to plumbline_member
    grant select to plumbline_directory
-- table utterances, row level security
    call_id uuid not null
    n integer not null
    organization_id uuid not null
    agent_id uuid
    speaker text not null
    start_ms bigint
    end_ms bigint
    text text not null
    redacted_text text
    constraint utterances_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(agent_id)
    constraint utterances_call_id_fkey FOREIGN KEY (call_id) REFERENCES calls(call_id)
    constraint utterances_check CHECK ((end_ms >= start_ms))
    constraint utterances_n_check CHECK ((n > 0))
    constraint utterances_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations(organization_id)
    constraint utterances_pkey PRIMARY KEY (call_id, n)
    constraint utterances_speaker_check CHECK ((speaker = ANY (ARRAY['agent'::text, 'customer'::text, 'system'::text, 'unknown'::text])))
    constraint utterances_start_ms_check CHECK ((start_ms >= 0))
    policy agent for all to plumbline_agent using (agent_id = (current_setting('app.agent'::text))::uuid)
    policy member for all to plumbline_member using (organization_id = ANY ((current_setting('app.organizations'::text))::uuid[]))
    grant delete, insert, select to plumbline_member
    grant select to plumbline_agent
