//! Personal data in generated conversations (benches/accuracy): how much of it is found, and how much else is taken for it.

#[path = "../../benches/accuracy/planted.rs"]
mod conversations;

use std::collections::BTreeMap;

use plumbline::product::calls::redaction::{Company, PersonalData, redact};

use conversations::{Part, conversation};

const CONVERSATIONS: u64 = 300;

/// Of each kind what was found and what was planted, and of 1,000 other words those that were redacted.
fn found(part: Part) -> (BTreeMap<PersonalData, [f64; 2]>, f64) {
    let (mut found, mut words, mut wrong) = (BTreeMap::<PersonalData, [f64; 2]>::new(), 0.0, 0.0);
    for seed in 0..CONVERSATIONS {
        let planted = conversation(seed, part);
        let redaction = redact(&planted.utterances, &[], &Company::default());
        let look = planted.look(&redaction);
        for (kind, is_found) in look.items {
            let counts = found.entry(kind).or_default();
            counts[0] += f64::from(u8::from(is_found));
            counts[1] += 1.0;
        }
        words += f64::from(look.words);
        wrong += f64::from(look.wrong);
    }
    (found, wrong * 1_000.0 / words)
}

#[test]
fn planted_personal_data_of_every_kind_is_found() {
    for (part, name) in [(Part::Tuned, "tuned on"), (Part::HeldOut, "held out")] {
        let (found, wrong) = found(part);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), {
            let mut all = PersonalData::ALL.to_vec();
            all.sort_unstable();
            all
        });
        let sum = |which: usize| found.values().map(|counts| counts[which]).sum::<f64>();
        let recall = sum(0) / sum(1);
        eprintln!(
            "personal data, phrasings {name}: recall {recall:.4}, {wrong:.2} words in 1,000 redacted for nothing"
        );
        assert!(recall >= 0.97, "{name}: {found:?}");
        assert!(wrong <= 10.0, "{name}: {wrong}");
        for (kind, [found, all]) in &found {
            assert!(found / all >= 0.85, "{name}: {found} of {all} of the kind {kind}");
        }
    }
}
