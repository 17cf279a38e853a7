//! What becomes of each column in a clone: one table, which a test holds against the schema. A column that is not in it fails the clone.
//!
//! Ids, times, numbers and truth values need no entry: ids become others, the rest stays.

/// What becomes of a text or a JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It stays: configuration, or one of the product's own words. Ids of the tenant inside of it become the clone's.
    Keep,
    /// Letters become `x`, digits `0`: length, blanks and punctuation stay, so that a quote still lies within its utterance.
    Mask,
    /// A document whose texts are masked, but for those under these names, which are the product's own words.
    MaskTexts(&'static [&'static str]),
    /// A name that is nobody's, the same wherever the same stood: for what must stay distinct.
    Pseudonym,
    /// Nothing.
    Erase,
    /// The same for everybody: an SQL literal.
    Constant(&'static str),
    /// The key of an object; the clone gets a copy under its own prefix.
    ObjectKey,
    /// A receipt: it says that it is a masked copy, and loses the digests of what was masked.
    Receipt,
}

/// What becomes of a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The clone gets them; texts and documents as it is said for each.
    Copied(&'static [(&'static str, Treatment)]),
    /// The clone gets none, because of this.
    Left(&'static str),
}

/// A table and what becomes of its rows.
pub type TableClass = (&'static str, Class);

use Class::{Copied, Left};
use Treatment::{Constant, Erase, Keep, Mask, MaskTexts, ObjectKey, Pseudonym, Receipt};

/// A digest of nothing, where a digest of the original stood.
const NO_DIGEST: &str = "'0000000000000000000000000000000000000000000000000000000000000000'";

/// Every table of a tenant's schema.
pub const TABLES: &[TableClass] = &[
    ("organizations", Copied(&[("slug", Keep), ("name", Keep), ("status", Keep)])),
    ("users", Copied(&[("subject", Pseudonym), ("display_name", Mask), ("email", Mask), ("status", Keep)])),
    ("agents", Copied(&[("external_id", Pseudonym), ("display_name", Mask), ("status", Keep)])),
    ("scorecards", Copied(&[("name", Keep), ("draft", Keep)])),
    ("scorecard_versions", Copied(&[("definition", Keep), ("digest", Keep), ("published_by", Pseudonym)])),
    (
        "plugin_versions",
        Copied(&[
            ("digest", Keep),
            ("name", Keep),
            ("version", Keep),
            ("world", Keep),
            ("object_key", ObjectKey),
            ("summary", Keep),
            ("settings_schema", Keep),
            ("manifest", Keep),
            ("report", Keep),
            ("uploaded_by", Pseudonym),
        ]),
    ),
    (
        "plugin_bindings",
        Copied(&[
            ("digest", Keep),
            ("world", Keep),
            ("settings", Keep),
            ("failure_policy", Keep),
            ("mode", Keep),
            ("created_by", Pseudonym),
            ("ended_by", Pseudonym),
            ("ended_because", Keep),
        ]),
    ),
    ("plugin_policies", Copied(&[("updated_by", Pseudonym)])),
    ("plugin_runs", Left("logs and messages quote conversations")),
    ("backtests", Left("their reports name agents and calls of the original")),
    (
        "calls",
        Copied(&[
            ("external_id", Pseudonym),
            ("channel", Keep),
            ("queue", Keep),
            ("direction", Keep),
            ("language", Keep),
            ("status", Keep),
            ("failed_stage", Keep),
            ("failure_kind", Keep),
            ("failure_reason", Mask),
        ]),
    ),
    ("audio_files", Left("a voice cannot be masked")),
    (
        "transcriptions",
        Copied(&[
            ("provider", Keep),
            ("reference", Erase),
            ("webhook_secret", Erase),
            ("model", Keep),
            ("language", Keep),
            ("digest", Erase),
            ("metrics", MaskTexts(&["speaker"])),
            ("redacted_digest", Erase),
            ("redaction", MaskTexts(&["kind"])),
            ("redaction_digest", Erase),
            ("corrected_by", Pseudonym),
        ]),
    ),
    (
        "transcript_versions",
        Copied(&[
            ("provider", Keep),
            ("model", Keep),
            ("language", Keep),
            ("digest", Erase),
            ("metrics", MaskTexts(&["speaker"])),
            ("redaction", MaskTexts(&["kind"])),
            ("utterances", MaskTexts(&["speaker"])),
            ("corrected_by", Pseudonym),
            ("replaced_by", Pseudonym),
        ]),
    ),
    ("utterances", Copied(&[("speaker", Keep), ("text", Mask), ("redacted_text", Mask)])),
    (
        "evaluations",
        Copied(&[
            ("status", Keep),
            ("provider", Keep),
            ("model", Keep),
            ("prompt_digest", Constant(NO_DIGEST)),
            ("prompt_builder", Keep),
            ("raw_answer", Mask),
            ("fingerprint", Keep),
            ("parameters", Keep),
            ("human_answers", Constant("'[]'::jsonb")),
            (
                "answers",
                MaskTexts(&["criterion", "claimed", "verdict", "speaker", "answered_by", "reason", "choices", "way"]),
            ),
            ("scorer", Keep),
            ("scorer_note", Mask),
            ("receipt", Receipt),
            ("cause", Keep),
            ("signature", Erase),
            ("public_key", Erase),
        ]),
    ),
    ("scores", Copied(&[("criterion_key", Keep), ("section_key", Keep), ("verdict", Keep), ("note", Mask)])),
    ("insights", Copied(&[("kind", Keep), ("criterion_key", Keep), ("text", Mask)])),
    ("receipt_keys", Left("a clone signs nothing in the name of the original")),
    ("rescores", Copied(&[("status", Keep), ("requested_by", Pseudonym)])),
    ("rescore_items", Copied(&[("status", Keep), ("reason", Mask)])),
    ("idempotency_keys", Left("they hold answers that were given to callers")),
    (
        "audit_events",
        Copied(&[
            ("actor", Pseudonym),
            ("action", Keep),
            ("subject_kind", Keep),
            ("request_id", Erase),
            ("details", Constant("'{\"masked\": true}'::jsonb")),
        ]),
    ),
    ("usage_days", Left("the clone has used nothing yet")),
    ("usage_totals", Left("they are counted anew")),
    ("usage_costs", Left("the clone has cost nothing yet")),
    ("model_answers", Left("they are what a language model said of calls, and the clone keeps the evaluations")),
];

/// What becomes of a table's rows, if that was decided.
pub(super) fn class_of(table: &str) -> Option<Class> {
    TABLES.iter().find(|(name, _)| *name == table).map(|(_, class)| *class)
}

/// Whether a column of this type can hold what people wrote.
pub(super) fn can_hold_texts(kind: &str) -> bool {
    !matches!(kind, "uuid" | "integer" | "bigint" | "smallint" | "boolean" | "date" | "timestamp with time zone")
        && !kind.starts_with("numeric")
}

/// The expression that makes the clone's value of a column; `None` when nobody decided about the column.
pub(super) fn expression(table: &str, column: &str, kind: &str) -> Option<String> {
    let Some(Copied(columns)) = class_of(table) else { return None };
    let name = crate::platform::db::quoted(column);
    if let Some((_, treatment)) = columns.iter().find(|(known, _)| *known == column) {
        let jsonb = kind == "jsonb";
        return Some(match treatment {
            Keep if jsonb => format!("pg_temp.other_ids({name}::text)::jsonb"),
            Keep => format!("pg_temp.other_ids({name})"),
            Mask => format!("pg_temp.masked({name})"),
            MaskTexts(kept) => {
                let kept = kept.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
                format!("pg_temp.masked_texts({name}, array[{kept}]::text[])")
            }
            Pseudonym => format!("pg_temp.pseudonym({name})"),
            Erase => format!("null::{kind}"),
            Constant(literal) => (*literal).to_owned(),
            ObjectKey => format!("pg_temp.other_key({name})"),
            Receipt => format!("pg_temp.masked_receipt({name})"),
        });
    }
    match kind {
        "uuid" => Some(format!("pg_temp.other_id({name})")),
        _ if can_hold_texts(kind) => None,
        _ => Some(name),
    }
}

/// The functions of the expressions, for one session. `pg_temp.clone` has one row: the two tenants and a secret that ends with the session,
/// so that nobody can try out whose pseudonym it is.
pub(super) const FUNCTIONS: &str = include_str!("masking.sql");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_decided_about_has_no_expression() {
        assert_eq!(expression("calls", "call_id", "uuid").as_deref(), Some("pg_temp.other_id(\"call_id\")"));
        assert_eq!(expression("calls", "received_at", "timestamp with time zone").as_deref(), Some("\"received_at\""));
        assert_eq!(expression("utterances", "text", "text").as_deref(), Some("pg_temp.masked(\"text\")"));
        for undecided in [
            ("calls", "new_text", "text"),
            ("calls", "new", "bytea"),
            ("calls", "many", "text[]"),
            ("new", "id", "uuid"),
        ] {
            assert_eq!(expression(undecided.0, undecided.1, undecided.2), None, "{undecided:?}");
        }
        assert_eq!(expression("audio_files", "object_key", "text"), None);
    }

    #[test]
    fn keys_of_objects_are_those_of_the_schemas_rule() {
        for (table, class) in TABLES {
            let Copied(columns) = class else { continue };
            for (column, treatment) in *columns {
                let named = crate::platform::archive::names_objects(&crate::platform::db::Column {
                    name: (*column).to_owned(),
                    kind: "text".to_owned(),
                });
                assert_eq!(named, *treatment == ObjectKey, "{table}.{column}");
            }
        }
    }
}
