//! Calls judged by the templates that ship with the product.

use serde_json::{Value, json};

use super::{CRITERIA, judged, post, write_draft};
use crate::support::{Client, TestApp, TestTenant};

/// A refund by the handbook.
fn refund() -> Value {
    let said = [
        ("agent", "Good morning, welcome to AcmeBrands! How can I help you?"),
        ("customer", "Hi. I want a refund, the shirt came in the wrong colour."),
        ("agent", "I am sorry about that. May I have your full name or account ID?"),
        ("customer", "It is Marisela Thackeray."),
        ("agent", "Thank you. And your user name, e-mail address and order ID, to validate the purchase?"),
        ("customer", "mthackeray1, m.thackeray@example.com, 7916676427."),
        ("agent", "You get 50 dollars back by March 3rd. Is there anything else I can do?"),
        ("customer", "No, that is all."),
        ("agent", "Thank you for shopping with us, have a great day!"),
    ];
    json!(said.map(|(speaker, text)| json!({"speaker": speaker, "text": text})))
}

fn criteria(evaluated: &Value) -> Vec<&Value> {
    let sections = evaluated["sections"].as_array().unwrap().iter();
    sections.flat_map(|section| section["criteria"].as_array().unwrap()).collect()
}

fn criterion<'a>(analysis: &'a Value, key: &str) -> &'a Value {
    let all = criteria(&analysis["evaluation"]);
    all.into_iter().find(|criterion| criterion["key"] == key).unwrap_or_else(|| panic!("{key} in {analysis:#}"))
}

async fn from_template(admin: &Client, organization: &str, template: &str, name: &str) -> (String, Value) {
    let body = json!({"organization_id": organization, "template": template, "name": name});
    let made = admin.post(&format!("{CRITERIA}/from-template"), &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    (made.text("scorecard_id"), made.body["draft"].clone())
}

async fn publish(admin: &Client, id: &str, template: &str) {
    let findings = post(admin, id, "lint").await.expect(200);
    assert_eq!(findings, json!({"publishable": true, "findings": []}), "{template}");
    post(admin, id, "publish").await.expect(201);
}

async fn judged_by(app: &TestApp, tenant: &TestTenant, scorecard: &str) -> Value {
    let change = json!({"scorecard_id": scorecard, "direction": "inbound", "utterances": refund()});
    let analysis = judged(app, tenant, &tenant.sales, change).await;
    assert_eq!(analysis["call_status"], "evaluated", "{analysis:#}");
    analysis
}

#[tokio::test]
async fn a_call_is_judged_by_every_template() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let templates = admin.get(&format!("{CRITERIA}/templates")).await.expect(200)["items"].as_array().unwrap().clone();
    assert!(templates.len() >= 5);
    for template in &templates {
        let key = template["key"].as_str().unwrap();
        let (id, definition) = from_template(&admin, &tenant.sales, key, key).await;
        publish(&admin, &id, key).await;
        let analysis = judged_by(&app, &tenant, &id).await;
        let (asked, answered) = (criteria(&definition), criteria(&analysis["evaluation"]));
        assert_eq!(asked.len(), answered.len(), "{key}");
        for (asked, answered) in asked.iter().zip(&answered) {
            assert_eq!(asked["key"], answered["key"], "{key}");
            let waits = answered["verdict"] == "pending";
            assert!(!waits || answered["answered_by"] != "rule", "a rule answers at once: {answered}");
            let evidence = answered["evidence"].as_array().unwrap();
            assert!(evidence.iter().all(|quote| quote["verified"] == true), "{answered}");
        }
    }
    app.finish().await;
}

/// Which flow it was is for the language model to say, so its stand-in is told by which words to know a refund; the rest is the template's.
#[tokio::test]
async fn the_handbook_asks_for_the_steps_of_one_flow() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let (id, mut definition) = from_template(&admin, &tenant.sales, "retail_handbook", "Handbook").await;
    assert!(criteria(&definition).len() >= 40);
    let flow = &mut definition["sections"][0]["criteria"][0];
    assert_eq!((&flow["key"], &flow["answer"]["choices"][0]["key"]), (&json!("flow"), &json!("product_defect")));
    flow["answer"]["choices"][0]["guidance"] = json!("Yes if the customer says \"refund\".");
    write_draft(&admin, &id, &definition).await;
    publish(&admin, &id, "retail_handbook").await;
    let analysis = judged_by(&app, &tenant, &id).await;

    assert_eq!(criterion(&analysis, "flow")["choices"], json!(["product_defect"]));
    for key in ["greeting", "offered_help", "pulled_up_account", "no_foul_words", "thanked", "further_help", "goodbye"]
    {
        let found = criterion(&analysis, key);
        assert_eq!((&found["answered_by"], &found["verdict"]), (&json!("rule"), &json!("yes")), "{found}");
    }
    let shown: Vec<bool> = criteria(&analysis["evaluation"]).iter().map(|one| one["reason"] != "not_shown").collect();
    for (asked, shown) in criteria(&definition).iter().zip(shown) {
        let applies = asked["shown_when"].is_null()
            || asked["shown_when"]["answered"].as_array().unwrap().contains(&json!("product_defect"));
        assert_eq!(shown, applies, "{asked}");
    }
    // Amounts and days are still to be read, and the person is not.
    let call = analysis["call_id"].as_str().unwrap();
    let transcript = admin.get(&format!("/api/calls/{call}/transcript")).await.expect(200);
    let text = |n: usize| transcript["utterances"][n]["text"].as_str().unwrap();
    assert_eq!(text(3), "It is [NAME_1].");
    assert_eq!(text(6), "You get 50 dollars back by March 3rd. Is there anything else I can do?");
    app.finish().await;
}

/// That a name was said is proved by what stands in its place.
#[tokio::test]
async fn what_was_redacted_is_evidence_still() {
    let app = TestApp::start().await;
    let tenant = app.tenant("acme").await;
    let admin = app.admin(&tenant);
    let rule = json!({"yes_when": {"phrase": {"any_of": ["this is [name]", "my name is [name]"], "speaker": "agent", "within": {"first_turns": 2}}}});
    let definition = json!({"name": "Names", "sections": [{"key": "s", "name": "S", "criteria": [
        {"key": "named", "question": "Does the agent say their name?", "answered_by": "rule", "rule": rule}]}]});
    let id = super::create(&admin, &tenant.sales, &definition).await;
    post(&admin, &id, "publish").await.expect(201);
    let said = json!([
        {"speaker": "agent", "text": "Good morning, this is Oluwaseun Whitcombe. How can I help?"},
        {"speaker": "customer", "text": "I paid 129 dollars on July 14th for order 2 of 3."}]);
    let analysis = judged(&app, &tenant, &tenant.sales, json!({"utterances": said})).await;
    let named = criterion(&analysis, "named");
    assert_eq!(named["verdict"], "yes", "{analysis:#}");
    assert_eq!(named["evidence"][0]["words"], "this is [NAME_1]", "{named}");
    let call = analysis["call_id"].as_str().unwrap();
    let transcript = admin.get(&format!("/api/calls/{call}/transcript")).await.expect(200);
    assert_eq!(transcript["utterances"][1]["text"], "I paid 129 dollars on July 14th for order 2 of 3.");
    app.finish().await;
}
