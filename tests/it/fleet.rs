//! The fleet: every tenant's schema is brought to the newest version or left as it was, whatever happens in between.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plumbline::{
    foundation::{
        clock::Clock,
        ids::{OrganizationId, TenantId},
    },
    platform::{
        db::{NewTenant, Owner, OwnerError, TenantMigrations, schema_name},
        fleet::{self, Canary, Drift, FleetError, FleetOptions, Seen, StatusFilter, Summary, Version},
    },
};
use tokio::time::sleep;

use crate::{
    baseline::row,
    support::{Database, TestApp, TestTenant, fresh},
};

/// This build's migrations and one more.
fn more(sql: &str) -> TenantMigrations {
    let embedded = TenantMigrations::embedded();
    embedded.clone().with(&format!("V{}__more", embedded.newest() + 1), sql).unwrap()
}

/// A column and an index.
fn column() -> TenantMigrations {
    more("alter table calls add column more text;\ncreate index calls_more on calls (more);")
}

/// Tenants, active and current, by slug `t0`, `t1`, …
pub async fn tenants(database: &Database, count: usize) -> Vec<TenantId> {
    let mut owner = Owner::connect(&database.owner).await.unwrap();
    let mut made = vec![];
    for n in 0..count {
        let tenant = row(&owner, &format!("t{n}")).await;
        made.push(owner.create_tenant(&tenant).await.unwrap());
    }
    made
}

fn options() -> FleetOptions {
    FleetOptions { workers: 3, lock_wait_ms: 100, ..FleetOptions::default() }
}

async fn migrate(database: &Database, set: &TenantMigrations, options: &FleetOptions) -> Summary {
    fleet::migrate(&database.owner, set, options, &Clock::system(), &|_| ()).await.unwrap()
}

/// Tenants that have the column, those whose row says so, and those where the two disagree.
async fn counted(database: &Database) -> (i64, i64, i64) {
    let newest = TenantMigrations::embedded().newest();
    let count = async |what: &str| {
        let query = format!(
            "select count(*) from (
                 select t.schema_version > {newest} as told,
                        exists (select from information_schema.columns c
                                where c.table_schema = 't_' || replace(t.tenant_id::text, '-', '')
                                  and c.table_name = 'calls' and c.column_name = 'more') as has
                 from platform.tenants t where status <> 'destroyed') f where {what}"
        );
        database.count(&query).await
    };
    (count("has").await, count("told").await, count("has <> told").await)
}

#[tokio::test]
async fn one_failure_leaves_the_others_done_and_a_second_run_finishes() {
    let database = fresh().await;
    let made = tenants(&database, 12).await;
    let bad = schema_name(made[6]);
    database.execute(&format!("create index calls_more on {bad}.calls (language)")).await;

    let summary = migrate(&database, &column(), &options()).await;
    assert_eq!((summary.migrated, summary.failed, summary.untouched), (11, 1, 0), "{summary:?}");
    assert!(!summary.is_success());
    let failure = &summary.failures[0];
    assert_eq!(failure.tenant_id, made[6]);
    let version = format!("V{} of {bad} failed", column().newest());
    assert!(failure.error.contains(&version) && failure.error.contains("already exists (42P07)"), "{failure:?}");
    assert_eq!(counted(&database).await, (11, 11, 0));
    let stored = "select count(*) from platform.tenants where migration_error like '%already exists%' and slug = 't6'";
    assert_eq!(database.count(stored).await, 1);
    let logged = "select count(*) from platform.audit_events where action = 'fleet.migrated'";
    assert_eq!(database.count(logged).await, 1);

    database.execute(&format!("drop index {bad}.calls_more")).await;
    let summary = migrate(&database, &column(), &options()).await;
    assert_eq!((summary.migrated, summary.current, summary.failed), (1, 11, 0), "{summary:?}");
    assert_eq!(counted(&database).await, (12, 12, 0));
    assert_eq!(database.count("select count(*) from platform.tenants where migration_error is not null").await, 0);
    let summary = migrate(&database, &column(), &options()).await;
    assert_eq!((summary.migrated, summary.current), (0, 12), "{summary:?}");
}

#[tokio::test]
async fn one_damaged_history_does_not_fail_those_that_are_read_with_it() {
    let database = fresh().await;
    let made = tenants(&database, 12).await;
    let bad = schema_name(made[3]);
    database.execute(&format!("alter table {bad}.refinery_schema_history drop column checksum")).await;
    let summary = migrate(&database, &column(), &FleetOptions { workers: 1, ..options() }).await;
    assert_eq!((summary.migrated, summary.failed), (11, 1), "{summary:?}");
    assert_eq!(summary.failures[0].tenant_id, made[3]);
    let stored = "select count(*) from platform.tenants where migration_error is not null and slug = 't3'";
    assert_eq!(database.count(stored).await, 1);
}

#[tokio::test]
async fn the_run_stops_after_some_failures_and_goes_on_later() {
    let database = fresh().await;
    tenants(&database, 12).await;
    let broken = more("alter table calls add column more text; select 1 / 0;");
    let summary = migrate(&database, &broken, &FleetOptions { workers: 1, stop_after: Some(2), ..options() }).await;
    assert_eq!((summary.migrated, summary.failed, summary.untouched), (0, 2, 10), "{summary:?}");
    assert!(summary.stopped.is_some());
    assert_eq!(counted(&database).await, (0, 0, 0), "nothing is half-made");
    let summary = migrate(&database, &column(), &options()).await;
    assert_eq!((summary.migrated, summary.failed), (12, 0), "{summary:?}");
}

#[tokio::test]
async fn the_canary_goes_first() {
    let database = fresh().await;
    let made = tenants(&database, 8).await;
    database.execute(&format!("alter table {}.calls add column more integer", schema_name(made[3]))).await;
    let waves = Mutex::new(vec![]);
    let run = async |canary: Canary| {
        let seen = |seen: Seen<'_>| {
            if let Seen::Wave { canary, tenants, .. } = seen {
                waves.lock().unwrap().push((canary, tenants));
            }
        };
        let options = FleetOptions { canary, ..options() };
        fleet::migrate(&database.owner, &column(), &options, &Clock::system(), &seen).await
    };
    let slugs = |slugs: &[&str]| Canary::Slugs(slugs.iter().map(|slug| (*slug).to_owned()).collect());
    let unknown = run(slugs(&["t1", "t9'; drop table platform.tenants; --"])).await.unwrap_err();
    assert!(matches!(unknown, FleetError::UnknownCanary(slug) if slug.starts_with("t9'")));
    assert_eq!(counted(&database).await.1, 0);

    let summary = run(slugs(&["t3", "t1"])).await.unwrap();
    assert_eq!((summary.migrated, summary.failed, summary.untouched), (1, 1, 6), "{summary:?}");
    assert_eq!(*waves.lock().unwrap(), [(true, 2)]);

    database.execute(&format!("alter table {}.calls drop column more", schema_name(made[3]))).await;
    waves.lock().unwrap().clear();
    let summary = run(Canary::Share(0.25)).await.unwrap();
    assert_eq!((summary.migrated, summary.current, summary.failed), (7, 1, 0), "{summary:?}");
    assert_eq!(*waves.lock().unwrap(), [(true, 2), (false, 5)]);
}

#[tokio::test]
async fn two_runs_at_once_share_the_work() {
    let database = fresh().await;
    tenants(&database, 24).await;
    let set = more("alter table calls add column more text; select pg_sleep(0.01);");
    let options = options();
    let (one, other) = tokio::join!(migrate(&database, &set, &options), migrate(&database, &set, &options));
    assert!(one.is_success() && other.is_success(), "{one:?} {other:?}");
    assert_eq!(one.migrated + other.migrated, 24, "each tenant by one of the two: {one:?} {other:?}");
    assert_eq!(counted(&database).await, (24, 24, 0));
}

#[tokio::test]
async fn a_table_in_use_is_come_back_to() {
    let database = fresh().await;
    let made = tenants(&database, 3).await;
    let mut reader = database.connect().await;
    let reading = reader.transaction().await.unwrap();
    reading.execute(&format!("select from {}.calls", schema_name(made[1])), &[]).await.unwrap();
    let again = Arc::new(Mutex::new(vec![]));
    let run = async {
        let seen = |seen: Seen<'_>| {
            if let Seen::Again(slug, error) = seen {
                again.lock().unwrap().push(format!("{slug}: {error}"));
            }
        };
        fleet::migrate(&database.owner, &column(), &options(), &Clock::system(), &seen).await.unwrap()
    };
    let release = async {
        sleep(Duration::from_millis(600)).await;
        reading.commit().await.unwrap();
    };
    let (summary, ()) = tokio::join!(run, release);
    assert_eq!((summary.migrated, summary.failed), (3, 0), "{summary:?}");
    let again = again.lock().unwrap();
    assert!(again.iter().all(|line| line.starts_with("t1: ") && line.contains("(55P03)")), "{again:?}");
    assert!(!again.is_empty());
}

#[tokio::test]
async fn who_stays_locked_fails_in_the_end() {
    let database = fresh().await;
    let made = tenants(&database, 3).await;
    let holder = Owner::connect(&database.owner).await.unwrap();
    assert_eq!(holder.lock_tenants(&made[..1]).await.unwrap().members.len(), 1);
    let options = FleetOptions { patience: Duration::from_millis(300), ..options() };
    let summary = migrate(&database, &column(), &options).await;
    assert_eq!((summary.migrated, summary.failed), (2, 1), "{summary:?}");
    assert!(summary.failures[0].error.contains("somebody else"), "{summary:?}");
    drop(holder);
    let summary = migrate(&database, &column(), &options).await;
    assert_eq!((summary.migrated, summary.failed), (1, 0), "the lock ended with its session: {summary:?}");
}

#[tokio::test]
async fn divergent_and_missing_migrations_are_named() {
    let database = fresh().await;
    let made = tenants(&database, 5).await;
    let schema = |n: usize| schema_name(made[n]);
    let history = |n: usize| format!("{}.refinery_schema_history", schema(n));
    database.execute(&format!("update {} set checksum = '7' where version = 1", history(0))).await;
    database.execute(&format!("delete from {} where version = 1", history(1))).await;
    database.execute(&format!("insert into {} values (99, 'later', '2026-11-23T15:00:00Z', '7')", history(2))).await;
    database.execute(&format!("update {} set applied_on = 'x'", history(3))).await;
    let mut summary = migrate(&database, &column(), &options()).await;
    assert_eq!((summary.migrated, summary.failed), (1, 4), "{summary:?}");
    summary.failures.sort_by(|a, b| a.slug.cmp(&b.slug));
    let said: Vec<&str> = summary.failures.iter().map(|failure| failure.error.as_str()).collect();
    assert_eq!(
        said,
        [
            format!("V1 of {} is another one than was applied", schema(0)),
            format!("V1 of {} was passed over", schema(1)),
            format!("V99 of {} was applied and is not in this build", schema(2)),
            format!("the row of V1 in the history of {} cannot be read", schema(3)),
        ]
    );
    assert_eq!(counted(&database).await, (1, 1, 0));
}

#[tokio::test]
async fn concurrent_steps_follow_and_half_built_indexes_are_built_anew() {
    let database = fresh().await;
    let made = tenants(&database, 4).await;
    let step = "V1__calls_language";
    let set = column()
        .with_concurrent(step, "create index concurrently if not exists calls_language on calls (language);")
        .unwrap();
    let half = schema_name(made[2]);
    database.execute(&format!("create index calls_language on {half}.calls (language)")).await;
    database
        .execute(&format!(
            "update pg_index set indisvalid = false where indexrelid = '{half}.calls_language'::regclass"
        ))
        .await;
    let summary = migrate(&database, &set, &options()).await;
    assert_eq!((summary.migrated, summary.failed), (4, 0), "{summary:?}");
    let valid = "select count(*) from pg_index i join pg_class c on c.oid = i.indexrelid
         where c.relname = 'calls_language' and i.indisvalid";
    assert_eq!(database.count(valid).await, 4);
    assert_eq!(database.count("select count(*) from platform.tenants where concurrent_version = 1").await, 4);

    // Only a step is pending: it alone is run, and a failing one says which it is.
    let next = set.clone().with_concurrent("V2__no_such", "create index concurrently if not exists x on no_such (y)");
    let summary = migrate(&database, &next.unwrap(), &options()).await;
    assert_eq!((summary.migrated, summary.failed), (0, 4), "{summary:?}");
    assert!(summary.failures[0].error.contains("the concurrent step V2__no_such"), "{summary:?}");
    let summary = migrate(&database, &set, &options()).await;
    assert_eq!((summary.current, summary.migrated), (4, 0), "{summary:?}");
}

#[tokio::test]
async fn the_dead_and_the_unborn_are_passed_over() {
    let database = fresh().await;
    let made = tenants(&database, 3).await;
    database
        .execute(&format!(
            "drop schema {} cascade;
             update platform.tenants set status = 'destroyed' where slug = 't0';
             update platform.tenants set status = 'leaving', leaves_at = now() - interval '1 second' where slug = 't1'",
            schema_name(made[0])
        ))
        .await;
    let owner = Owner::connect(&database.owner).await.unwrap();
    row(&owner, "unborn").await;
    let summary = migrate(&database, &column(), &options()).await;
    assert_eq!((summary.migrated, summary.current, summary.failed), (1, 0, 0), "{summary:?}");

    database.execute("update platform.tenants set status = 'active' where slug = 't0'").await;
    let summary = migrate(&database, &column(), &options()).await;
    assert_eq!(summary.failed, 1, "{summary:?}");
    assert_eq!(summary.failures[0].error, format!("there is no schema {}", schema_name(made[0])));
}

#[tokio::test]
async fn an_older_build_leaves_newer_schemas_alone() {
    let database = fresh().await;
    tenants(&database, 3).await;
    migrate(&database, &column(), &options()).await;
    let summary = migrate(&database, TenantMigrations::embedded(), &options()).await;
    assert_eq!((summary.newer, summary.migrated, summary.failed), (3, 0, 0), "{summary:?}");
    assert!(summary.is_success());
    assert_eq!(counted(&database).await, (3, 3, 0));
}

#[tokio::test]
async fn a_dry_run_shows_what_is_pending_and_changes_nothing() {
    let database = fresh().await;
    tenants(&database, 3).await;
    let set = column()
        .with_concurrent(
            "V1__calls_language",
            "create index concurrently if not exists calls_language on calls (language);",
        )
        .unwrap();
    let owner = Owner::connect(&database.owner).await.unwrap();
    let plan = fleet::plan(&owner, &set).await.unwrap();
    assert!(plan.platform.is_empty(), "{plan:?}");
    let steps: Vec<(i32, &str, bool, i64)> =
        plan.tenants.iter().map(|step| (step.version, step.name.as_str(), step.concurrent, step.tenants)).collect();
    assert_eq!(steps, [(set.newest(), "more", false, 3), (1, "calls_language", true, 3)]);
    assert!(plan.tenants[0].sql.contains("add column more"), "{plan:?}");
    assert_eq!(counted(&database).await, (0, 0, 0));

    let empty = crate::support::unmigrated().await;
    let owner = Owner::connect(&empty.owner).await.unwrap();
    let plan = fleet::plan(&owner, &set).await.unwrap();
    assert!(plan.platform.len() >= 2 && plan.tenants.is_empty(), "{plan:?}");
    assert_eq!(empty.count("select count(*) from pg_namespace where nspname = 'platform'").await, 0);
}

#[tokio::test]
async fn connections_that_are_cut_only_delay_the_run() {
    let database = fresh().await;
    tenants(&database, 10).await;
    let set = more("alter table calls add column more text; select pg_sleep(0.05);");
    let cut = async {
        for _ in 0..4 {
            sleep(Duration::from_millis(60)).await;
            let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where datname = current_database() and application_name = 'plumbline-owner' and query like 'begin;%'";
            database.count(end).await;
        }
    };
    let options = options();
    let (summary, ()) = tokio::join!(migrate(&database, &set, &options), cut);
    assert!(summary.is_success(), "{summary:?}");
    assert_eq!(counted(&database).await, (10, 10, 0));
}

#[tokio::test]
async fn drift_is_seen_set_by_set() {
    let database = fresh().await;
    let made = tenants(&database, 6).await;
    let schema = |n: usize| schema_name(made[n]);
    for (n, change) in [
        (0, "alter table {}.calls add column by_hand text"),
        (1, "grant delete on {}.audit_events to plumbline_member"),
        (2, "alter table {}.users disable row level security"),
        (3, "drop schema {} cascade"),
    ] {
        database.execute(&change.replace("{}", &schema(n))).await;
    }
    let owner = Owner::connect(&database.owner).await.unwrap();
    let set = TenantMigrations::embedded();
    let all = fleet::status(&owner, set, StatusFilter::All, None, 100).await.unwrap();
    let drift: Vec<(&str, Drift)> = all.iter().rev().map(|tenant| (tenant.slug.as_str(), tenant.drift)).collect();
    use Drift::{Drifted, Missing};
    assert_eq!(
        drift,
        [("t0", Drifted), ("t1", Drifted), ("t2", Drifted), ("t3", Missing), ("t4", Drift::None), ("t5", Drift::None)]
    );
    assert!(all.iter().all(|tenant| tenant.version == Version::Current));
    let drifted = fleet::status(&owner, set, StatusFilter::Drifted, None, 100).await.unwrap();
    assert_eq!(drifted.len(), 4);
    assert_eq!(fleet::status(&owner, set, StatusFilter::Drifted, None, 2).await.unwrap().len(), 2);
    assert!(fleet::status(&owner, set, StatusFilter::Behind, None, 100).await.unwrap().is_empty());
    let behind = fleet::status(&owner, &column(), StatusFilter::Behind, None, 100).await.unwrap();
    assert!(behind.len() == 6 && behind.iter().all(|tenant| tenant.version == Version::Behind), "{behind:?}");
}

#[tokio::test]
async fn a_schema_is_served_when_it_is_not_older_than_the_server() {
    let app = TestApp::start().await;
    let newest = TenantMigrations::embedded().newest();
    for (slug, version, concurrent, served) in
        [("current", newest, 0, true), ("older", newest - 1, 0, false), ("newer", newest + 1, 7, true)]
    {
        let mut owner = Owner::connect(&app.database.owner).await.unwrap();
        let new = NewTenant {
            tenant_id: TenantId::new(),
            slug: slug.to_owned(),
            name: slug.to_owned(),
            issuer: app.issuer.open_realm(slug).unwrap(),
            root_organization_id: OrganizationId::new(),
        };
        owner.create_tenant(&new).await.unwrap();
        let versions = format!("schema_version = {version}, concurrent_version = {concurrent}");
        app.database.execute(&format!("update platform.tenants set {versions} where slug = '{slug}'")).await;
        let tenant = TestTenant {
            id: new.tenant_id,
            slug: slug.to_owned(),
            root: new.root_organization_id,
            schema: schema_name(new.tenant_id),
            sales: String::new(),
            support: String::new(),
        };
        let answer = app.admin(&tenant).get("/api/organizations").await;
        if served {
            assert_eq!(answer.status, 200, "{slug}: {}", answer.body);
        } else {
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
            answer.refused(503, "tenant-not-ready");
        }
    }
}

#[tokio::test]
async fn operators_see_the_fleet_and_nobody_else_does() {
    let app = TestApp::start().await;
    let mut made = vec![];
    for slug in ["one", "two", "three"] {
        made.push(app.tenant(slug).await);
    }
    app.database.execute(&format!("alter table {}.calls add column by_hand text", made[1].schema)).await;
    app.database.execute("update platform.tenants set migration_error = 'V9 failed' where slug = 'three'").await;
    let operator = app.operator();
    let page = operator.get("/api/fleet?limit=2").await.expect(200);
    let slugs = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["slug"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(slugs(&page), ["three", "two"]);
    assert_eq!(
        (page["items"][0]["drift"].as_str(), page["items"][1]["drift"].as_str()),
        (Some("none"), Some("drifted"))
    );
    assert_eq!(page["items"][0]["migration_error"].as_str(), Some("V9 failed"));
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = operator.get(&format!("/api/fleet?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!(slugs(&next), ["one"]);
    for (filter, found) in [("drifted", vec!["two"]), ("failed", vec!["three"]), ("behind", vec![])] {
        let page = operator.get(&format!("/api/fleet?filter={filter}")).await.expect(200);
        assert_eq!(slugs(&page), found, "{filter}");
    }
    operator.get("/api/fleet?filter=x").await.expect(400);
    operator.get(&format!("/api/fleet?filter=drifted&cursor={cursor}")).await.refused(400, "invalid-cursor");
    app.admin(&made[0]).get("/api/fleet").await.refused(403, "forbidden");
    app.anonymous().get("/api/fleet").await.expect(401);
}

#[tokio::test]
async fn a_full_disk_fails_the_tenant_and_not_what_it_holds() {
    let database = fresh().await;
    tenants(&database, 3).await;
    let full = more(
        "alter table calls add column more text; do $$ begin raise exception using errcode = 'disk_full'; end $$;",
    );
    let summary = migrate(&database, &full, &FleetOptions { attempts: 2, ..options() }).await;
    assert_eq!((summary.migrated, summary.failed), (0, 3), "{summary:?}");
    assert!(summary.failures.iter().all(|failure| failure.error.contains("(53100)")), "{summary:?}");
    assert_eq!(counted(&database).await, (0, 0, 0));
    assert_eq!(database.count("select count(*) from platform.tenants where migration_error like '%53100%'").await, 3);
    let summary = migrate(&database, &column(), &options()).await;
    assert_eq!((summary.migrated, summary.failed), (3, 0), "{summary:?}");
}

#[tokio::test]
async fn a_slug_is_a_value_and_never_sql() {
    let database = fresh().await;
    let owner = Owner::connect(&database.owner).await.unwrap();
    for hostile in ["x'; drop table platform.tenants; --", "a\"b", "A", "a", "ä-b", "a_b", "a b", ""] {
        let new = NewTenant {
            tenant_id: TenantId::new(),
            slug: hostile.to_owned(),
            name: hostile.to_owned() + "n",
            issuer: format!("https://issuer.example/{hostile}"),
            root_organization_id: OrganizationId::new(),
        };
        let refused = owner.insert_tenant_row(&new).await.unwrap_err();
        assert!(matches!(refused, OwnerError::NotAllowed("slug")), "{hostile}: {refused:?}");
    }
    let name = "x'; drop table platform.tenants; --".to_owned();
    let new = NewTenant { slug: "acme".to_owned(), name, ..row(&owner, "other").await };
    let new = NewTenant {
        tenant_id: TenantId::new(),
        root_organization_id: OrganizationId::new(),
        issuer: "i".to_owned(),
        ..new
    };
    Owner::connect(&database.owner).await.unwrap().create_tenant(&new).await.unwrap();
    let named =
        format!("select count(*) from {}.organizations where name like 'x''; drop%'", schema_name(new.tenant_id));
    assert_eq!(database.count(&named).await, 1);
}
