//! Every attack in `plugins/hostile` against the sandbox: stopped in time, with a typed reason, nothing left behind, and the next
//! good call scores as before.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use plumbline::platform::plugins::{Limits, Plugin, PluginError, PluginHost, ScoreInput, ScoreOutput, Scorer, World};

use crate::{
    plugins::{EXAMPLE, EXAMPLE_SETTINGS, prompt_input, score_input},
    support::attacks::{Attack, attacks, component},
};

pub use crate::support::attacks::attack_named;

/// The guest's own time in these tests.
const BUDGET: Duration = Duration::from_secs(2);
/// Instructions that every call may run in these tests, few enough that a loop runs out of them before its time ends.
const FUEL: u64 = 100_000_000;
/// In which a call must come to its end on a busy machine, compiling included.
const PATIENCE: Duration = Duration::from_secs(20);

fn host() -> PluginHost {
    PluginHost::new(Limits { call_budget: BUDGET, fuel_base: FUEL, concurrency: 4, ..Limits::default() }).unwrap()
}

/// Everything that happens to a plugin in its life, until something fails.
async fn live(host: &PluginHost, component: Vec<u8>) -> Result<(), PluginError> {
    let plugin = host.load(component).await?;
    plugin.validate_settings("{}").await?;
    match plugin.world() {
        World::Scorer => plugin.scorer("{}")?.score(&score_input()).await.map(drop),
        World::PromptBuilder => plugin.prompt_builder("{}")?.build(&prompt_input()).await.map(drop),
    }
}

struct Good {
    scorer: Arc<dyn Scorer>,
    input: ScoreInput,
    expected: ScoreOutput,
}

impl Good {
    async fn on(host: &PluginHost) -> Self {
        let scorer = host.load(EXAMPLE).await.unwrap().scorer(EXAMPLE_SETTINGS).unwrap();
        let input = score_input();
        let expected = scorer.score(&input).await.unwrap();
        assert!(expected.overall.is_some_and(|score| score > 0));
        Self { scorer, input, expected }
    }

    async fn still_works(&self, after: &str) {
        assert_eq!(self.scorer.score(&self.input).await.as_ref(), Ok(&self.expected), "after {after}");
    }
}

/// What the process holds in memory, in MiB.
fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// A call whose caller went away ends at its next look at the clock.
async fn emptied(host: &PluginHost) {
    let began = Instant::now();
    while host.live_instances() > 0 {
        assert!(began.elapsed() < PATIENCE, "an instance stays behind");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn the_frames_behave_without_an_attack() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let host = host();
        for frame in ["scorer", "prompt-builder"] {
            live(&host, component("nothing", frame, "")).await.unwrap_or_else(|error| panic!("{frame}: {error}"));
        }
    });
}

#[tokio::test]
async fn every_attack_is_stopped_with_its_reason() {
    let host = host();
    let good = Good::on(&host).await;
    let attacks = attacks();
    assert!(attacks.len() >= 80, "only {} attacks were found", attacks.len());
    let mut wrong = Vec::new();
    for Attack { name, expect, component } in attacks {
        let began = Instant::now();
        let outcome = live(&host, component).await;
        let found = outcome.as_ref().map_or_else(PluginError::code, |()| "ok");
        if !expect.iter().any(|code| code == found) {
            wrong.push(format!("{name}: expected {expect:?}, got {found}: {outcome:?}"));
        }
        assert!(began.elapsed() < PATIENCE, "{name} took {:?}", began.elapsed());
        if let Err(error) = outcome {
            assert!(error.to_string().len() < 1_000, "{name} speaks without end");
        }
        assert_eq!(host.live_instances(), 0, "{name} left an instance behind");
        good.still_works(&name).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_not_a_component_is_refused() {
    let host = host();
    let example = EXAMPLE.to_vec();
    let refused = async |bytes: Vec<u8>| host.load(bytes).await.map(|_| ()).unwrap_err();
    assert_eq!(refused(Vec::new()).await.code(), "not_a_component");
    assert_eq!(refused(b"#!/bin/sh\n".to_vec()).await.code(), "not_a_component");
    assert_eq!(refused(b"(component)".to_vec()).await.code(), "not_a_component", "text is no component");
    for length in [8, 9, 1_000, example.len() / 2, example.len() - 1] {
        let code = refused(example[..length].to_vec()).await.code();
        assert!(["compile", "wrong_world"].contains(&code), "cut at {length}: {code}");
    }
    let mut longer = example.clone();
    longer.extend_from_slice(b"and more");
    assert_eq!(refused(longer).await.code(), "compile");
    let limit = host.limits().component_bytes;
    assert_eq!(refused(vec![0; limit + 1]).await, PluginError::TooLarge { bytes: limit + 1, limit });
    assert_eq!(host.live_instances(), 0);
}

/// A flipped byte may well leave a working component; it must never do anything but work or fail with a reason.
#[tokio::test]
async fn flipped_bytes_never_bring_the_host_down() {
    let host = host();
    let good = Good::on(&host).await;
    for at in (0..EXAMPLE.len()).step_by(EXAMPLE.len() / 24) {
        let mut bytes = EXAMPLE.to_vec();
        bytes[at] ^= 0x55;
        let _ = live(&host, bytes).await;
        assert_eq!(host.live_instances(), 0);
        good.still_works(&format!("a flipped byte at {at}")).await;
    }
}

#[tokio::test]
async fn memory_is_given_back() {
    let host = host();
    let good = Good::on(&host).await;
    let bomb = host.load(attack_named("memory_grows")).await.unwrap();
    let bomb = bomb.scorer("{}").unwrap();
    let input = score_input();
    let mut after_first = 0;
    for round in 0..40 {
        assert_eq!(bomb.score(&input).await.unwrap_err().code(), "memory");
        if round == 0 {
            after_first = resident_mib();
        }
    }
    // The other tests of this binary share the process; 40 bombs of 48 MiB would still stand out.
    let grown = resident_mib().saturating_sub(after_first);
    assert!(grown < 400, "{grown} MiB more after 40 bombs");
    good.still_works("40 memory bombs").await;
}

/// On one thread: a guest that never comes back gives way to the others all the same.
#[tokio::test(flavor = "current_thread")]
async fn a_loop_does_not_hold_up_the_others() {
    // Long enough that only giving way, and not the loop's end, can explain that the others come through.
    let host = PluginHost::new(Limits {
        call_budget: Duration::from_secs(60),
        fuel_base: u64::MAX,
        fuel_most: u64::MAX,
        ..Limits::default()
    })
    .unwrap();
    let good = Good::on(&host).await;
    let stuck = host.load(attack_named("loop_in_score")).await.unwrap();
    let stuck = stuck.scorer("{}").unwrap();
    let loops = tokio::spawn(async move { stuck.score(&score_input()).await });
    // A task like any other: the future of block_on has its turn only after 61 of them.
    let others = tokio::spawn(async move {
        for _ in 0..10 {
            good.still_works("nothing").await;
        }
    });
    others.await.unwrap();
    assert!(!loops.is_finished(), "the good calls came through beside the loop");
    loops.abort();
    assert!(loops.await.unwrap_err().is_cancelled());
    emptied(&host).await;
}

/// A caller that goes away (a drained worker, a client that left) takes its guest along.
#[tokio::test]
async fn a_dropped_call_leaves_nothing_behind() {
    let host =
        PluginHost::new(Limits { concurrency: 1, fuel_base: u64::MAX, fuel_most: u64::MAX, ..Limits::default() });
    let host = host.unwrap();
    let good = Good::on(&host).await;
    let stuck = host.load(attack_named("loop_in_score")).await.unwrap();
    let stuck = stuck.scorer("{}").unwrap();
    for _ in 0..3 {
        let input = score_input();
        let call = stuck.score(&input);
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
        emptied(&host).await;
        good.still_works("a dropped call").await;
    }
}

/// More calls than turns: they wait and all come through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_turns_wait() {
    let host = host();
    let good = Arc::new(Good::on(&host).await);
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let good = Arc::clone(&good);
            tokio::spawn(async move { good.still_works("waiting").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(host.live_instances(), 0);
}

#[tokio::test]
async fn a_plugin_of_one_world_is_not_bound_as_the_other() {
    let host = host();
    let scorer: Plugin = host.load(EXAMPLE).await.unwrap();
    assert_eq!(scorer.prompt_builder("{}").map(|_| ()).unwrap_err().code(), "wrong_world");
    assert_eq!(scorer.scorer("{").map(|_| ()).unwrap_err().code(), "invalid_settings");
    let endless = format!("\"{}\"", "x".repeat(host.limits().settings_bytes));
    assert_eq!(scorer.validate_settings(&endless).await.unwrap_err().code(), "invalid_settings");
    let builder = host.load(component("nothing", "prompt-builder", "")).await.unwrap();
    assert_eq!(builder.scorer("{}").map(|_| ()).unwrap_err().code(), "wrong_world");
    let prompt = builder.prompt_builder("{}").unwrap().build(&prompt_input()).await.unwrap();
    assert_eq!((prompt.system.as_str(), prompt.user.as_str(), prompt.max_output_tokens), ("", "hello", None));
}
