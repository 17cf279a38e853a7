//! Scorecards that ship with the product, to begin with. Each is a YAML file in `templates/`: dropping a file there adds one. No I/O.

use rust_embed::RustEmbed;

use super::{Definition, yaml};

#[derive(RustEmbed)]
#[folder = "src/product/scorecards/templates/"]
struct Files;

/// A scorecard to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its stable key: the file's name.
    pub key: String,
    /// What it asks.
    pub definition: Definition,
}

impl Template {
    /// All of them, by key.
    pub fn all() -> Vec<Self> {
        let mut keys: Vec<String> =
            Files::iter().filter_map(|name| Some(name.strip_suffix(".yaml")?.to_owned())).collect();
        keys.sort();
        keys.iter().filter_map(|key| Self::find(key)).collect()
    }

    /// The one of that key.
    pub fn find(key: &str) -> Option<Self> {
        let file = Files::get(&format!("{key}.yaml"))?;
        // A test reads every file that ships.
        let definition = yaml::from_yaml(std::str::from_utf8(&file.data).ok()?).ok()?;
        Some(Self { key: key.to_owned(), definition })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::scorecards::model::lint;

    #[test]
    fn every_template_is_valid_and_makes_sense() {
        let templates = Template::all();
        assert_eq!(templates.len(), Files::iter().count(), "a template cannot be read");
        assert!(templates.len() >= 3);
        for Template { key, definition } in &templates {
            assert_eq!(definition.validate(), Ok(()), "{key}");
            assert_eq!(lint(definition), vec![], "{key}");
            assert!(!definition.description.is_empty(), "{key}");
            assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{key}");
            let written = yaml::to_yaml(definition).unwrap();
            assert_eq!(yaml::from_yaml(&written).as_ref(), Ok(definition), "{key}");
        }
        assert_eq!(Template::find("../../../../Cargo"), None);
        assert_eq!(Template::find("none"), None);
    }
}
