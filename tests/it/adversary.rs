//! The generated adversary in the test run; `script/bench isolation` is a hundred times as patient.

use crate::support::adversary::{Adversary, seed};

const ATTEMPTS: usize = 10_000;

#[tokio::test]
async fn nobody_reaches_what_is_not_theirs() {
    let seed = seed();
    println!("PLUMBLINE_SEED={seed}");
    let started = std::time::Instant::now();
    let mut adversary = Adversary::new(seed).await;
    println!("furnished in {:?}, {} callers", started.elapsed(), adversary.world.callers.len());
    let attempts = std::env::var("ATTEMPTS").map_or(ATTEMPTS, |n| n.parse().unwrap());
    adversary.run(attempts).await;
    adversary.compare_everything().await;
    println!("{:?}", started.elapsed());
    println!(
        "{:#?}",
        adversary
            .report
            .operations
            .iter()
            .map(|(id, f)| format!("{id} {} {} {}", f.attempts, f.foreign, f.done))
            .collect::<Vec<_>>()
    );
    println!("uncovered {:?}", adversary.report.uncovered(&adversary.world));
    assert_eq!(adversary.report.leaks, 0, "\n{}", adversary.report.told.join("\n\n"));
}
