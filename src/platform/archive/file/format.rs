//! What stands in an archive: its first and its last entry, and the names of those between them. No I/O.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::FileError;
use crate::{
    foundation::{
        digest,
        ids::{OrganizationId, TenantId},
    },
    platform::db::Table,
};

/// The format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

/// Name of the first entry.
pub const HEADER: &str = "header.json";
/// Name of the last entry.
pub const MANIFEST: &str = "manifest.json";

/// The first entry: whether the rest can be read at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// The version of Plumbline that wrote it.
    pub plumbline: String,
    /// The version of the tenant's schema.
    pub schema_version: i32,
    /// SHA-256 over the canonical JSON of `tables`.
    pub schema_digest: String,
    /// The tables in the order of their entries, each after those that it refers to.
    pub tables: Vec<Table>,
    /// Whose archive it is.
    pub tenant: ArchivedTenant,
    /// When its rows were read: all of them in one snapshot.
    pub exported_at: DateTime<Utc>,
}

/// The tenant as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedTenant {
    /// Its id: objects were stored under it.
    pub tenant_id: TenantId,
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The organization that its tenant-wide rows belong to.
    pub root_organization_id: OrganizationId,
}

/// The last entry: what stands before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// Every entry before this one, in order.
    pub entries: Vec<Entry>,
    /// The rows of each table.
    pub tables: Vec<TableSummary>,
    /// The tenant's rows of `platform.jobs`.
    pub jobs: RowsSummary,
    /// The objects.
    pub objects: ObjectsSummary,
    /// Keys, without the tenant's prefix, that rows name and the object store did not have.
    pub missing_objects: Vec<String>,
    /// SHA-256 over the canonical JSON of the manifest without this field.
    pub digest: String,
}

/// An entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// Rows in PostgreSQL's text format; the digest is over all parts together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsSummary {
    /// How many.
    pub rows: u64,
    /// How long.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: String,
}

/// The rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSummary {
    /// The table.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// How long.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: String,
}

impl TableSummary {
    /// Of a table's rows.
    pub fn of(table: &str, RowsSummary { rows, bytes, sha256 }: RowsSummary) -> Self {
        Self { table: table.to_owned(), rows, bytes, sha256 }
    }

    /// The rows alone.
    pub fn rows_alone(&self) -> RowsSummary {
        RowsSummary { rows: self.rows, bytes: self.bytes, sha256: self.sha256.clone() }
    }
}

/// The objects together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsSummary {
    /// How many.
    pub count: u64,
    /// How long.
    pub bytes: u64,
}

impl Header {
    /// Of a schema with these tables.
    pub fn new(schema_version: i32, tables: Vec<Table>, tenant: ArchivedTenant, exported_at: DateTime<Utc>) -> Self {
        Self {
            format: FORMAT,
            plumbline: env!("CARGO_PKG_VERSION").to_owned(),
            schema_version,
            schema_digest: digest::of_json(&tables),
            tables,
            tenant,
            exported_at,
        }
    }

    /// Reads a header; a newer archive is told from a damaged one by its numbers alone, because nothing else of it need be known here.
    ///
    /// # Errors
    /// [`FileError::TooNew`], [`FileError::Invalid`].
    pub fn read(bytes: &[u8], newest_schema: i32) -> Result<Self, FileError> {
        #[derive(Deserialize)]
        struct Numbers {
            format: u32,
        }
        let numbers: Numbers = parse(HEADER, bytes)?;
        if numbers.format > FORMAT {
            return Err(FileError::TooNew { what: "format", found: numbers.format.into(), known: FORMAT.into() });
        }
        let header: Header = parse(HEADER, bytes)?;
        if header.schema_version > newest_schema {
            return Err(FileError::TooNew {
                what: "schema",
                found: header.schema_version.into(),
                known: newest_schema.into(),
            });
        }
        if header.schema_version < 1 || header.format == 0 {
            return Err(FileError::invalid("the header names a version that never was"));
        }
        if header.schema_digest != digest::of_json(&header.tables) {
            return Err(FileError::invalid("the header's digest of the tables is wrong"));
        }
        Ok(header)
    }
}

impl Manifest {
    /// The digest that belongs to it.
    pub fn own_digest(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("digest");
        }
        digest::of_json(&value)
    }

    /// Reads a manifest and holds it against its own digest.
    ///
    /// # Errors
    /// [`FileError::Invalid`].
    pub fn read(bytes: &[u8]) -> Result<Self, FileError> {
        let manifest: Manifest = parse(MANIFEST, bytes)?;
        if manifest.digest != manifest.own_digest() {
            return Err(FileError::invalid("the manifest's own digest is wrong"));
        }
        Ok(manifest)
    }
}

fn parse<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, FileError> {
    serde_json::from_slice(bytes).map_err(|error| FileError::Invalid(format!("{what} cannot be read: {error}")))
}

/// An entry's name, understood. There is one spelling of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// `header.json`
    Header,
    /// `jobs/<n>.copy`
    Jobs(u32),
    /// `tables/<table>/<n>.copy`
    Table(&'a str, u32),
    /// `objects/<the key without the tenant's prefix>`
    Object(&'a str),
    /// `manifest.json`
    Manifest,
}

impl<'a> Name<'a> {
    /// Understands a name; everything else is no entry's: paths upwards, absolute ones, other spellings.
    pub fn read(path: &'a str) -> Option<Self> {
        let part = |text: &str| -> Option<u32> {
            let n: u32 = text.strip_suffix(".copy")?.parse().ok()?;
            (n > 0 && format!("{n}.copy") == text).then_some(n)
        };
        match path {
            HEADER => return Some(Self::Header),
            MANIFEST => return Some(Self::Manifest),
            _ => {}
        }
        let (kind, rest) = path.split_once('/')?;
        match kind {
            "jobs" => Some(Self::Jobs(part(rest)?)),
            "tables" => {
                let (table, n) = rest.split_once('/')?;
                Some(Self::Table(table, part(n)?))
            }
            "objects" => is_key(rest).then_some(Self::Object(rest)),
            _ => None,
        }
    }
}

/// Whether a key, without the tenant's prefix, is one that Plumbline makes: segments of letters, digits, `-`, `_` and `.`, none of dots alone.
pub fn is_key(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let segment = |text: &str| !text.is_empty() && text.chars().all(plain) && text.chars().any(|c| c != '.');
    key.len() <= 200 && key.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(Name::read("header.json"), Some(Name::Header));
        assert_eq!(Name::read("jobs/1.copy"), Some(Name::Jobs(1)));
        assert_eq!(Name::read("tables/calls/12.copy"), Some(Name::Table("calls", 12)));
        assert_eq!(Name::read("objects/plugins/ab.wasm"), Some(Name::Object("plugins/ab.wasm")));
        for other in [
            "",
            "/header.json",
            "./header.json",
            "tables/calls/0.copy",
            "tables/calls/01.copy",
            "tables/calls/+1.copy",
            "tables/calls/1.copy/x",
            "jobs/x.copy",
            "objects/",
            "objects/../t/a",
            "objects//a",
            "objects/a/..",
            "objects/a/.",
            "objects/a b",
            "objects/a\\b",
            "objects/%2e%2e/a",
            "objects/ä",
            "etc/passwd",
        ] {
            assert_eq!(Name::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_newer_header_is_newer_whatever_else_it_says() {
        let newer = Header::read(br#"{"format": 2, "new": true}"#, 2);
        assert!(matches!(newer, Err(FileError::TooNew { what: "format", .. })), "{newer:?}");
        assert!(matches!(Header::read(b"{}", 2), Err(FileError::Invalid(_))));
        let tenant = ArchivedTenant {
            tenant_id: TenantId::new(),
            slug: "a".to_owned(),
            name: "A".to_owned(),
            root_organization_id: OrganizationId::new(),
        };
        let header = Header::new(3, vec![], tenant, "2026-11-23T09:00:00Z".parse().unwrap());
        let bytes = serde_json::to_vec(&header).unwrap();
        assert_eq!(Header::read(&bytes, 3).unwrap(), header);
        assert!(matches!(Header::read(&bytes, 2), Err(FileError::TooNew { what: "schema", found: 3, known: 2 })));
        let never = serde_json::to_vec(&Header { schema_version: 0, ..header }).unwrap();
        assert!(matches!(Header::read(&never, 3), Err(FileError::Invalid(_))));
    }
}
