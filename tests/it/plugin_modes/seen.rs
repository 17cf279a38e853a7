//! What a guest gets to see: never a word of personal data, whatever it does with what it is given.

use serde_json::{Value, json};

use super::{Bound, SHADOW, all_runs, bind, evaluation, verified};
use crate::support::{TestApp, attacks::component};

/// What was said and no guest may see.
const PLANTED: &[&str] = &[
    "4111 1111 1111 1111",
    "Marisela",
    "Thackeray",
    "m.thackeray@example.com",
    "12 Rosewood Lane",
    "DE89 3704 0044 0532 0130 00",
];

/// Logs everything that it was given: all that was copied into its memory, with what is no plain character blanked out.
const ECHO: &str = ";; in: score
(local.set $i (i32.const 8192))
(block $end (loop $next
  (br_if $end (i32.ge_u (local.get $i) (global.get $heap)))
  (if (i32.or (i32.lt_u (i32.load8_u (local.get $i)) (i32.const 32)) (i32.gt_u (i32.load8_u (local.get $i)) (i32.const 126)))
    (then (i32.store8 (local.get $i) (i32.const 32))))
  (local.set $i (i32.add (local.get $i) (i32.const 1)))
  (br $next)))
(call $log (i32.const 1) (i32.const 8192) (i32.sub (global.get $heap) (i32.const 8192)))
";

fn call(organization: &str) -> Value {
    let said = [
        ("agent", "Good morning, my name is Ana, what is yours?"),
        ("customer", "Marisela Thackeray, my card is 4111 1111 1111 1111."),
        (
            "agent",
            "Thank you, Marisela. I will send it to m.thackeray@example.com and 12 Rosewood Lane, Dayton, OH 45402.",
        ),
        ("customer", "Yes, paid from DE89 3704 0044 0532 0130 00."),
    ];
    let said: Vec<Value> = said.iter().map(|(speaker, text)| json!({"speaker": speaker, "text": text})).collect();
    json!({"organization_id": organization, "channel": "chat", "language": "en", "utterances": said})
}

#[tokio::test]
async fn no_guest_ever_sees_personal_data() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let echo = component("echo", "scorer", ECHO);
    bind(&app, &tenant, &echo, Bound { policy: "fall_back", ..Bound::default() }).await;
    bind(&app, &tenant, &echo, SHADOW).await;
    let sent = app.send(&app.admin(&tenant), &call(&tenant.sales)).await;
    app.drain().await;
    let runs = all_runs(&app, &tenant).await;
    assert_eq!(runs.len(), 2, "the active one and the shadow");
    for run in &runs {
        let seen = run.log.to_string();
        // It was given the call: its words, and quotes of them.
        assert!(seen.contains("Good morning, my name is [NAME_1]") && seen.contains("[CARD_1]"), "{seen}");
        for planted in PLANTED {
            assert!(!seen.contains(planted), "{planted} in {seen}");
        }
    }
    let shown = evaluation(&app, &tenant, &sent).await;
    assert_eq!(verified(&app, &tenant, &shown).await["verdict"], json!("same"));
    app.finish().await;
}

/// Says that it reads who spoke and how sure the judge is, and nothing else; and logs everything that it was given.
fn modest() -> Vec<u8> {
    const READS: &str = "utterances.speaker answers.confidence";
    let says = format!(
        ";; in: describe
(i32.store (i32.const 548) (i32.const 4096)) (i32.store (i32.const 552) (i32.const 1))
(i32.store (i32.const 4096) (i32.const 4160)) (i32.store (i32.const 4100) (i32.const 5))
(i32.store (i32.const 4104) (i32.const 4176)) (i32.store (i32.const 4108) (i32.const {}))
;; in: module
(data (i32.const 4160) \"reads\") (data (i32.const 4176) \"{READS}\")
",
        READS.len()
    );
    component("modest", "scorer", &format!("{says}{ECHO}"))
}

#[tokio::test]
async fn a_guest_is_given_what_its_manifest_names_and_nothing_else() {
    let app = TestApp::start().await;
    let tenant = app.ready_tenant("acme").await;
    let modest = modest();
    bind(&app, &tenant, &modest, Bound { policy: "fall_back", ..Bound::default() }).await;
    bind(&app, &tenant, &modest, SHADOW).await;
    let sent = app.send(&app.admin(&tenant), &call(&tenant.sales)).await;
    app.drain().await;
    let runs = all_runs(&app, &tenant).await;
    assert_eq!(runs.len(), 2, "the active one and the shadow");
    for run in &runs {
        let seen = run.log.to_string();
        // The structure is always given.
        assert!(seen.contains("next_step") && seen.contains("greeting"), "{seen}");
        // Neither words, quotes and reasons, nor questions, nor which call it is.
        let kept = ["Good morning", "[CARD_1]", "as it should be", "the agent says", sent.as_str(), "chat"];
        for word in kept.iter().chain(PLANTED) {
            assert!(!seen.contains(word), "{word} in {seen}");
        }
    }
    let shown = evaluation(&app, &tenant, &sent).await;
    assert_eq!(verified(&app, &tenant, &shown).await["verdict"], json!("same"));
    app.finish().await;
}
