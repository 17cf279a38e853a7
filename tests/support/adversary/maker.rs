//! Makes attempts: an operation of the document, and in its parameters and its body the things of others.

use plumbline::foundation::access::Permission;
use rand::{RngExt, rngs::StdRng};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    attempt::{Attempt, Content, Slot, mark},
    caller::Caller,
    document::{Operation, Parameter, Place},
    things::Owner,
    world::{Sent, World},
};

/// What nobody has sounds so; the caller's own new recording so.
const TONE_OF_NOTHING: u16 = 1_902;
const TONE_OF_OWN: u16 = 1_903;

/// Whose things a request names.
#[derive(Clone, Debug)]
pub enum Aim {
    /// The caller's own alone: what the operation is for.
    Own,
    /// Those of one tenant's one organization, so that they fit together.
    Victim(Owner),
    /// The caller's own, by the names, keys and recordings that others of the tenant have: what is unique may not tell of them.
    Names,
    /// Anybody's, as it comes.
    Mixed,
}

/// Makes one attempt.
pub struct Maker<'a> {
    world: &'a World,
    caller: &'a Caller,
    rng: &'a mut StdRng,
    aim: Aim,
    slots: Vec<Slot>,
    operation: &'a str,
}

/// One attempt at one operation, by anybody; what is the caller's own is asked by those who may.
pub fn make(world: &World, operation: usize, rng: &mut StdRng) -> Attempt {
    let anybody = rng.random_range(0..world.callers.len());
    let (caller, aim) = match rng.random_range(0..10) {
        0 | 1 => (mighty(world, operation, rng), Aim::Own),
        2 | 3 => (maker_of_things(world, rng), Aim::Names),
        4..=6 => (anybody, victim(world, &world.callers[anybody], rng).map_or(Aim::Mixed, Aim::Victim)),
        _ => (anybody, Aim::Mixed),
    };
    let wanted = &world.document.operations[operation];
    let mut maker = Maker { world, caller: &world.callers[caller], rng, aim, slots: vec![], operation: &wanted.id };
    let again = matches!(maker.aim, Aim::Mixed) && maker.rng.random_bool(0.3);
    // Under one's own key one is told again what one made, also when it is out of reach by now.
    let others = |sent: &&Sent| sent.key.as_ref().is_none_or(|key| !maker.sees(key));
    let sent = world.sent.iter().filter(|sent| wanted.is_at(&sent.method, &sent.path));
    let sent: Vec<&Sent> = sent.filter(others).collect();
    let (path, headers, content) = match (again, sent.is_empty()) {
        (true, false) => {
            let n = maker.rng.random_range(0..sent.len());
            maker.sent_again(sent[n])
        }
        _ => maker.request(wanted),
    };
    Attempt { operation, caller, path, headers, content, slots: maker.slots }
}

/// Somebody who may do most things, or who brings the secret that an open operation asks for.
fn mighty(world: &World, operation: usize, rng: &mut StdRng) -> usize {
    let open = world.document.operations[operation].open;
    // Operators are asked half of the time: there is one of them.
    let operator = rng.random_bool(0.5);
    let may = |caller: &Caller| match caller.tenant {
        Some(_) if open => caller.provider,
        Some(_) => !operator && caller.may_any(&[Permission::ManageUsers]),
        None => !open && operator && caller.may_any(&[Permission::ManageTenants]),
    };
    let callers: Vec<usize> = (0..world.callers.len()).filter(|n| may(&world.callers[*n])).collect();
    callers[rng.random_range(0..callers.len())]
}

/// Somebody who may make something in some organization.
fn maker_of_things(world: &World, rng: &mut StdRng) -> usize {
    let may = |caller: &Caller| {
        caller.tenant.is_some() && !caller.changes.is_empty() && caller.may_any(&[Permission::UploadCalls])
    };
    let callers: Vec<usize> = (0..world.callers.len()).filter(|n| may(&world.callers[*n])).collect();
    callers[rng.random_range(0..callers.len())]
}

fn victim(world: &World, caller: &Caller, rng: &mut StdRng) -> Option<Owner> {
    let organizations = &world.things.pools["organization_id"];
    let others: Vec<&Owner> =
        organizations.iter().map(|thing| &thing.owners[0]).filter(|owner| !caller.sees(owner)).collect();
    (!others.is_empty()).then(|| others[rng.random_range(0..others.len())].clone())
}

impl Maker<'_> {
    fn request(&mut self, operation: &Operation) -> (String, Vec<(String, String)>, Content) {
        let (mut path, mut query, mut headers) = (operation.path.clone(), vec![], vec![]);
        let continued = operation.parameters.iter().any(|p| p.name == "cursor") && self.rng.random_bool(0.4);
        if continued && let Some((path, cursor)) = self.continued(operation) {
            let separator = if path.contains('?') { '&' } else { '?' };
            return (
                format!("{path}{separator}limit={}&cursor={cursor}", self.rng.random_range(1..4)),
                headers,
                Content::Nothing,
            );
        }
        for parameter in &operation.parameters {
            // An edit that names no revision is refused, whoever asks.
            let edit = parameter.name == "If-Match" && self.rng.random_bool(0.8);
            if !parameter.required && !edit && !self.rng.random_bool(0.5) {
                continue;
            }
            let value = self.parameter(parameter);
            match parameter.place {
                Place::Path => path = path.replace(&format!("{{{}}}", parameter.name), &value),
                Place::Query => query.push(format!("{}={value}", parameter.name)),
                Place::Header => headers.push((parameter.name.to_lowercase(), value)),
            }
        }
        let content = self.content(operation, &mut query);
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        (path, headers, content)
    }

    /// A list from where it ended for somebody else. The filters stay as they were, because a cursor belongs to them.
    fn continued(&mut self, operation: &Operation) -> Option<(String, String)> {
        let cursors: Vec<_> = self.world.cursors.iter().filter(|cursor| cursor.operation == operation.id).collect();
        if cursors.is_empty() {
            return None;
        }
        let chosen = cursors[self.rng.random_range(0..cursors.len())];
        let own = self.sees(&chosen.at);
        let nothing = if own { &chosen.cursor } else { &chosen.nothing };
        let cursor = self.slot(chosen.cursor.clone(), nothing.clone());
        let path = if self.rng.random_bool(0.9) { chosen.path.clone() } else { self.known(&operation.path) };
        // A path of another list's filters still needs its parameters.
        (!path.contains('{')).then_some((path, cursor))
    }

    fn sees(&self, value: &str) -> bool {
        self.world.things.owners(value).iter().any(|owner| self.caller.sees(owner))
    }

    fn parameter(&mut self, parameter: &Parameter) -> String {
        let (name, schema) = (parameter.name.as_str(), self.world.document.resolved(&parameter.schema));
        match name {
            "limit" => return self.rng.random_range(1..6).to_string(),
            "cursor" => return self.any_cursor(),
            "X-Plumbline-Webhook" => return self.secret(name),
            "Range" => return ["bytes=0-9", "bytes=-5", "bytes=99999999-"][self.rng.random_range(0..3)].to_owned(),
            "If-Match" | "If-None-Match" => {
                return if self.rng.random_bool(0.4) { "*".to_owned() } else { self.value("etag") };
            }
            "from" | "to" if self.operation == "diff_scorecard" => return "newest".to_owned(),
            "version" if matches!(self.operation, "try_criteria" | "export_scorecard_version") => {
                return ["newest", "draft", "1"][self.rng.random_range(0..3)].to_owned();
            }
            _ => {}
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[self.rng.random_range(0..values.len())].as_str().unwrap_or_default().to_owned();
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("integer"), _) => self.rng.random_range(1..3).to_string(),
            (Some("boolean"), _) => self.rng.random_bool(0.5).to_string(),
            (_, Some("date-time")) => "2026-11-23T08:00:00Z".to_owned(),
            (_, Some("date" | "naive-date")) => "2026-11-23".to_owned(),
            _ if unique(name) => self.value_or_new(name),
            (_, Some("uuid")) => self.value(name),
            _ if self.world.things.pools.contains_key(name) => self.value_or_new(name),
            _ if parameter.place == Place::Path => {
                panic!("what are values of the path parameter {name}? things.rs must know")
            }
            _ if parameter.place == Place::Header => panic!("what are values of the header {name}? maker.rs must know"),
            _ => "en".to_owned(),
        }
    }

    /// A credential: whoever has another's whole one is that other, so it is one's own or forged.
    fn secret(&mut self, pool: &str) -> String {
        let own = self.world.things.parted(pool, self.caller).map_or(vec![], |(own, _)| own);
        if !self.caller.provider || own.is_empty() || self.rng.random_bool(0.2) {
            return "forged".to_owned();
        }
        let value = own[self.rng.random_range(0..own.len())].value.clone();
        self.slot(value.clone(), value)
    }

    /// Of another list: one of this list belongs to its filters.
    fn any_cursor(&mut self) -> String {
        let cursors: Vec<_> = self.world.cursors.iter().filter(|cursor| cursor.operation != self.operation).collect();
        let chosen = &cursors[self.rng.random_range(0..cursors.len())].cursor;
        self.slot(chosen.clone(), chosen.clone())
    }

    fn content(&mut self, operation: &Operation, query: &mut Vec<String>) -> Content {
        let kinds = operation.bodies.len();
        if kinds == 0 {
            return Content::Nothing;
        }
        let (media, schema) = &operation.bodies[self.rng.random_range(0..kinds)];
        let kept = if *media == "application/json" { vec![] } else { query.clone() };
        // What is sent bare has its fields in the query; so has a definition that is imported.
        if *media != "application/octet-stream" && operation.id != "import_scorecard" {
            query.clear();
        }
        match media.as_str() {
            // JSON is YAML, too.
            "application/json" | "application/yaml" => Content::Json(self.document(operation, schema)),
            "multipart/form-data" => {
                let Value::Object(fields) = self.example(schema, "", 0) else { panic!("a form is an object") };
                let written = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let fields = fields.iter().filter(|(name, _)| *name != "audio");
                let fields = fields.map(|(name, value)| (name.clone(), written(value))).collect();
                let (tone, nothing) = self.tone();
                Content::Form { fields, tone, nothing }
            }
            _ if operation.id == "restore_tenant" => Content::Archive(self.world.archive.clone()),
            _ => {
                // The fields stand in the query, where they are optional for the other media types.
                if !kept.iter().any(|field| field.starts_with("organization_id=")) && operation.path == "/api/calls" {
                    query.push(format!("organization_id={}", self.value("organization_id")));
                }
                let (tone, nothing) = self.tone();
                Content::Recording { tone, nothing }
            }
        }
    }

    /// A body that was sent once with other things in it, or an example of its schema.
    fn document(&mut self, operation: &Operation, schema: &Value) -> Value {
        let sent: Vec<&Sent> =
            self.world.sent.iter().filter(|sent| operation.is_at(&sent.method, &sent.path)).collect();
        if sent.is_empty() || self.rng.random_bool(0.3) {
            return self.example(schema, "", 0);
        }
        let mut body = sent[self.rng.random_range(0..sent.len())].body.clone();
        self.exchange(&mut body);
        body
    }

    fn exchange(&mut self, body: &mut Value) {
        match body {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let id = value.as_str().is_some_and(|text| text.parse::<Uuid>().is_ok());
                    if id && self.world.things.pools.contains_key(name) {
                        *value = json!(self.value(name));
                    } else if value.is_string() && unique(name) {
                        *value = json!(self.value_or_new(name));
                    } else if let Some(text) = value.as_str() {
                        *value = json!(text.split(super::things::CANARY).next());
                    } else {
                        self.exchange(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.exchange(item)),
            _ => {}
        }
    }

    fn example(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let schema = self.world.document.resolved(schema).clone();
        if let Some(values) = schema["enum"].as_array() {
            return values[self.rng.random_range(0..values.len())].clone();
        }
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("array"), _) => json!([self.example(&schema["items"], name, depth + 1)]),
            (Some("integer" | "number"), _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
            (Some("boolean"), _) => json!(self.rng.random_bool(0.5)),
            (Some("string"), Some("date-time")) => json!("2026-11-23T08:00:00Z"),
            (Some("string"), Some("date" | "naive-date")) => json!("2026-11-23"),
            (Some("string"), Some("uuid")) if name == "calls" => json!(self.value("call_id")),
            (Some("string"), Some("uuid")) => json!(self.value(name)),
            (Some("string"), _) if name == "template" => json!("customer_service"),
            (Some("string"), _) if unique(name) => json!(self.value_or_new(name)),
            (Some("string"), _) => json!("en"),
            _ => self.object(&schema, depth),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || (depth < 3 && self.rng.random_bool(0.5)) {
                object.insert(name.clone(), self.example(property, name, depth + 1));
            }
        }
        Value::Object(object)
    }

    /// A request of the furnishing as it was, key and all.
    fn sent_again(&mut self, sent: &Sent) -> (String, Vec<(String, String)>, Content) {
        let path = self.known(&sent.path);
        let key = sent.key.as_ref().map(|key| ("idempotency-key".to_owned(), self.known_value(key)));
        let mut body = sent.body.clone();
        self.mark_known(&mut body);
        (path, key.into_iter().collect(), Content::Json(body))
    }

    fn known(&mut self, path: &str) -> String {
        path.split('/').map(|part| self.known_value(part)).collect::<Vec<_>>().join("/")
    }

    fn known_value(&mut self, value: &str) -> String {
        if self.world.things.owners(value).is_empty() || self.sees(value) {
            return value.to_owned();
        }
        let nothing = self.nothing(value);
        self.slot(value.to_owned(), nothing)
    }

    fn mark_known(&mut self, body: &mut Value) {
        match body {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.mark_known(value)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mark_known(item)),
            Value::String(text) => *text = self.known_value(text),
            _ => {}
        }
    }

    fn value_or_new(&mut self, name: &str) -> String {
        let of_own = matches!(self.aim, Aim::Own);
        if of_own || !self.world.things.pools.contains_key(name) || self.rng.random_bool(0.3) {
            let new = match name {
                "email" => "fresh@example.com",
                "issuer" => "https://fresh.example",
                _ => "fresh-1",
            };
            return self.slot(new.to_owned(), new.to_owned());
        }
        self.value(name)
    }

    /// One of the pool, by the aim.
    fn value(&mut self, pool: &str) -> String {
        let Some((own, others)) = self.world.things.parted(pool, self.caller) else {
            panic!("what are values of {pool}? The world has none: furnish one");
        };
        let of_victim = |victim: &Owner| {
            let theirs = |owner: &Owner| owner.tenant == victim.tenant && owner.organization == victim.organization;
            others.iter().copied().filter(|thing| thing.owners.iter().any(theirs)).collect::<Vec<_>>()
        };
        let dice = self.rng.random_range(0..10);
        let form = own.first().or(others.first()).map_or("", |thing| thing.value.as_str()).to_owned();
        let wanted = match &self.aim {
            Aim::Own => own,
            Aim::Names if form.parse::<Uuid>().is_ok() => own,
            Aim::Names => {
                let near = |owner: &Owner| owner.tenant == self.caller.tenant;
                let theirs: Vec<_> = others.iter().copied().filter(|thing| thing.owners.iter().any(near)).collect();
                if theirs.is_empty() { others } else { theirs }
            }
            Aim::Victim(victim) if dice < 8 => {
                let theirs = of_victim(victim);
                if theirs.is_empty() { others } else { theirs }
            }
            Aim::Mixed if dice < 6 => others,
            Aim::Mixed if dice == 9 => vec![],
            _ => own,
        };
        let Some(n) = (!wanted.is_empty()).then(|| self.rng.random_range(0..wanted.len())) else {
            let nothing = self.nothing(&form);
            return self.slot(nothing.clone(), nothing);
        };
        let value = wanted[n].value.clone();
        let nothing = if self.sees(&value) { value.clone() } else { self.nothing(&value) };
        self.slot(value, nothing)
    }

    /// In the form of the value, and nobody's.
    fn nothing(&self, value: &str) -> String {
        let n = self.slots.len();
        match value {
            _ if value.parse::<Uuid>().is_ok() => format!("00000000-0000-7000-8000-{n:012}"),
            _ if value.starts_with('"') => format!("\"000000000000700080000000{n:08}.1\""),
            _ if value.starts_with("http") => format!("https://nothing-{n}.example"),
            _ if value.contains('@') => format!("nothing-{n}@example.com"),
            _ if value.len() == 64 => format!("{n:064}"),
            _ => format!("nothing-{n}"),
        }
    }

    fn tone(&mut self) -> (u16, u16) {
        let others: Vec<u16> =
            self.world.tones.iter().filter(|(_, owner)| !self.caller.sees(owner)).map(|(tone, _)| *tone).collect();
        if matches!(self.aim, Aim::Own) || others.is_empty() || self.rng.random_bool(0.3) {
            return (TONE_OF_OWN, TONE_OF_OWN);
        }
        (others[self.rng.random_range(0..others.len())], TONE_OF_NOTHING)
    }

    /// The mark of a value; the same value has one mark.
    fn slot(&mut self, real: String, nothing: String) -> String {
        let at = self.slots.iter().position(|slot| slot.real == real).unwrap_or_else(|| {
            self.slots.push(Slot { real, nothing });
            self.slots.len() - 1
        });
        mark(at)
    }
}

/// Texts that are unique somewhere, and might tell by that who has them.
fn unique(name: &str) -> bool {
    matches!(
        name,
        "slug" | "external_id" | "subject" | "email" | "issuer" | "sha256" | "digest" | "object_key" | "name"
    )
}
