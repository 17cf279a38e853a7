//! Archives that are damaged, cut, or lie: nothing of any of them becomes a tenant.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use plumbline::{
    foundation::{
        digest,
        ids::{OrganizationId, TenantId},
    },
    platform::archive::{
        self, ArchiveError, Unwatched,
        file::{FileError, Header, Limits, Manifest, Part, Reader, Writer, Written},
    },
};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{archive_of, ask_restore, done, failed, live, nothing_is_left};
use crate::support::TestApp;

/// What an archive holds, to be changed and put together again with a manifest that fits.
#[derive(Clone)]
struct Contents {
    header: Header,
    jobs: Vec<u8>,
    tables: Vec<Vec<u8>>,
    objects: Vec<(String, Vec<u8>)>,
}

impl Contents {
    async fn of(bytes: Vec<u8>) -> Self {
        let limits = Limits { unpacked_bytes: u64::MAX, newest_schema: i32::MAX };
        let mut reader = Reader::open(stream::iter([Ok(Bytes::from(bytes))]).boxed(), limits).await.unwrap();
        let header = reader.header().clone();
        let tables = vec![Vec::new(); header.tables.len()];
        let mut contents = Self { header, jobs: Vec::new(), tables, objects: Vec::new() };
        while let Some(part) = reader.next().await.unwrap() {
            let mut bytes = Vec::new();
            while let Some(chunk) = reader.chunk().await.unwrap() {
                bytes.extend_from_slice(&chunk);
            }
            match part {
                Part::Jobs => contents.jobs.extend(bytes),
                Part::Table(at) => contents.tables[at].extend(bytes),
                Part::Object(key) => contents.objects.push((key, bytes)),
            }
        }
        contents
    }

    async fn pack(&self) -> Vec<u8> {
        let piece = |bytes: &[u8]| stream::iter([Ok::<_, FileError>(Bytes::copy_from_slice(bytes))]);
        let mut writer = Writer::begin(Vec::new(), &self.header).await.unwrap();
        writer.rows(Written::Jobs, piece(&self.jobs)).await.unwrap();
        for (table, rows) in self.header.tables.iter().zip(&self.tables) {
            writer.rows(Written::Table(&table.name), piece(rows)).await.unwrap();
        }
        for (key, bytes) in &self.objects {
            writer.object(key, bytes.len() as u64, piece(bytes)).await.unwrap();
        }
        writer.finish(vec![]).await.unwrap().0
    }

    fn table(&mut self, name: &str) -> &mut Vec<u8> {
        let at = self.header.tables.iter().position(|table| table.name == name).unwrap();
        &mut self.tables[at]
    }

    fn replace(&mut self, table: &str, from: &str, to: &str) {
        let rows = self.table(table);
        let text = String::from_utf8(rows.clone()).unwrap();
        assert!(text.contains(from), "{from} is in {table}");
        *rows = text.replacen(from, to, 1).into_bytes();
    }
}

/// A tar of these entries, compressed and sealed as an archive is.
async fn packed(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes()); // past the checks of the library
        header.set_entry_type(*kind);
        if *kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    sealed(&builder.into_inner().unwrap()).await
}

async fn sealed(tar: &[u8]) -> Vec<u8> {
    let mut zstd = async_compression::tokio::write::ZstdEncoder::new(Vec::new());
    zstd.write_all(tar).await.unwrap();
    zstd.shutdown().await.unwrap();
    let mut bytes = zstd.into_inner();
    let seal = Sha256::digest(&bytes);
    bytes.extend([0x5e, 0x2a, 0x4d, 0x18, 32, 0, 0, 0]);
    bytes.extend(seal);
    bytes
}

async fn verified(bytes: Vec<u8>) -> Result<(Header, Manifest), ArchiveError> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    store.put(&"a".into(), bytes.into()).await.unwrap();
    archive::verify(store.as_ref(), &"a".into(), &Unwatched).await
}

#[track_caller]
fn is_invalid(found: Result<(Header, Manifest), ArchiveError>, what: &str) {
    assert!(matches!(found, Err(ArchiveError::File(FileError::Invalid(_)))), "{what}: {found:?}");
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_found_and_leaves_nothing() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let lived = live(&here, "acme").await;
    let archive = archive_of(&here, &lived.tenant).await;
    verified(archive.clone()).await.unwrap();
    // Every byte of both ends, and a great many in between.
    let length = archive.len();
    let ends = (0..100).chain(length - 100..length).map(|at| (at, 1_u8 << (at % 8)));
    let between = (0..200).map(|_| (rand::random_range(0..length), rand::random_range(1..=255_u8)));
    for (at, flip) in ends.chain(between) {
        let mut damaged = archive.clone();
        damaged[at] ^= flip;
        is_invalid(verified(damaged).await, &format!("{at} ^ {flip}"));
    }
    for cut in [0, 1, 40, 41, length / 2, length - 41, length - 40, length - 1] {
        is_invalid(verified(archive[..cut].to_vec()).await, &format!("cut at {cut}"));
    }
    is_invalid(verified([&archive[..], b"\0"].concat()).await, "longer");
    // The same through the API: refused at once, or by the operation.
    for at in [2, length / 3, length / 2, length - 45, length - 1] {
        let mut damaged = archive.clone();
        damaged[at] ^= 0x20;
        let asked = ask_restore(&there, "acme-again", damaged).await;
        if asked.status == 422 {
            asked.refused(422, "invalid-archive");
        } else {
            failed(&done(&there, asked).await, "invalid-archive");
        }
        nothing_is_left(&there, 0, 0, &[]).await;
    }
    ask_restore(&there, "acme-again", "this is no archive").await.refused(422, "invalid-archive");
    nothing_is_left(&there, 0, 0, &[]).await;
}

#[tokio::test]
async fn what_is_no_archive_is_refused_by_its_form() {
    use tar::EntryType::{Directory, Regular, Symlink};
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let mut header = Contents::of(archive_of(&app, &tenant).await).await.header;
    header.tables.clear();
    header.schema_digest = digest::of_json(&header.tables);
    let json = serde_json::to_vec(&header).unwrap();
    let first = ("header.json", Regular, &json[..]);
    let sha256 = digest::of_bytes(b"x");
    let entry = |path: &str| serde_json::json!({"path": path, "bytes": 1, "sha256": sha256});
    let manifest = |entries: Vec<serde_json::Value>, count: usize| {
        let mut all =
            vec![serde_json::json!({"path": "header.json", "bytes": json.len(), "sha256": digest::of_bytes(&json)})];
        all.extend(entries);
        let mut manifest: Manifest = serde_json::from_value(serde_json::json!({
            "format": 1, "entries": all, "tables": [], "jobs": {"rows": 0, "bytes": 0, "sha256": digest::of_bytes(b"")},
            "objects": {"count": count, "bytes": count}, "missing_objects": [], "digest": ""
        }))
        .unwrap();
        manifest.digest = manifest.own_digest();
        serde_json::to_vec(&manifest).unwrap()
    };
    let whole = manifest(vec![entry("objects/a")], 1);
    let end = ("manifest.json", Regular, &whole[..]);
    let object = ("objects/a", Regular, &b"x"[..]);
    verified(packed(&[first, object, end]).await).await.unwrap();

    for path in [
        "objects/../../x",
        "/objects/a",
        "../objects/a",
        "objects/a/../b",
        "./objects/a",
        "tables/../objects/a",
        "evil",
        "objects",
    ] {
        let whole = manifest(vec![entry(path)], 1);
        let lying = [first, (path, Regular, &b"x"[..]), ("manifest.json", Regular, &whole[..])];
        is_invalid(verified(packed(&lying).await).await, path);
    }
    for kind in [
        Symlink,
        Directory,
        tar::EntryType::Link,
        tar::EntryType::Fifo,
        tar::EntryType::XHeader,
        tar::EntryType::GNULongName,
    ] {
        is_invalid(verified(packed(&[first, ("objects/a", kind, b"x"), end]).await).await, &format!("{kind:?}"));
    }
    let twice = manifest(vec![entry("objects/a"), entry("objects/a")], 2);
    is_invalid(verified(packed(&[first, object, object, ("manifest.json", Regular, &twice)]).await).await, "twice");
    is_invalid(verified(packed(&[first, end]).await).await, "missing");
    is_invalid(verified(packed(&[first, object, ("objects/b", Regular, b"x"), end]).await).await, "one more");
    is_invalid(verified(packed(&[first, ("objects/a", Regular, b"y"), end]).await).await, "other bytes");
    is_invalid(verified(packed(&[first, object]).await).await, "no manifest");
    is_invalid(verified(packed(&[object, first, end]).await).await, "no header first");
    is_invalid(verified(packed(&[first, first, object, end]).await).await, "two headers");
    is_invalid(verified(packed(&[first, object, end, object]).await).await, "something after the manifest");
    is_invalid(verified(packed(&[]).await).await, "nothing");
    let wrong_count = manifest(vec![entry("objects/a")], 2);
    is_invalid(verified(packed(&[first, object, ("manifest.json", Regular, &wrong_count)]).await).await, "count");
    let mut digest_off = whole.clone();
    let at = digest_off.windows(9).position(|found| found == b"\"digest\":").unwrap() + 12;
    digest_off[at] = if digest_off[at] == b'0' { b'1' } else { b'0' };
    is_invalid(verified(packed(&[first, object, ("manifest.json", Regular, &digest_off)]).await).await, "its digest");
    let unknown = String::from_utf8(whole.clone()).unwrap().replacen('{', "{\"more\":1,", 1);
    is_invalid(
        verified(packed(&[first, object, ("manifest.json", Regular, unknown.as_bytes())]).await).await,
        "a field",
    );
    let bomb = vec![0; 80 * 1024 * 1024];
    is_invalid(verified(packed(&[first, ("objects/a", Regular, &bomb), end]).await).await, "a bomb");
    is_invalid(verified(sealed(b"").await).await, "no tar");
    // A newer one is told from a damaged one.
    let newer = br#"{"format": 2, "what": "comes then"}"#;
    let found = verified(packed(&[("header.json", Regular, newer)]).await).await;
    assert!(matches!(found, Err(ArchiveError::File(FileError::TooNew { .. }))), "{found:?}");
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_at_once() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let tenant = here.tenant("acme").await;
    let mut contents = Contents::of(archive_of(&here, &tenant).await).await;
    contents.header.tenant.name = "Acme\u{1b}[2J".to_owned();
    let issuer = there.issuer.open_realm("acme-again").unwrap();
    let path = format!("/api/tenants/restores?slug=acme-again&issuer={issuer}"); // the name is the archive's
    let request =
        there.operator().request(reqwest::Method::POST, &path).header("content-type", "application/octet-stream");
    let refused = crate::support::Answer::to(request.body(contents.pack().await)).await;
    refused.refused(422, "invalid-archive");
    nothing_is_left(&there, 0, 0, &[]).await;
}

#[tokio::test]
async fn a_newer_archive_is_refused_at_once() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let tenant = here.tenant("acme").await;
    let mut contents = Contents::of(archive_of(&here, &tenant).await).await;
    contents.header.schema_version += 1;
    ask_restore(&there, "acme-again", contents.pack().await).await.refused(422, "archive-too-new");
    nothing_is_left(&there, 0, 0, &[]).await;
}

/// Archives whose digests are all right, made by somebody who means harm.
#[tokio::test]
async fn an_archive_that_is_whole_and_lies_is_found_out() {
    let (here, there) = (TestApp::start().await, TestApp::start().await);
    let lived = live(&here, "acme").await;
    let victim = live(&there, "victim").await;
    let honest = Contents::of(archive_of(&here, &lived.tenant).await).await;
    let objects = {
        let mut objects = there.objects().await;
        objects.sort();
        objects
    };
    let (own, foreign) = (lived.tenant.id.to_string(), victim.tenant.id.to_string());

    let mut cases: Vec<(&str, &str, Contents)> = Vec::new();
    let mut case = |what, kind, change: &dyn Fn(&mut Contents)| {
        let mut contents = honest.clone();
        change(&mut contents);
        cases.push((what, kind, contents));
    };
    // Another tenant's recording, under a row of one's own.
    case("a foreign key", "invalid-archive", &|c| c.replace("audio_files", &format!("{own}/"), &format!("{foreign}/")));
    case("a key upwards", "invalid-archive", &|c| {
        c.replace("audio_files", &format!("{own}/2026"), &format!("{own}/../{foreign}/2026"));
    });
    case("an object that is not there", "invalid-archive", &|c| {
        c.objects.retain(|(key, _)| key.starts_with("plugins/"))
    });
    // Another tenant's organization, to be let into its rows.
    case("a foreign organization", "conflict", &|c| {
        let row = String::from_utf8(c.table("organizations").clone()).unwrap();
        let row = row.lines().find(|row| row.contains("\tsales\t")).unwrap();
        let id = &row[..36];
        let row = row.replacen(id, &victim.tenant.sales, 1).replace("\tsales\t", "\tsales-2\t");
        let rows = c.table("organizations");
        rows.extend(row.as_bytes());
        rows.push(b'\n');
        // in the order of the key, or the digests would tell
        let mut lines: Vec<&[u8]> = rows.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort();
        *rows = lines.concat();
    });
    case("a foreign job", "invalid-archive", &|c| {
        let text = String::from_utf8(c.jobs.clone()).unwrap();
        c.jobs = text.replace(&lived.tenant.sales, &victim.tenant.sales).into_bytes();
    });
    // Jobs of all tenants are leased together.
    case("a job that nobody can read", "invalid-archive", &|c| {
        let text = String::from_utf8(c.jobs.clone()).unwrap();
        assert!(text.contains("{\"call_id\": "), "{text}");
        c.jobs = text.replace("{\"call_id\": ", "{\"n\": 1e400, \"call_id\": ").into_bytes();
    });
    case("an empty object", "invalid-archive", &|c| c.objects[0].1.clear());
    case("another root", "invalid-archive", &|c| c.header.tenant.root_organization_id = OrganizationId::new());
    case("another tenant", "invalid-archive", &|c| c.header.tenant.tenant_id = TenantId::new());
    case("a broken reference", "invalid-archive", &|c| c.table("calls").clear());
    case("a broken rule", "invalid-archive", &|c| c.replace("calls", "\tchat\t", "\tfax\t"));
    case("a row twice", "invalid-archive", &|c| {
        let rows = c.table("users");
        rows.extend(rows.clone());
    });
    case("no row", "invalid-archive", &|c| c.table("users").extend(b"only this\n"));
    case("an early end", "invalid-archive", &|c| {
        let rows = c.table("audit_events");
        rows.splice(0..0, *b"\\.\n");
    });
    case("other tables", "invalid-archive", &|c| {
        c.header.tables[0].columns[0].kind = "text".to_owned();
        c.header.schema_digest = digest::of_json(&c.header.tables);
    });
    case("an older schema than its tables", "invalid-archive", &|c| c.header.schema_version = 1);
    case("a table's SQL", "invalid-archive", &|c| {
        c.header.tables[0].name = "organizations\"; drop schema platform cascade; --".to_owned();
        c.header.schema_digest = digest::of_json(&c.header.tables);
    });

    for (what, kind, contents) in cases {
        let operation = done(&there, ask_restore(&there, "acme-again", contents.pack().await).await).await;
        assert_eq!(operation["status"], "failed", "{what}: {operation:#}");
        assert_eq!(operation["error"]["kind"], kind, "{what}: {operation:#}");
        nothing_is_left(&there, 1, 2, &objects).await;
    }
    // And the honest one, packed in the same way, is a tenant.
    super::succeeded(&done(&there, ask_restore(&there, "acme-again", honest.pack().await).await).await);
}
