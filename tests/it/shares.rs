//! Limits, shares and blanking as a caller meets them: fuel that ends at the same place every time, a tenant that cannot take all turns, and
//! fields that a guest never sees.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use plumbline::platform::plugins::{Allowance, Limits, Plugin, PluginError, PluginHost, Scorer, ShareLimits};

use crate::{
    plugins::{EXAMPLE, EXAMPLE_SETTINGS, score_input},
    support::attacks::{attack_named, component},
};

/// A host where loops end by nothing but their caller's going away.
fn patient_host() -> PluginHost {
    let minute = Duration::from_secs(60);
    let limits =
        Limits { call_budget: minute, fuel_base: u64::MAX, fuel_most: u64::MAX, concurrency: 4, ..Limits::default() };
    PluginHost::new(limits).unwrap()
}

#[tokio::test]
async fn fuel_ends_at_the_same_place_every_time_and_further_on_in_longer_calls() {
    let limits = Limits { fuel_base: 1_000_000, fuel_per_byte: 1_000, fuel_most: 3_000_000, ..Limits::default() };
    let host = PluginHost::new(Limits { concurrency: 2, ..limits.clone() }).unwrap();
    let plugin = host.load(attack_named("loop_in_score")).await.unwrap();
    let mut input = score_input();
    let run = plugin.run_score("{}", &input).await.unwrap();
    let short = run.fuel;
    assert_eq!(run.outcome, Err(PluginError::Fuel(short)));
    assert!(short > 1_000_000 && short < 2_000_000, "{short}");
    assert_eq!(plugin.run_score("{}", &input).await.unwrap().outcome, Err(PluginError::Fuel(short)));
    input.utterances[0].text.push_str(&"x".repeat(100));
    let longer = plugin.run_score("{}", &input).await.unwrap();
    assert_eq!(longer.outcome, Err(PluginError::Fuel(short + 100_000)));
    input.utterances[0].text.push_str(&"x".repeat(100_000));
    assert_eq!(plugin.run_score("{}", &input).await.unwrap().outcome, Err(PluginError::Fuel(3_000_000)));
    assert!(!PluginError::Fuel(1).is_temporary(), "it comes out the same way every time");
}

#[tokio::test]
async fn the_lowest_of_platform_plan_and_manifest_counts() {
    let host = PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap();
    let metadata = r#"(i32.store (i32.const 548) (i32.const 2048)) (i32.store (i32.const 552) (i32.const 1))
        (i32.store (i32.const 2048) (i32.const 2100)) (i32.store (i32.const 2052) (i32.const 10))
        (i32.store (i32.const 2056) (i32.const 2110)) (i32.store (i32.const 2060) (i32.const 6))"#;
    let looping = format!(
        ";; in: describe\n{metadata}\n;; in: score\n(loop $again (br $again))\n;; in: module\n(data (i32.const 2100) \"limit.fuel500000\")"
    );
    let plugin = host.load(component("modest", "scorer", &looping)).await.unwrap();
    assert_eq!(plugin.manifest().limits.fuel, Some(500_000));
    let fuel = async |plugin: &Plugin| plugin.run_score("{}", &score_input()).await.unwrap().outcome.unwrap_err();
    assert_eq!(fuel(&plugin).await, PluginError::Fuel(500_000), "the manifest's");
    let share =
        |fuel| ShareLimits { concurrency: 1, allowance: Allowance { fuel: Some(fuel), ..Allowance::default() } };
    let small = plugin.in_share(&host.share("small", share(200_000)));
    assert_eq!(fuel(&small).await, PluginError::Fuel(200_000), "the plan's");
    let large = plugin.in_share(&host.share("large", share(900_000)));
    assert_eq!(fuel(&large).await, PluginError::Fuel(500_000), "a plan raises nothing");
    let memory = Allowance { memory_bytes: Some(1 << 16), ..Allowance::default() };
    let narrow = host.share("narrow", ShareLimits { concurrency: 1, allowance: memory });
    let example = host.load(EXAMPLE).await.unwrap().in_share(&narrow);
    let refused = example.run_score(EXAMPLE_SETTINGS, &score_input()).await.unwrap().outcome.unwrap_err();
    assert_eq!(refused.code(), "memory");
}

/// Twenty loops of one tenant, who may have two turns of four: another's calls come through at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_share_never_takes_all_turns() {
    let host = patient_host();
    let narrow = ShareLimits { concurrency: 2, ..ShareLimits::default() };
    let stuck = host.load(attack_named("loop_in_score")).await.unwrap().in_share(&host.share("loud", narrow));
    let stuck: Arc<dyn Scorer> = stuck.scorer("{}").unwrap();
    let loops: Vec<_> = (0..20)
        .map(|_| {
            let stuck = Arc::clone(&stuck);
            tokio::spawn(async move { stuck.score(&score_input()).await })
        })
        .collect();
    // a component of the test is three instances
    while host.live_instances() < 6 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let quiet = host.load(EXAMPLE).await.unwrap().in_share(&host.share("quiet", narrow));
    let quiet = quiet.scorer(EXAMPLE_SETTINGS).unwrap();
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(quiet.score(&score_input()).await.unwrap().overall, Some(7_778 - 250));
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(host.live_instances(), 6, "the loud one has its two turns and no more");
    assert!(loops.iter().all(|task| !task.is_finished()));
    loops.iter().for_each(tokio::task::JoinHandle::abort);
}

/// On one thread: loops run elsewhere, so that the thread stays free for everybody else.
#[tokio::test(flavor = "current_thread")]
async fn long_calls_leave_their_callers_thread() {
    let host = patient_host();
    let stuck = host.load(attack_named("loop_in_score")).await.unwrap().scorer("{}").unwrap();
    let task = tokio::spawn(async move { stuck.score(&score_input()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut longest = Duration::ZERO;
    for _ in 0..2_000 {
        let began = Instant::now();
        tokio::task::yield_now().await;
        longest = longest.max(began.elapsed());
    }
    let total = longest;
    assert!(!task.is_finished());
    // A loop on this thread would hold each of them up for a slice of 2 ms: four seconds together.
    let began = Instant::now();
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}, the longest {total:?}", began.elapsed());
    task.abort();
}

/// A scorer that traps where it sees a word of the transcript, a speaker, a metric, metadata, or the call's id.
fn curious(reads: Option<&str>) -> Vec<u8> {
    let look = r#"(local.set $at (i32.load offset=64 (local.get 0)))
        (if (i32.load offset=44 (local.get $at)) (then (unreachable)))
        (if (i32.load offset=76 (local.get 0)) (then (unreachable)))
        (if (i32.load offset=132 (local.get 0)) (then (unreachable)))
        (if (i32.ne (i32.load8_u offset=4 (local.get $at)) (i32.const 3)) (then (unreachable)))"#;
    let mut pieces = format!(";; in: score\n{look}\n");
    if let Some(reads) = reads {
        let length = reads.len();
        let metadata = format!(
            "(i32.store (i32.const 548) (i32.const 2048)) (i32.store (i32.const 552) (i32.const 1))
            (i32.store (i32.const 2048) (i32.const 2100)) (i32.store (i32.const 2052) (i32.const 5))
            (i32.store (i32.const 2056) (i32.const 2105)) (i32.store (i32.const 2060) (i32.const {length}))"
        );
        pieces.push_str(&format!(
            ";; in: describe\n{metadata}\n;; in: module\n(data (i32.const 2100) \"reads{reads}\")\n"
        ));
    }
    component("curious", "scorer", &pieces)
}

#[tokio::test]
async fn a_guest_sees_nothing_but_what_its_manifest_names() {
    let host = PluginHost::new(Limits { concurrency: 2, ..Limits::default() }).unwrap();
    let outcome = async |reads| {
        let plugin = host.load(curious(reads)).await.unwrap();
        plugin.run_score("{}", &score_input()).await.unwrap().outcome.map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(outcome(Some("")).await, Ok(()));
    assert_eq!(outcome(Some("call.id scorecard.text answers.evidence")).await, Ok(()));
    for seen in [None, Some("utterances.text"), Some("metrics"), Some("metadata"), Some("utterances.speaker")] {
        assert_eq!(outcome(seen).await, Err("trap"), "{seen:?} is given");
    }
}
