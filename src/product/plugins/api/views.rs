//! Plugins as the API takes and shows them.

use chrono::{DateTime, NaiveDate, Utc};
use poem_openapi::{Enum, Object, types::Any};
use serde_json::{Value, json};

use crate::{
    foundation::ids::{BindingId, CallId, EvaluationId, OrganizationId, PluginRunId},
    platform::{
        http::Refusal,
        plugins::{LogLevel, SettingsFault},
    },
    product::plugins::{
        bindings::RolledBack,
        model::{
            BindingMode, BindingRecord, EndedBecause, FailurePolicy, PluginPolicy, PluginRun, PluginVersion,
            PluginWorld, RollbackRules, RunPurpose, Use,
        },
        statistics::{Day, Spread, Statistics, Taken, Window},
    },
};

/// Whether an organization uses a version.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum PluginStatus {
    /// No organization that the caller reaches uses it.
    Draft,
    /// One does, in whatever mode.
    Bound,
}

/// A plugin version as the API shows it.
#[derive(Object)]
#[oai(rename = "Plugin")]
pub(super) struct PluginView {
    /// SHA-256 of the component: the version's identity.
    digest: String,
    /// The name that the plugin gives itself.
    name: String,
    /// Its author's version, for example `1.4.0`.
    version: String,
    world: PluginWorld,
    status: PluginStatus,
    /// One or two sentences of its author.
    summary: String,
    size_bytes: i64,
    /// The fields of a call that it reads; all others are blanked before it sees them. Null when it names none, and so is given all. Text is
    /// always redacted.
    #[oai(nullable)]
    reads: Option<Vec<String>>,
    /// The limits that it asks for below those of the platform: `memory_bytes`, `time_ms`, `fuel`.
    limits: Any<Value>,
    /// JSON Schema of its settings; null when it gives none.
    #[oai(nullable)]
    settings_schema: Option<Any<Value>>,
    /// What its validation found: `checks` with name, result and detail, `measures` on golden calls, `compile_ms` and more. Absent in lists, and null
    /// of versions from before there were reports.
    #[oai(nullable)]
    report: Option<Any<Value>>,
    created_at: DateTime<Utc>,
    /// Who uploaded it.
    uploaded_by: String,
}

impl From<PluginVersion> for PluginView {
    fn from(version: PluginVersion) -> Self {
        let names = |fields: &Vec<Value>| fields.iter().filter_map(|field| field.as_str().map(str::to_owned)).collect();
        let declared = version.manifest["declared"] != Value::Bool(false);
        let reads = version.manifest["reads"].as_array().filter(|_| declared).map(names);
        let limits = version.manifest.get("limits").cloned().unwrap_or_else(|| json!({}));
        Self {
            digest: version.digest,
            name: version.name,
            version: version.version,
            world: version.world,
            status: if version.is_bound { PluginStatus::Bound } else { PluginStatus::Draft },
            summary: version.summary,
            size_bytes: version.size_bytes,
            reads,
            limits: Any(limits),
            settings_schema: version.settings_schema.map(Any),
            report: version.report.map(Any),
            created_at: version.created_at,
            uploaded_by: version.uploaded_by,
        }
    }
}

/// Settings to be checked.
#[derive(Object)]
#[oai(rename = "PluginSettings", deny_unknown_fields)]
pub(super) struct SettingsBody {
    /// As the plugin's schema has them.
    pub settings: Any<Value>,
}

/// What a look at settings found.
#[derive(Object)]
#[oai(rename = "PluginSettingsCheck")]
pub(super) struct SettingsCheckView {
    /// Whether the plugin takes them.
    valid: bool,
    /// Why not.
    faults: Vec<SettingsFaultView>,
}

/// What is wrong with settings.
#[derive(Object)]
#[oai(rename = "PluginSettingsFault")]
struct SettingsFaultView {
    /// Where, as a JSON pointer such as `/channels/0`; empty for the settings as a whole.
    path: String,
    /// What, in a sentence: of the schema, or of the plugin itself.
    message: String,
}

impl From<Vec<SettingsFault>> for SettingsCheckView {
    fn from(faults: Vec<SettingsFault>) -> Self {
        let view = |fault: SettingsFault| SettingsFaultView { path: fault.path, message: fault.message };
        Self { valid: faults.is_empty(), faults: faults.into_iter().map(view).collect() }
    }
}

/// When a canary is rolled back by itself.
#[derive(Object)]
#[oai(rename = "PluginRollbackRules", deny_unknown_fields)]
pub(super) struct RollbackRulesView {
    /// Percent of its runs that may fail; 5 when absent.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    most_faults_percent: Option<f64>,
    /// Points by which its scores may differ from those of the active one on average; 10 when absent.
    #[oai(validator(minimum(value = "0"), maximum(value = "100")))]
    most_drift: Option<f64>,
    /// Runs before anything is concluded; 20 when absent.
    #[oai(validator(minimum(value = "1"), maximum(value = "10000")))]
    least_runs: Option<i32>,
}

/// A binding to be made.
#[derive(Object)]
#[oai(rename = "NewPluginBinding", deny_unknown_fields)]
pub(super) struct NewBindingBody {
    /// The organization whose calls it is for.
    organization_id: OrganizationId,
    /// The version: SHA-256 of the component.
    #[oai(validator(pattern = "^[0-9a-f]{64}$"))]
    digest: String,
    /// What counts of what it gives; `active` when absent.
    mode: Option<BindingMode>,
    /// Percent of the calls for which a canary counts, with at most two decimals; of other modes absent.
    #[oai(validator(minimum(value = "0.01"), maximum(value = "100")))]
    canary_share_percent: Option<f64>,
    /// As the plugin's schema has them; empty when absent.
    settings: Option<Any<Value>>,
    /// What happens when it fails: the built-in one takes its place (`fall_back`, when absent), the evaluation waits for a person (`hold`), or the
    /// stage fails (`fail`).
    failure_policy: Option<FailurePolicy>,
    /// When a canary is rolled back by itself.
    rollback: Option<RollbackRulesView>,
}

impl NewBindingBody {
    /// What is asked for, in the numbers of the tables.
    pub fn wanted(self) -> Result<Use, Refusal> {
        let usual = RollbackRules::default();
        let rollback = match self.rollback {
            None => usual,
            Some(rules) => RollbackRules {
                most_faults: hundredths("rollback.most_faults_percent", rules.most_faults_percent)?
                    .unwrap_or(usual.most_faults),
                most_drift: hundredths("rollback.most_drift", rules.most_drift)?.unwrap_or(usual.most_drift),
                least_runs: rules.least_runs.unwrap_or(usual.least_runs),
            },
        };
        Ok(Use {
            organization_id: self.organization_id,
            digest: self.digest,
            mode: self.mode.unwrap_or(BindingMode::Active),
            canary_share: hundredths("canary_share_percent", self.canary_share_percent)?,
            settings: self.settings.map_or_else(|| json!({}), |settings| settings.0),
            failure_policy: self.failure_policy.unwrap_or(FailurePolicy::FallBack),
            rollback,
        })
    }
}

/// A number with two decimals, counted in hundredths.
fn hundredths(field: &'static str, number: Option<f64>) -> Result<Option<i32>, Refusal> {
    let Some(number) = number else { return Ok(None) };
    let counted = (number * 100.0).round();
    if !(0.0..=10_000.0).contains(&counted) || (number * 100.0 - counted).abs() > 1e-6 {
        return Err(Refusal::invalid(field, "must be from 0 to 100 and have at most two decimals"));
    }
    Ok(Some(counted as i32))
}

/// Hundredths as a number with two decimals.
fn whole(hundredths: i32) -> f64 {
    f64::from(hundredths) / 100.0
}

/// An organization's use of a plugin as the API shows it.
#[derive(Object)]
#[oai(rename = "PluginBinding")]
pub(super) struct BindingView {
    binding_id: BindingId,
    /// The organization whose calls it is for.
    organization_id: OrganizationId,
    /// The version: SHA-256 of the component.
    digest: String,
    /// The plugin's name.
    name: String,
    /// The plugin's version.
    version: String,
    world: PluginWorld,
    mode: BindingMode,
    /// Percent of the calls for which a canary counts; null of other modes.
    #[oai(nullable)]
    canary_share_percent: Option<f64>,
    settings: Any<Value>,
    failure_policy: FailurePolicy,
    /// When a canary is rolled back by itself.
    rollback: RollbackRulesView,
    /// The active binding whose place it took, and which a roll-back brings back; null where that was the built-in one.
    #[oai(nullable)]
    replaces: Option<BindingId>,
    created_at: DateTime<Utc>,
    /// Who made it.
    created_by: String,
    /// Null while it has not ended.
    #[oai(nullable)]
    ended_at: Option<DateTime<Utc>>,
    /// Who ended it; null while it has not ended.
    #[oai(nullable)]
    ended_by: Option<String>,
    /// Why it ended; null while it has not.
    #[oai(nullable)]
    ended_because: Option<EndedBecause>,
}

impl From<BindingRecord> for BindingView {
    fn from(binding: BindingRecord) -> Self {
        let BindingRecord { binding_id, of, name, version, world, replaces, created_at, created_by, ended } = binding;
        let (ended_by, because) = ended.as_ref().map_or((None, None), |ended| (ended.by.clone(), ended.because));
        Self {
            binding_id,
            organization_id: of.organization_id,
            digest: of.digest,
            name,
            version,
            world,
            mode: of.mode,
            canary_share_percent: of.canary_share.map(whole),
            settings: Any(of.settings),
            failure_policy: of.failure_policy,
            rollback: RollbackRulesView {
                most_faults_percent: Some(whole(of.rollback.most_faults)),
                most_drift: Some(whole(of.rollback.most_drift)),
                least_runs: Some(of.rollback.least_runs),
            },
            replaces,
            created_at,
            created_by,
            ended_at: ended.map(|ended| ended.at),
            ended_by,
            ended_because: because,
        }
    }
}

/// What a roll-back left.
#[derive(Object)]
#[oai(rename = "PluginRollback")]
pub(super) struct RollbackView {
    /// What ended.
    ended: BindingView,
    /// What counts from now on; null where that is the built-in one.
    #[oai(nullable)]
    active: Option<BindingView>,
}

impl From<RolledBack> for RollbackView {
    fn from(left: RolledBack) -> Self {
        Self { ended: left.ended.into(), active: left.active.map(BindingView::from) }
    }
}

/// What an organization is to ask of a version before it may score.
#[derive(Object)]
#[oai(rename = "NewPluginPolicy", deny_unknown_fields)]
pub(super) struct PolicyBody {
    /// Calls that a finished back-test of the version and its settings must have gone over; none is asked for when absent.
    #[oai(validator(minimum(value = "1"), maximum(value = "100000")))]
    pub backtest_calls: Option<i32>,
}

/// What an organization asks of a version before it may score.
#[derive(Object)]
#[oai(rename = "PluginPolicy")]
pub(super) struct PolicyView {
    organization_id: OrganizationId,
    /// Calls that a finished back-test of the version and its settings must have gone over; null when none is asked for.
    #[oai(nullable)]
    backtest_calls: Option<i32>,
    /// Who set it; null while nobody has.
    #[oai(nullable)]
    updated_by: Option<String>,
    #[oai(nullable)]
    updated_at: Option<DateTime<Utc>>,
}

impl From<PluginPolicy> for PolicyView {
    fn from(policy: PluginPolicy) -> Self {
        let (updated_by, updated_at) = policy.updated.unzip();
        Self { organization_id: policy.organization_id, backtest_calls: policy.backtest_calls, updated_by, updated_at }
    }
}

/// Statistics with what was asked.
pub(super) struct StatisticsOf {
    pub digest: String,
    pub window: Window,
    pub found: Statistics,
}

/// What a version's runs came to.
#[derive(Object)]
#[oai(rename = "PluginStatistics")]
pub(super) struct PluginStatisticsView {
    digest: String,
    from: DateTime<Utc>,
    before: DateTime<Utc>,
    /// All runs together.
    total: TakenView,
    /// By what they ran for.
    purposes: Vec<PurposeView>,
    /// Days (UTC) that had any, oldest first.
    days: Vec<DayView>,
}

/// What the runs of one purpose came to.
#[derive(Object)]
#[oai(rename = "PluginPurposeStatistics")]
struct PurposeView {
    purpose: RunPurpose,
    taken: TakenView,
}

/// What runs took.
#[derive(Object)]
#[oai(rename = "PluginRunsTaken")]
struct TakenView {
    runs: i64,
    /// How many of them failed.
    faults: i64,
    /// Failures by kind, the most frequent first.
    fault_kinds: Vec<FaultKindView>,
    /// Instructions, as the engine counts them.
    fuel: SpreadView,
    /// From a run's turn to its end.
    elapsed_ms: SpreadView,
    /// The most linear memory that a run held.
    memory_bytes: SpreadView,
}

/// Failures of a kind.
#[derive(Object)]
#[oai(rename = "PluginFaultKind")]
struct FaultKindView {
    /// The failure's code, for example `trap`.
    kind: String,
    runs: i64,
}

/// How a quantity is spread over runs; zeros without runs.
#[derive(Object)]
#[oai(rename = "PluginSpread")]
struct SpreadView {
    /// Half of the runs took at most this.
    p50: f64,
    /// 95 of 100 took at most this.
    p95: f64,
    /// 99 of 100 took at most this.
    p99: f64,
    /// None took more.
    max: f64,
}

/// One day's runs.
#[derive(Object)]
#[oai(rename = "PluginDay")]
struct DayView {
    day: NaiveDate,
    runs: i64,
    /// How many of them failed.
    faults: i64,
    /// 95 of 100 took at most this.
    elapsed_ms_p95: f64,
}

impl SpreadView {
    fn of(spread: Spread, unit: f64) -> Self {
        let [p50, p95, p99, max] = [spread.p50, spread.p95, spread.p99, spread.most].map(|number| number as f64 / unit);
        Self { p50, p95, p99, max }
    }
}

impl From<Taken> for TakenView {
    fn from(taken: Taken) -> Self {
        Self {
            runs: taken.runs,
            faults: taken.faults,
            fault_kinds: taken.kinds.into_iter().map(|(kind, runs)| FaultKindView { kind, runs }).collect(),
            fuel: SpreadView::of(taken.fuel, 1.0),
            elapsed_ms: SpreadView::of(taken.elapsed_us, 1_000.0),
            memory_bytes: SpreadView::of(taken.memory_bytes, 1.0),
        }
    }
}

impl From<StatisticsOf> for PluginStatisticsView {
    fn from(StatisticsOf { digest, window, found }: StatisticsOf) -> Self {
        let (total, purposes): (Vec<Taken>, Vec<Taken>) =
            found.taken.into_iter().partition(|taken| taken.purpose.is_none());
        let day = |day: Day| DayView {
            day: day.day,
            runs: day.runs,
            faults: day.faults,
            elapsed_ms_p95: day.elapsed_us_p95 as f64 / 1_000.0,
        };
        Self {
            digest,
            from: window.from,
            before: window.before,
            total: total.into_iter().next().unwrap_or_default().into(),
            purposes: purposes
                .into_iter()
                .filter_map(|taken| Some(PurposeView { purpose: taken.purpose?, taken: taken.into() }))
                .collect(),
            days: found.days.into_iter().map(day).collect(),
        }
    }
}

/// A run as its plugin's author sees it.
#[derive(Object)]
#[oai(rename = "PluginRun")]
pub(super) struct PluginRunView {
    plugin_run_id: PluginRunId,
    organization_id: OrganizationId,
    /// The binding behind it; null of a test.
    #[oai(nullable)]
    binding_id: Option<BindingId>,
    /// The call; null of a pasted conversation.
    #[oai(nullable)]
    call_id: Option<CallId>,
    #[oai(nullable)]
    evaluation_id: Option<EvaluationId>,
    purpose: RunPurpose,
    /// `ok`, or the failure's code, for example `trap`.
    outcome: String,
    /// The failure in words; null of a run that went well.
    #[oai(nullable)]
    message: Option<String>,
    /// What the plugin logged, the first messages.
    log: Vec<LogLineView>,
    /// Whether messages were cut or left out.
    log_truncated: bool,
    /// How many.
    log_left_out: i32,
    /// Instructions, as the engine counts them.
    fuel: i64,
    /// From its turn to its end.
    elapsed_ms: f64,
    /// The most linear memory that it held.
    memory_bytes: i64,
    /// What it scored, 0 to 100; null of a prompt, and where nothing was applicable.
    #[oai(nullable)]
    overall_score: Option<f64>,
    /// The score that counts, 0 to 100; null where none does.
    #[oai(nullable)]
    counted_score: Option<f64>,
    /// What it returned, where that counts for nothing and so stands nowhere else.
    #[oai(nullable)]
    output: Option<Any<Value>>,
    ran_at: DateTime<Utc>,
}

/// A message that a plugin logged.
#[derive(Object)]
#[oai(rename = "PluginLogLine")]
pub struct LogLineView {
    /// `debug`, `info`, `warn` or `error`.
    level: String,
    message: String,
}

impl From<(LogLevel, String)> for LogLineView {
    fn from((level, message): (LogLevel, String)) -> Self {
        let level = match level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        Self { level: level.to_owned(), message }
    }
}

impl From<PluginRun> for PluginRunView {
    fn from(run: PluginRun) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let line = |pair: &Value| LogLineView { level: text(&pair[0]), message: text(&pair[1]) };
        Self {
            plugin_run_id: run.plugin_run_id,
            organization_id: run.organization_id,
            binding_id: run.binding_id,
            call_id: run.call_id,
            evaluation_id: run.evaluation_id,
            purpose: run.purpose,
            outcome: run.outcome,
            message: run.message,
            log: run.log.as_array().into_iter().flatten().map(line).collect(),
            log_truncated: run.log_truncated > 0,
            log_left_out: run.log_truncated,
            fuel: run.fuel,
            elapsed_ms: run.elapsed_us as f64 / 1_000.0,
            memory_bytes: run.memory_bytes,
            overall_score: run.overall.map(whole),
            counted_score: run.counted.map(whole),
            output: run.output.map(Any),
            ran_at: run.ran_at,
        }
    }
}
