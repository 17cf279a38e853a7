//! The generated adversary in the test run; `script/bench isolation` is a hundred times as patient. And proof that it would find something: worlds
//! with one wall less.

use std::collections::BTreeSet;

use crate::support::adversary::{Adversary, seed};

const ATTEMPTS: usize = 10_000;

/// Operations of which the adversary proves nothing; each line is an operation and why. The list may only become shorter.
const UNCOVERED: &str = include_str!("../golden/uncovered_operations.txt");
const MOST_UNCOVERED: usize = 15;

#[tokio::test]
async fn nobody_reaches_what_is_not_theirs() {
    let seed = seed();
    println!("PLUMBLINE_SEED={seed}");
    let mut adversary = Box::pin(Adversary::new(seed)).await;
    adversary.run_and_cover(ATTEMPTS).await;
    adversary.compare_everything().await;
    adversary.interfere().await;
    let report = &adversary.report;
    assert_eq!(report.leaks, 0, "PLUMBLINE_SEED={seed}\n{}", report.told.join("\n\n"));
    let uncovered: BTreeSet<String> = report.uncovered(&adversary.world).into_iter().collect();
    let lines = UNCOVERED.lines().filter(|line| !line.starts_with('#'));
    let allowed: BTreeSet<String> = lines.filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
    // Those in the list have luck in some runs.
    let more: Vec<&String> = uncovered.difference(&allowed).collect();
    assert!(more.is_empty(), "operations that are not covered: {more:?}");
    assert_eq!(allowed.len(), MOST_UNCOVERED, "the list may only become shorter");
    adversary.world.app.finish().await;
}

/// A wall that is taken away, where that shows, in which words, and the wall again.
struct Mutant {
    name: &'static str,
    without: String,
    operation: &'static str,
    found: &'static str,
    again: String,
}

fn mutants(schema: &str, foreign: &str) -> Vec<Mutant> {
    vec![
        Mutant {
            name: "a table without row security, and queries without their organization",
            // The view's owner passes row security, and its rows answer every predicate with the caller's own organization.
            without: format!(
                "alter table {schema}.calls rename to calls_behind;
                 create view {schema}.calls as
                 select call_id, coalesce((current_setting('app.organizations')::uuid[])[2], organization_id) as organization_id, agent_id,
                     scorecard_id, external_id, channel, queue, direction, language, status, failed_stage, failure_kind, failure_reason, duration_ms,
                     started_at, received_at, transcribed_at, evaluated_at, overall_score
                 from {schema}.calls_behind;
                 grant select on {schema}.calls to plumbline_member, plumbline_agent"
            ),
            operation: "get_call",
            found: "the answer holds what is not the caller's",
            again: format!("drop view {schema}.calls; alter table {schema}.calls_behind rename to calls"),
        },
        Mutant {
            name: "names that are unique beyond the organization",
            without: format!("create unique index everywhere on {schema}.agents (external_id)"),
            operation: "create_agent",
            found: "foreign is told from nothing",
            again: format!("drop index {schema}.everywhere"),
        },
        Mutant {
            name: "an event for others",
            without: format!(
                "create function adversary.tell() returns trigger language plpgsql security definer as $$ begin
                     insert into platform.jobs (job_id, tenant_id, organization_id, root_organization_id, kind, payload, max_attempts,
                         run_at, created_at)
                     select gen_random_uuid(), tenant_id, '{foreign}', root_organization_id, 'tell', '{{}}', 1, now(), now()
                     from platform.tenants limit 1;
                     return null;
                 end $$;
                 create trigger tell after update on {schema}.agents for each row execute function adversary.tell()"
            ),
            operation: "deactivate_agent",
            found: "row changed",
            again: format!("drop trigger tell on {schema}.agents; drop function adversary.tell()"),
        },
        Mutant {
            name: "a note of what was refused",
            without: format!(
                "create function adversary.count() returns trigger language plpgsql security definer as $$ begin
                     update platform.tenants set revision = revision + 1;
                     return null;
                 end $$;
                 create trigger count after insert on {schema}.audit_events for each row execute function adversary.count()"
            ),
            operation: "create_organization",
            found: "another tenant's row changed",
            again: format!("drop trigger count on {schema}.audit_events; drop function adversary.count()"),
        },
    ]
}

#[tokio::test]
async fn one_wall_less_is_found() {
    let seed = seed();
    println!("PLUMBLINE_SEED={seed}");
    let mut adversary = Box::pin(Adversary::new(seed)).await;
    let (schema, foreign) = (adversary.world.tenants[0].schema.clone(), adversary.world.tenants[1].sales.clone());
    for mutant in mutants(&schema, &foreign) {
        adversary.world.owner.batch_execute(&mutant.without).await.unwrap();
        for _ in 0..80 {
            adversary.run_at(mutant.operation, 25).await;
            if adversary.report.leaks > 0 {
                break;
            }
        }
        let told = &adversary.report.told;
        assert!(told.iter().any(|told| told.contains(mutant.found)), "{}: PLUMBLINE_SEED={seed} {told:?}", mutant.name);
        adversary.world.owner.batch_execute(&mutant.again).await.unwrap();
        adversary.forget();
        adversary.run_at(mutant.operation, 25).await;
        assert_eq!(adversary.report.leaks, 0, "{} is mended: {:?}", mutant.name, adversary.report.told);
        adversary.forget();
    }
}
