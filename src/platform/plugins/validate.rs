//! What an upload goes through: compiled, linked, asked what it is, and held against the golden calls.

use bytes::Bytes;

use super::{
    Check, Limits, Manifest, Plugin, PluginError, PluginHost, SettingsSchema, ValidationReport, World, conformance,
    validator::{self, Task},
};
use crate::foundation::digest;

impl PluginHost {
    /// Looks at a component that nobody has looked at yet: whether it may become a version, and why not.
    ///
    /// # Errors
    /// [`PluginError::Host`] when that could not be found out. What the component does wrong is in the report.
    pub async fn validate(&self, component: impl Into<Bytes>) -> Result<ValidationReport, PluginError> {
        let component = component.into();
        let Some(validator) = self.validator() else {
            return self.validate_here(component).await;
        };
        let limit = self.limits().component_bytes;
        if component.len() > limit {
            return Ok(ValidationReport::refused(&PluginError::TooLarge { bytes: component.len(), limit }));
        }
        let _turn = self.validator_turn().await?;
        let done = match validator::order(validator, self.limits(), Task::Validate, &component).await {
            Ok(done) => done,
            Err(PluginError::Host(why)) => return Err(PluginError::Host(why)),
            Err(error) => return Ok(ValidationReport::refused(&error)),
        };
        let report = done.report.ok_or_else(|| PluginError::Host("the validator gave no report".to_owned()))?;
        if let Some(code) = done.code.filter(|_| report.accepted) {
            self.keep(digest::of_bytes(&component), code).await;
        }
        Ok(report)
    }

    /// Tries a component whose machine code is there already.
    pub(super) async fn validate_compiled(
        &self,
        component: Bytes,
        code: Vec<u8>,
        compile_ms: u64,
    ) -> Result<ValidationReport, PluginError> {
        self.report(self.adopt(digest::of_bytes(&component), code, compile_ms).await).await
    }

    /// Compiles and tries it in this very process.
    async fn validate_here(&self, component: Bytes) -> Result<ValidationReport, PluginError> {
        self.report(self.load(component).await).await
    }

    async fn report(&self, loaded: Result<Plugin, PluginError>) -> Result<ValidationReport, PluginError> {
        let plugin = match loaded {
            Ok(plugin) => plugin,
            Err(PluginError::Host(why)) => return Err(PluginError::Host(why)),
            Err(error) => return Ok(ValidationReport::refused(&error)),
        };
        let mut checks = first_checks(&plugin, self.limits());
        let settings = match conformance::accepted_settings(&plugin).await {
            Ok(settings) => settings,
            // the check of the settings says why
            Err(_) => "{}".to_owned(),
        };
        let found = conformance::measured(&plugin, &settings).await;
        checks.extend(found.checks);
        let report = ValidationReport {
            accepted: false,
            problem: None,
            identity: Some(plugin.identity().clone()),
            world: Some(plugin.world()),
            description: Some(plugin.description().clone()),
            manifest: Some(plugin.manifest().clone()),
            checks,
            measures: found.measures,
            compile_ms: plugin.compile_ms(),
            artefact_bytes: plugin.artefact_bytes(),
        };
        Ok(report.decided())
    }
}

/// What loading has already shown, and whether the manifest asks for what there is.
fn first_checks(plugin: &Plugin, limits: &Limits) -> Vec<Check> {
    let world = match plugin.world() {
        World::Scorer => "a scorer",
        World::PromptBuilder => "a prompt builder",
    };
    let reads = if plugin.manifest().declared {
        let names: Vec<_> = plugin.manifest().reads.iter().map(|field| field.name()).collect();
        format!("it reads {}", if names.is_empty() { "nothing but the structure".to_owned() } else { names.join(" ") })
    } else {
        "it does not say what it reads, so it is given everything".to_owned()
    };
    let identity = plugin.identity();
    vec![
        Check::passed("component", format!("{} bytes of machine code", plugin.artefact_bytes())),
        Check::passed("imports", "it imports nothing but the log"),
        Check::passed("world", format!("{world} of {}", identity.wit.as_deref().unwrap_or_default())),
        Check::passed("description", format!("{} {}", identity.name, identity.version)),
        Check::passed("manifest", reads),
        declared_limits(plugin.manifest(), limits),
        settings_schema(plugin),
    ]
}

/// Settings are held against the schema by the host, and no schema asks for a secret.
fn settings_schema(plugin: &Plugin) -> Check {
    const NAME: &str = "settings_schema";
    let Some(text) = &plugin.description().settings_schema else {
        return Check::passed(NAME, "it gives no schema of its settings, so it alone judges them");
    };
    let schema = serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned());
    match schema.and_then(|schema| SettingsSchema::parse(&schema)) {
        Ok(_) => Check::passed(NAME, "settings can be held against it, and it asks for no secret"),
        Err(why) => Check::failed(NAME, why),
    }
}

/// A plugin that sets itself more than there is would be stopped where its author does not expect it.
fn declared_limits(manifest: &Manifest, limits: &Limits) -> Check {
    let millis = u64::try_from(limits.call_budget.as_millis()).unwrap_or(u64::MAX);
    let declared = manifest.limits;
    let pairs = [
        ("limit.memory_bytes", declared.memory_bytes, limits.memory_bytes as u64),
        ("limit.time_ms", declared.time_ms, millis),
        ("limit.fuel", declared.fuel, limits.fuel_most),
    ];
    for (name, declared, most) in pairs {
        if let Some(declared) = declared.filter(|declared| *declared > most) {
            return Check::failed("limits", format!("{name} is {declared}; the most there is here is {most}"));
        }
    }
    Check::passed("limits", "it sets itself no more than there is")
}
