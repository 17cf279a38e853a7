//! Conversations that every plugin must get along with.

use super::Conversation;
use crate::{AutoFail, Speaker, Verdict};

/// A conversation that every plugin must get along with.
#[derive(Debug, Clone)]
pub struct Golden {
    /// What is special about it.
    pub name: &'static str,
    /// The conversation.
    pub conversation: Conversation,
}

/// Conversations that every plugin must get along with: an ordinary one, and each sort of edge.
pub fn golden_calls() -> Vec<Golden> {
    let golden = |name, conversation| Golden { name, conversation };
    let spoken = || {
        Conversation::new()
            .agent("Good morning, this is Ana of the gateway desk. This call is recorded.")
            .customer("Hi, my gateway has been down since yesterday, and I want to cancel.")
            .agent("I am sorry. I will send you a new one today, and give you a month for free.")
            .customer("Thank you.")
            .metric("longest_silence_ms", 700)
    };
    let two_sections = |verdicts: [Verdict; 4]| {
        let [greeting, identity, next_step, refund] = verdicts;
        let opening =
            spoken().section("opening", 1).criterion("greeting", 1, greeting).criterion("identity", 2, identity);
        let resolution = opening.section("resolution", 2).criterion("next_step", 1, next_step);
        resolution.grave("refund", 1, AutoFail::Evaluation, refund)
    };
    use Verdict::{No, NotApplicable, Unverified, Yes};
    let mut large = Conversation::new();
    for _ in 0..500 {
        large = large.agent(&"I will look into that for you. ".repeat(10)).customer(&"And then? ".repeat(10));
    }
    for section in 0..20 {
        large = large.section(&format!("s{section}"), section + 1);
        for criterion in 0..10 {
            let verdict = [Yes, No, Yes, NotApplicable][(criterion % 4) as usize];
            large = large.criterion(&format!("s{section}_c{criterion}"), criterion + 1, verdict);
        }
    }
    vec![
        golden("ordinary", two_sections([Yes, No, Yes, NotApplicable])),
        golden("everything fulfilled", two_sections([Yes; 4])),
        golden("nothing fulfilled", two_sections([No; 4])),
        golden("nothing applicable", two_sections([NotApplicable; 4])),
        golden("nothing verified", two_sections([Unverified; 4])),
        golden("auto-fail of the evaluation", two_sections([Yes, Yes, Yes, No])),
        golden(
            "auto-fail of a section",
            spoken().grave("identity", 1, AutoFail::Section, No).criterion("greeting", 9, Yes),
        ),
        golden("unanswered", spoken().unanswered("greeting", 1, AutoFail::None).criterion("next_step", 1, Yes)),
        golden("weights of nothing", spoken().section("s", 0).criterion("greeting", 0, Yes)),
        golden("nothing said", Conversation::new().criterion("greeting", 1, No)),
        golden("no criteria", spoken().section("empty", 1)),
        golden(
            "e-mail without speakers",
            Conversation::new().channel("email").says(Speaker::Unknown, "Please call me back."),
        ),
        golden(
            "another script",
            Conversation::new().language("ja").agent("お電話ありがとうございます。").customer("🙂 \u{202e}\0"),
        ),
        golden("large", large),
    ]
}
