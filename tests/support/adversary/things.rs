//! What there is in the world that can be named in a request, and what of it must never be seen: read from the database, with its owners.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aho_corasick::AhoCorasick;
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{caller::Caller, journal};

/// Every canary begins so: a word that no program says by itself.
pub const CANARY: &str = "zq";
const CANARY_CHARACTERS: usize = 14;
/// Shorter texts are no secrets: somebody else may have chosen the same.
const SHORTEST_SECRET: usize = 12;
/// Shorter texts are found in others by chance, where an answer repeats what was sent.
const SHORTEST_VALUE: usize = 8;

/// Whose something is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `None` is the platform itself.
    pub tenant: Option<Uuid>,
    /// `None` is the tenant as a whole.
    pub organization: Option<Uuid>,
    /// For callers who see own calls alone: `None` is everybody of the organization, nil is nobody.
    pub agent: Option<Uuid>,
    /// What only one caller may use, by the actor's name.
    pub actor: Option<String>,
}

/// A value that requests can name.
#[derive(Clone, Debug)]
pub struct Thing {
    pub value: String,
    pub owners: Vec<Owner>,
}

/// Text columns whose values are pools, and the parameter that takes them where it has another name.
const TEXTS: &[(&str, &str)] = &[
    ("slug", "slug"),
    ("external_id", "external_id"),
    ("subject", "subject"),
    ("email", "email"),
    ("name", "name"),
    ("issuer", "issuer"),
    ("sha256", "sha256"),
    ("digest", "digest"),
    ("object_key", "object_key"),
    ("webhook_secret", "X-Plumbline-Webhook"),
    ("key", "Idempotency-Key"),
];

/// All of it.
#[derive(Default)]
pub struct Things {
    /// By the name of the column or parameter.
    pub pools: BTreeMap<String, Vec<Thing>>,
    /// Whose each value is, in every pool.
    owners: HashMap<String, Vec<Owner>>,
    secrets: Vec<(String, Vec<Owner>)>,
    finder: Option<AhoCorasick>,
}

/// Tables whose rows tell of others' things: read last, when the others have their owners.
const TELLTALES: &[&str] = &["audit_events", "idempotency_keys"];

impl Things {
    /// Everything of the platform and of every tenant.
    pub async fn read(owner: &Client) -> Self {
        let mut rows = vec![];
        for table in owner.query(journal::TABLES, &[]).await.unwrap() {
            let (schema, name, qualified): (String, String, String) = (table.get(0), table.get(1), table.get(2));
            let keys = owner.query(KEY_COLUMNS, &[&qualified]).await.unwrap();
            let keys: Vec<String> = keys.iter().map(|row| row.get(0)).collect();
            for row in owner.query(&format!("select to_jsonb(t) from {qualified} t"), &[]).await.unwrap() {
                rows.push((schema.clone(), name.clone(), keys.clone(), row.get::<_, Value>(0)));
            }
        }
        rows.sort_by_key(|(_, table, ..)| TELLTALES.contains(&table.as_str()));
        let links = linked_agents(&rows);
        let mut things = Self::default();
        let mut secrets: BTreeMap<String, BTreeSet<Owner>> = BTreeMap::new();
        let mut canaries: BTreeMap<String, BTreeSet<Owner>> = BTreeMap::new();
        for (schema, table, keys, row) in &rows {
            let owner = owner_of(schema, table, row, &links);
            things.note(table, keys, row, &owner);
            for (column, value) in row.as_object().unwrap() {
                if let Value::String(text) = value
                    && text.len() >= SHORTEST_SECRET
                    && !column.ends_with("_id")
                    && !column.ends_with("_at")
                {
                    secrets.entry(text.clone()).or_default().insert(owner.clone());
                }
            }
            let telltale = TELLTALES.contains(&table.as_str());
            for canary in canaries_in(&row.to_string()) {
                if !(telltale && canaries.contains_key(&canary)) {
                    canaries.entry(canary).or_default().insert(owner.clone());
                }
            }
        }
        // What several organizations have says nothing of one.
        let places = |owners: &BTreeSet<Owner>| {
            owners.iter().map(|owner| (owner.tenant, owner.organization)).collect::<BTreeSet<_>>().len()
        };
        secrets.retain(|_, owners| places(owners) == 1);
        secrets.append(&mut canaries);
        things.hide(secrets);
        things
    }

    /// Ids, and texts that can be named.
    fn note(&mut self, table: &str, keys: &[String], row: &Value, owner: &Owner) {
        if let [key] = keys
            && let Some(id) = row[key].as_str().filter(|id| id.parse::<Uuid>().is_ok())
        {
            let whole = table == "organizations" && row["root_organization_id"] == row[key];
            let owner = if whole { Owner { organization: None, ..owner.clone() } } else { owner.clone() };
            self.add(key, id.to_owned(), owner.clone());
            if let Some(revision) = row["revision"].as_i64() {
                self.add("etag", format!("\"{}.{revision}\"", id.replace('-', "")), owner);
            }
        }
        if table == "plugin_versions"
            && let Some(half) = row["digest"].as_str().and_then(|digest| digest.get(..32)?.parse::<Uuid>().ok())
        {
            self.add("half_of_a_digest", half.to_string(), owner.clone()); // where a list of plugins goes on
        }
        for (column, pool) in TEXTS {
            let Some(text) = row[column].as_str().filter(|text| text.len() >= SHORTEST_VALUE) else { continue };
            let owner = match *column {
                // Unique in the tenant and given by its admins, who may learn that they are taken.
                "slug" | "subject" => Owner { organization: None, ..owner.clone() },
                "key" => Owner { organization: None, actor: row["actor"].as_str().map(str::to_owned), ..owner.clone() },
                _ => owner.clone(),
            };
            self.add(pool, text.to_owned(), owner.clone());
            if *column == "digest" {
                self.add("etag", format!("\"{text}\""), owner);
            }
        }
    }

    /// One more value of a pool, or one more owner of it.
    pub fn add(&mut self, pool: &str, value: String, owner: Owner) {
        let owners = self.owners.entry(value.clone()).or_default();
        if !owners.contains(&owner) {
            owners.push(owner.clone());
        }
        let things = self.pools.entry(pool.to_owned()).or_default();
        match things.iter_mut().find(|thing| thing.value == value) {
            Some(thing) if thing.owners.contains(&owner) => {}
            Some(thing) => thing.owners.push(owner),
            None => things.push(Thing { value, owners: vec![owner] }),
        }
    }

    fn hide(&mut self, secrets: BTreeMap<String, BTreeSet<Owner>>) {
        let ids = self.owners.iter().filter(|(value, _)| value.parse::<Uuid>().is_ok());
        let forms = ids.flat_map(|(id, owners)| [(id.clone(), owners.clone()), (id.replace('-', ""), owners.clone())]);
        let texts = secrets.into_iter().map(|(text, owners)| (text, owners.into_iter().collect()));
        self.secrets = forms.chain(texts).collect();
        self.finder = Some(AhoCorasick::new(self.secrets.iter().map(|(text, _)| text)).unwrap());
    }

    /// Whose a value is; nothing when it is nobody's.
    pub fn owners(&self, value: &str) -> &[Owner] {
        self.owners.get(value).map_or(&[], Vec::as_slice)
    }

    /// Secrets in the text that the caller may not see, and did not send.
    pub fn leaked<'a>(&'a self, text: &str, caller: &Caller, sent: &str) -> Vec<&'a str> {
        let finder = self.finder.as_ref().expect("it was read");
        let mut leaked: Vec<&str> = finder
            .find_overlapping_iter(text)
            .map(|found| &self.secrets[found.pattern().as_usize()])
            .filter(|(secret, owners)| {
                !owners.iter().any(|owner| caller.sees(owner))
                    && !sent.contains(secret.as_str())
                    && !hyphenated(secret).is_some_and(|id| sent.contains(&id))
            })
            .map(|(secret, _)| secret.as_str())
            .collect();
        leaked.sort_unstable();
        leaked.dedup();
        leaked
    }

    /// Values of a pool: the caller's, and those of others.
    pub fn parted(&self, pool: &str, caller: &Caller) -> Option<(Vec<&Thing>, Vec<&Thing>)> {
        let things = self.pools.get(pool)?;
        Some(things.iter().partition(|thing| thing.owners.iter().any(|owner| caller.sees(owner))))
    }
}

const KEY_COLUMNS: &str = "select a.attname::text from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
    where i.indrelid = $1::text::regclass and i.indisprimary";

type Row = (String, String, Vec<String>, Value);

/// The agent that each user is.
fn linked_agents(rows: &[Row]) -> HashMap<String, Uuid> {
    let agents = rows.iter().filter(|(_, table, ..)| table == "agents");
    agents.filter_map(|(.., row)| Some((row["user_id"].as_str()?.to_owned(), id(row, "agent_id")?))).collect()
}

fn id(row: &Value, column: &str) -> Option<Uuid> {
    row[column].as_str()?.parse().ok()
}

/// The tenant whose schema has this name.
pub fn tenant_of(schema: &str) -> Option<Uuid> {
    schema.strip_prefix("t_")?.parse().ok()
}

fn owner_of(schema: &str, table: &str, row: &Value, links: &HashMap<String, Uuid>) -> Owner {
    let agent = match table {
        "organizations" | "scorecards" | "scorecard_versions" => None,
        "users" => row["user_id"].as_str().and_then(|user| links.get(user)).copied().or(Some(Uuid::nil())),
        _ => Some(id(row, "agent_id").unwrap_or_default()),
    };
    let Some(tenant) = tenant_of(schema) else {
        // The tenant's own row and its operations are the tenant's as a whole; what operators did is the platform's.
        let tenant = if table == "audit_events" { None } else { id(row, "tenant_id") };
        return Owner { tenant, organization: id(row, "organization_id"), agent, actor: None };
    };
    if table == "receipt_keys" {
        // Whoever checks a receipt of the tenant's is told the key.
        return Owner { tenant: Some(tenant), ..Owner::default() };
    }
    if table == "plugin_versions" {
        // The tenant's as a whole: whoever may see plugins sees all of them.
        return Owner { tenant: Some(tenant), agent: Some(Uuid::nil()), ..Owner::default() };
    }
    Owner { tenant: Some(tenant), organization: id(row, "organization_id"), agent, actor: None }
}

fn canaries_in(text: &str) -> BTreeSet<String> {
    let found = text.match_indices(CANARY).filter_map(|(at, _)| text.get(at..at + CANARY_CHARACTERS));
    found.filter(|word| word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())).map(str::to_owned).collect()
}

fn hyphenated(simple: &str) -> Option<String> {
    (simple.len() == 32).then(|| simple.parse::<Uuid>().ok()).flatten().map(|id| id.to_string())
}

/// A new canary.
pub fn canary(number: u64) -> String {
    // Spread, so that one is never the beginning of another; of letters alone, which redaction lets stand.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letters = (0..12).map(|n| char::from(b'a' + u8::try_from(spread >> (4 * n) & 0xf).expect("four bits")));
    CANARY.chars().chain(letters).collect()
}
