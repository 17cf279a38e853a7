//! `plumbline tenant export | verify | restore | clone` as operators type it.

use std::{path::Path, time::Duration};

use plumbline::{demo::issuer::DevIssuer, foundation::clock::Clock};

use crate::{
    cli::{Ended, Program, run},
    support::{Database, fresh},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// An installation to type commands in.
struct Desk {
    home: tempfile::TempDir,
    database: Database,
}

impl Desk {
    async fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), database: fresh().await }
    }

    async fn types(&self, arguments: &[&str]) -> Ended {
        let mut program = Program::on(self.home.path(), &self.database);
        program.env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true").env("USER", "olga");
        program.0.args(arguments);
        run(program, PATIENCE).await
    }

    async fn says(&self, arguments: &[&str]) -> String {
        let ended = self.types(arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?} {ended:?}");
        ended.stdout.trim().to_owned()
    }

    async fn tenants(&self) -> i64 {
        self.database.count("select count(*) from platform.tenants").await
    }
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_moves_by_a_file() {
    let issuer = DevIssuer::start(0, None, Clock::system()).await.unwrap();
    let realm = |slug: &str| issuer.open_realm(slug).unwrap();
    let (here, there) = (Desk::new().await, Desk::new().await);
    let create = ["tenant", "create", "--slug", "acme", "--name", "Acme", "--issuer", &realm("acme")];
    here.says(&create).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("acme.plumbline");
    let path = file.to_str().unwrap();

    let told = here.says(&["tenant", "export", "acme", "--to", path]).await;
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(told, format!("{}  {path}", plumbline::foundation::digest::of_bytes(&bytes)));
    assert_eq!(files(directory.path()), ["acme.plumbline"]);
    let again = here.types(&["tenant", "export", "acme", "--to", path]).await;
    assert!(again.code == Some(2) && again.stderr.contains("is there already"), "{again:?}");
    let unknown = here.types(&["tenant", "export", "nobody", "--to", &format!("{path}2")]).await;
    assert_eq!((unknown.code, files(directory.path())), (Some(2), vec!["acme.plumbline".to_owned()]), "{unknown:?}");
    let logged =
        "select count(*) from platform.audit_events where action = 'tenant.exported' and actor = 'command-line:olga'";
    assert_eq!(here.database.count(logged).await, 1);

    // Checked without a database.
    let mut alone = Program::new(directory.path());
    alone.args(["tenant", "verify", path]);
    let verified = run(alone, PATIENCE).await;
    assert!(verified.code == Some(0) && verified.stdout.contains("every digest and count is right"), "{verified:?}");
    let damaged = directory.path().join("damaged.plumbline");
    let mut other = bytes.clone();
    other[bytes.len() / 2] ^= 1;
    std::fs::write(&damaged, other).unwrap();
    let mut alone = Program::new(directory.path());
    alone.args(["tenant", "verify", damaged.to_str().unwrap()]);
    let refused = run(alone, PATIENCE).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");

    let acme = realm("acme-there");
    let damaged =
        there.types(&["tenant", "restore", damaged.to_str().unwrap(), "--slug", "acme", "--issuer", &acme]).await;
    assert!(damaged.code != Some(0), "{damaged:?}");
    assert_eq!(there.tenants().await, 0);
    let hostile = there.types(&["tenant", "restore", path, "--slug", "../etc", "--issuer", &acme]).await;
    assert_eq!((hostile.code, there.tenants().await), (Some(2), 0), "{hostile:?}");
    let id = there.says(&["tenant", "restore", path, "--slug", "acme-there", "--issuer", &acme]).await;
    let active = format!(
        "select count(*) from platform.tenants where tenant_id = '{id}' and status = 'active' and name = 'Acme'"
    );
    assert_eq!(there.database.count(&active).await, 1);
    let twice = there.types(&["tenant", "restore", path, "--slug", "acme-2", "--issuer", &realm("x")]).await;
    assert!(twice.code == Some(2) && twice.stderr.contains("lives here"), "{twice:?}");

    let copy =
        ["tenant", "clone", "acme-there", "--slug", "sandbox", "--name", "Sandbox", "--issuer", &realm("sandbox")];
    let clone = there.says(&copy).await;
    assert!(clone != id && there.tenants().await == 2, "{clone}");
}
