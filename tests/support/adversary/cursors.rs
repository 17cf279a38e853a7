//! Cursors that callers were given in their lists, for others to use.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use uuid::Uuid;

use super::{
    caller::Caller,
    document::{Operation, Place},
    world::World,
};

/// A cursor, and the list that it goes on.
#[derive(Clone, Debug)]
pub struct CursorOf {
    pub operation: String,
    /// Path and query without cursor and limit.
    pub path: String,
    pub cursor: String,
    /// The row that it stands at.
    pub at: String,
    /// The same place in the list, by an id of nothing.
    pub nothing: String,
}

/// The cursors of every list of every caller, and of its filters by the caller's own things.
pub async fn all(world: &World) -> Vec<CursorOf> {
    let mut cursors = vec![];
    for operation in &world.document.operations {
        if !operation.parameters.iter().any(|parameter| parameter.name == "cursor") {
            continue;
        }
        for caller in world.callers.iter().filter(|caller| caller.token.is_some()) {
            for path in lists(world, operation, caller) {
                let separator = if path.contains('?') { '&' } else { '?' };
                let asked = format!("{path}{separator}limit=1");
                let got = world.ask(caller, &operation.method, &asked, &[], vec![]).await;
                let answer: Value = serde_json::from_slice(&got.body).unwrap_or_default();
                if let Some(cursor) = answer["next_cursor"].as_str() {
                    cursors.extend(opened(&operation.id, path, cursor));
                }
            }
        }
    }
    cursors
}

/// The list as such, and by each filter of a kind of things with the first that the caller sees.
pub fn lists(world: &World, operation: &Operation, caller: &Caller) -> Vec<String> {
    let own = |name: &str| {
        let pool = world.things.pools.get(name)?;
        pool.iter().find(|thing| thing.owners.iter().any(|owner| owner.organization.is_some() && caller.sees(owner)))
    };
    let mut path = operation.path.clone();
    for parameter in operation.parameters.iter().filter(|parameter| parameter.place == Place::Path) {
        let Some(thing) = own(&parameter.name) else { return vec![] };
        path = path.replace(&format!("{{{}}}", parameter.name), &thing.value);
    }
    let filters = operation.parameters.iter().filter(|parameter| parameter.place == Place::Query);
    let filtered =
        filters.filter_map(|parameter| Some(format!("{path}?{}={}", parameter.name, own(&parameter.name)?.value)));
    [path.clone()].into_iter().chain(filtered).collect()
}

fn opened(operation: &str, path: String, cursor: &str) -> Option<CursorOf> {
    let mut content = content(cursor)?;
    let at = content["id"].as_str()?.to_owned();
    let id: Uuid = at.parse().ok()?;
    content["id"] = Value::String(Uuid::from_u128(id.as_u128() ^ 1).to_string());
    let nothing = URL_SAFE_NO_PAD.encode(content.to_string());
    Some(CursorOf { operation: operation.to_owned(), path, cursor: cursor.to_owned(), at, nothing })
}

/// What a cursor says.
pub fn content(cursor: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}
