-- isolation/visible: whether any row of any table is seen; on purpose it names no organization, so that row security alone decides
select 'agents' as table_name, exists (select from tenant.agents) as visible
union all
select 'audio_files' as table_name, exists (select from tenant.audio_files) as visible
union all
select 'audit_events' as table_name, exists (select from tenant.audit_events) as visible
union all
select 'backtests' as table_name, exists (select from tenant.backtests) as visible
union all
select 'calls' as table_name, exists (select from tenant.calls) as visible
union all
select 'evaluations' as table_name, exists (select from tenant.evaluations) as visible
union all
select 'idempotency_keys' as table_name, exists (select from tenant.idempotency_keys) as visible
union all
select 'insights' as table_name, exists (select from tenant.insights) as visible
union all
select 'model_answers' as table_name, exists (select from tenant.model_answers) as visible
union all
select 'organizations' as table_name, exists (select from tenant.organizations) as visible
union all
select 'plugin_bindings' as table_name, exists (select from tenant.plugin_bindings) as visible
union all
select 'plugin_policies' as table_name, exists (select from tenant.plugin_policies) as visible
union all
select 'plugin_runs' as table_name, exists (select from tenant.plugin_runs) as visible
union all
select 'plugin_versions' as table_name, exists (select from tenant.plugin_versions) as visible
union all
select 'receipt_keys' as table_name, exists (select from tenant.receipt_keys) as visible
union all
select 'rescore_items' as table_name, exists (select from tenant.rescore_items) as visible
union all
select 'rescores' as table_name, exists (select from tenant.rescores) as visible
union all
select 'scorecard_versions' as table_name, exists (select from tenant.scorecard_versions) as visible
union all
select 'scorecards' as table_name, exists (select from tenant.scorecards) as visible
union all
select 'scores' as table_name, exists (select from tenant.scores) as visible
union all
select 'transcript_versions' as table_name, exists (select from tenant.transcript_versions) as visible
union all
select 'transcriptions' as table_name, exists (select from tenant.transcriptions) as visible
union all
select 'usage_costs' as table_name, exists (select from tenant.usage_costs) as visible
union all
select 'usage_days' as table_name, exists (select from tenant.usage_days) as visible
union all
select 'usage_totals' as table_name, exists (select from tenant.usage_totals) as visible
union all
select 'users' as table_name, exists (select from tenant.users) as visible
union all
select 'utterances' as table_name, exists (select from tenant.utterances) as visible
order by 1
