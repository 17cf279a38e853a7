//! `plumbline tenant …` as operators type it: a tenant's whole life, and Ctrl-C in the middle.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use plumbline::{
    demo::issuer::DevIssuer,
    foundation::{clock::Clock, digest},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    cli::{Ended, Program, run},
    support::{Database, fresh},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// A place to type commands in.
struct Desk {
    home: tempfile::TempDir,
    database: Database,
    issuer: DevIssuer,
}

impl Desk {
    async fn new() -> Self {
        let issuer = DevIssuer::start(0, None, Clock::system()).await.unwrap();
        Self { home: tempfile::tempdir().unwrap(), database: fresh().await, issuer }
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let mut program = Program::on(self.home.path(), &self.database);
        program.env("PLUMBLINE_IDENTITY__TRUST_DEVELOPMENT_ISSUER", "true").env("USER", "olga");
        program.0.args(arguments);
        program
    }

    async fn types(&self, arguments: &[&str]) -> Ended {
        run(self.program(arguments), PATIENCE).await
    }

    /// What a command says, when it ends well.
    async fn says(&self, arguments: &[&str]) -> String {
        let ended = self.types(arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?} {ended:?}");
        ended.stdout.trim().to_owned()
    }

    async fn shows(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(arguments).await).unwrap()
    }

    async fn create(&self, slug: &str, more: &[&str]) -> Ended {
        let issuer = self.issuer.open_realm(slug).unwrap();
        let arguments = ["tenant", "create", "--slug", slug, "--name", "Acme", "--issuer", &issuer];
        self.types(&[&arguments, more].concat()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_life_by_the_command_line() {
    let desk = Desk::new().await;
    let made = desk.create("acme", &["--admin-subject", "ada", "--admin-name", "Ada", "--json"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    for step in ["schema  done", "issuer  done  1 usable keys", "activate  done"] {
        assert!(made.stderr.contains(step), "{step}: {made:?}");
    }
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!((&made["tenant"]["status"], &made["operation"]["status"]), (&"active".into(), &"succeeded".into()));
    let id = made["tenant"]["tenant_id"].as_str().unwrap();
    assert_eq!(desk.create("acme", &[]).await.code, Some(2));

    let later = desk.create("globex", &["--no-wait"]).await;
    assert_eq!(later.code, Some(0), "{later:?}");
    let table = desk.says(&["tenant", "list"]).await;
    assert!(table.lines().any(|line| line.contains("globex") && line.contains("provisioning")), "{table}");
    assert_eq!(desk.says(&["operate", "--once"]).await, "1 operations were taken up");
    let listed = desk.shows(&["tenant", "list", "--status", "active", "--json"]).await;
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");

    assert!(desk.says(&["tenant", "suspend", "acme", "--reason", "unpaid"]).await.contains("suspended"));
    assert_eq!(desk.shows(&["tenant", "show", id, "--json"]).await["status_reason"], "unpaid");
    desk.says(&["tenant", "resume", id]).await;
    desk.says(&["tenant", "hold", "acme", "--reason", "case 7"]).await;
    let held = desk.types(&["tenant", "off-board", "acme", "--yes"]).await;
    assert!(held.code == Some(2) && held.stderr.contains("under legal hold"), "{held:?}");
    desk.says(&["tenant", "release", "acme"]).await;
    let unsure = desk.types(&["tenant", "off-board", "acme", "--grace-days", "0"]).await;
    assert!(unsure.code == Some(2) && unsure.stderr.contains("nothing was done"), "{unsure:?}");
    assert_eq!(desk.shows(&["tenant", "show", "acme", "--json"]).await["status"], "active");

    // With a grace period it ends at once: its time comes by itself.
    let leaving = desk.types(&["tenant", "off-board", "globex", "--yes", "--grace-days", "9"]).await;
    assert!(leaving.code == Some(0) && leaving.stderr.contains("the grace period ends"), "{leaving:?}");
    let gone = desk.types(&["tenant", "off-board", "acme", "--yes", "--grace-days", "0"]).await;
    assert_eq!(gone.code, Some(0), "{gone:?}");
    let certificate = desk.shows(&["tenant", "certificate", id]).await;
    assert_eq!(certificate["digest"], Value::from(digest::of_json(&certificate["document"])));
    assert_eq!(certificate["document"]["requested_by"], "command-line:olga");
    assert_eq!(desk.types(&["tenant", "show", "acme"]).await.code, Some(2), "the slug is nobody's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_ctrl_c_the_operation_waits_for_whoever_goes_on() {
    let desk = Desk::new().await;
    desk.create("acme", &[]).await;
    let id = desk.shows(&["tenant", "show", "acme", "--json"]).await["tenant_id"].as_str().unwrap().to_owned();
    let mut program = desk.program(&["tenant", "off-board", "acme", "--yes", "--grace-days", "0"]);
    let mut child = program.0.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = told.next_line().await.unwrap() {
        if line.contains("cached_entries  waits") {
            break;
        }
    }
    kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), Signal::INT).unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(130));
    assert_eq!(desk.shows(&["tenant", "show", &id, "--json"]).await["status"], "leaving");
    let deadline = Instant::now() + PATIENCE; // the wait for what servers remember is 40 s by the clock, however fast a look is
    while Instant::now() < deadline {
        desk.says(&["operate", "--once"]).await;
        if desk.shows(&["tenant", "show", &id, "--json"]).await["status"] == "destroyed" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("nobody went on");
}

#[tokio::test]
async fn a_tenant_that_cannot_be_made_is_told_by_the_exit_status() {
    let desk = Desk::new().await;
    let mut program = desk.program(&["tenant", "create", "--slug", "acme", "--name", "Acme", "--issuer"]);
    program.0.arg(format!("{}/", desk.issuer.open_realm("acme").unwrap())); // it names itself without the slash
    let failed = run(program, PATIENCE).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(
        failed.stderr.contains("issuer  FAILED  the issuer: the discovery document is of another issuer"),
        "{failed:?}"
    );

    // Without a server: what is left of it is seen, tried again, and taken back.
    let listed = desk.shows(&["operation", "list", "--tenant", "acme", "--json"]).await;
    let id = listed[0]["operation_id"].as_str().unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["status"]), (1, &"failed".into()), "{listed}");
    assert!(desk.says(&["operation", "list"]).await.contains("provision_tenant"));
    let again = desk.types(&["operation", "retry", id]).await;
    assert!(again.code == Some(1) && again.stderr.contains("the discovery document is of another issuer"), "{again:?}");
    let taken_back = desk.types(&["operation", "cancel", id]).await;
    assert_eq!(taken_back.code, Some(1), "{taken_back:?}");
    assert!(taken_back.stdout.contains("is cancelled") || taken_back.stderr.contains("cancelled"), "{taken_back:?}");
    assert_eq!(desk.shows(&["operation", "show", id]).await["status"], "cancelled");
    let over = desk.types(&["operation", "cancel", id]).await;
    assert!(over.code == Some(2) && over.stderr.contains("has come to its end"), "{over:?}");
    assert_eq!(desk.create("acme", &[]).await.code, Some(0), "the slug is free again");
}
