//! What the demo ships: tenants, scorecards, conversations and recordings, all written for it (src/demo/content/README.md).

use rust_embed::RustEmbed;
use serde::Deserialize;
use serde_json::Value;

#[derive(RustEmbed)]
#[folder = "src/demo/content/"]
struct Files;

/// A tenant to be made.
#[derive(Debug, Deserialize)]
pub struct DemoTenant {
    /// Short name.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Its organizations.
    pub organizations: Vec<DemoOrganization>,
}

/// An organization to be made.
#[derive(Debug, Deserialize)]
pub struct DemoOrganization {
    /// Short name.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// `builtin` or `plugin`.
    pub scorer: String,
    /// Its agents.
    pub agents: Vec<DemoAgent>,
    /// Its scorecard's definition.
    pub scorecard: Value,
}

/// An agent to be made.
#[derive(Debug, Deserialize)]
pub struct DemoAgent {
    /// Short name.
    pub key: String,
    /// Name for people.
    pub name: String,
}

/// A conversation to be evaluated.
#[derive(Debug, Deserialize)]
pub struct DemoConversation {
    /// Short name, unique.
    pub key: String,
    /// Slug of its tenant.
    pub tenant: String,
    /// Slug of its organization.
    pub organization: String,
    /// Key of its agent.
    pub agent: String,
    /// `phone`, `chat` or `email`.
    pub channel: String,
    /// Its language.
    pub language: String,
    /// What it is about.
    pub title: String,
    /// Its recording; written conversations have none.
    pub audio: Option<String>,
    /// What was said.
    pub utterances: Value,
    /// What a careful reader would find.
    pub expected: Expected,
}

/// What a careful reader would find.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// Criteria that are not met.
    pub failed_criteria: Vec<String>,
    /// Criteria that do not apply.
    pub not_applicable: Vec<String>,
}

/// The tenants.
///
/// # Errors
/// When the shipped file is broken.
pub fn tenants() -> Result<Vec<DemoTenant>, serde_json::Error> {
    serde_json::from_slice(&file("tenants.json"))
}

/// The conversations.
///
/// # Errors
/// When the shipped file is broken.
pub fn conversations() -> Result<Vec<DemoConversation>, serde_json::Error> {
    serde_json::from_slice(&file("conversations.json"))
}

/// A recording's bytes; empty when there is none of that name.
pub fn recording(name: &str) -> Vec<u8> {
    file(&format!("audio/{name}"))
}

/// The example plugin that scores one of the tenants.
pub fn plugin() -> &'static [u8] {
    include_bytes!("../../plugins/monologue_deduction/monologue_deduction.wasm")
}

fn file(name: &str) -> Vec<u8> {
    Files::get(name).map(|file| file.data.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_whole() {
        let tenants = tenants().unwrap();
        assert_eq!(tenants.len(), 2);
        assert!(tenants.iter().all(|tenant| tenant.organizations.len() == 2));
        let conversations = conversations().unwrap();
        assert!(conversations.len() >= 24);
        assert!(conversations.iter().filter(|c| c.audio.is_some()).count() >= 2);
        for conversation in &conversations {
            let tenant = tenants.iter().find(|tenant| tenant.slug == conversation.tenant).unwrap();
            let organization = tenant.organizations.iter().find(|o| o.slug == conversation.organization).unwrap();
            assert!(organization.agents.iter().any(|agent| agent.key == conversation.agent), "{}", conversation.key);
            if let Some(audio) = &conversation.audio {
                assert!(recording(audio).starts_with(b"fLaC"), "{audio}");
            }
        }
        assert!(plugin().starts_with(b"\0asm"));
    }
}
