//! The floors of the house: a lower one never imports an upper one, no room stands on no floor, and no two rooms need each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Rooms from the ground up. A room may import those of its own row as long as no circle arises, and everything below.
const FLOORS: &[&[&str]] = &[
    &["foundation"],
    &["platform/db", "platform/http", "platform/providers", "platform/staging"],
    &["platform/tenancy", "platform/identity", "platform/audit", "platform/jobs", "platform/operations"],
    &["platform/plugins", "platform/fleet", "platform/lifecycle", "platform/isolation", "platform/archive"],
    &["product/calls", "product/scorecards", "product/plugins"],
    &["product/evaluations"],
    &["pipeline"],
    &["server"],
    &["app"],
    &["demo"],
    &["trial"],
    &["commands"],
    &["main"],
];

/// Macros at the crate's root, and the room that makes them.
const MACROS: &[(&str, &str)] = &[("sql", "platform/db"), ("words", "foundation")];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The room of a module path: `platform/db`, or `pipeline`.
fn room(path: &[String]) -> Option<String> {
    let first = path.first()?;
    let name = match first.as_str() {
        "platform" | "product" => format!("{first}/{}", path.get(1)?),
        _ => MACROS.iter().find(|(name, _)| name == first).map_or(first.clone(), |(_, room)| (*room).to_owned()),
    };
    Some(name)
}

/// Comments and text go: both may speak of anything.
fn code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let mut pieces = line.split('"');
        out.push_str(pieces.next().unwrap_or_default());
        for (n, piece) in pieces.enumerate() {
            if n % 2 == 1 {
                out.push_str(piece);
            }
        }
        out.push('\n');
    }
    out
}

/// The leaves of a path or a tree such as `platform::{db::Db, http}`; `at` moves behind it.
fn leaves(text: &[char], at: &mut usize, before: &[String], found: &mut Vec<Vec<String>>) {
    let blank = |at: &mut usize| {
        while text.get(*at).is_some_and(|c| c.is_whitespace()) {
            *at += 1
        }
    };
    let mut path = before.to_vec();
    loop {
        blank(at);
        if text.get(*at) == Some(&'{') {
            *at += 1;
            loop {
                blank(at);
                match text.get(*at) {
                    Some('}') | None => break,
                    Some(',') => *at += 1,
                    Some(_) => {
                        let from = *at;
                        leaves(text, at, &path, found);
                        if *at == from {
                            *at += 1;
                        }
                    }
                }
            }
            *at += 1;
            return;
        }
        let name: String = text[*at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        if name.is_empty() {
            break;
        }
        *at += name.len();
        path.push(name);
        let after = *at;
        blank(at);
        if text.get(*at..*at + 2) != Some(&[':', ':']) {
            *at = after;
            break;
        }
        *at += 2;
    }
    found.push(path);
}

/// Module paths that a file names by `crate::`, `super::` or, in the binary, `plumbline::`.
fn imports(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let text: Vec<char> = code(text).chars().collect();
    let mut found = vec![];
    let mut at = 0;
    while at < text.len() {
        let starts_a_name = at == 0 || !(text[at - 1].is_alphanumeric() || matches!(text[at - 1], '_' | ':' | '$'));
        let begins = |word: &str| text[at..].iter().take(word.len()).collect::<String>() == word;
        let (mut base, length) = match () {
            () if starts_a_name && begins("crate::") => (vec![], 7),
            () if starts_a_name && begins("plumbline::") => (vec![], 11),
            () if starts_a_name && begins("super::") => (module[..module.len().saturating_sub(1)].to_vec(), 7),
            () => {
                at += 1;
                continue;
            }
        };
        at += length;
        while text[at..].iter().take(7).collect::<String>() == "super::" {
            base.pop();
            at += 7;
        }
        leaves(&text, &mut at, &base, &mut found);
    }
    found
}

struct File {
    path: String,
    module: Vec<String>,
    text: String,
}

fn sources() -> Vec<File> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut left) = (vec![], vec![src.clone()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let relative = path.strip_prefix(&src).unwrap().with_extension("");
                let mut module: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                if module.last().is_some_and(|last| last == "mod" || last == "lib") {
                    module.pop();
                }
                let path_text = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
                files.push(File { path: path_text, module, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    files
}

/// A floor's own `mod.rs` lists its rooms; it is no room.
fn is_map(file: &File) -> bool {
    matches!(file.path.as_str(), "lib.rs" | "platform/mod.rs" | "product/mod.rs")
}

#[test]
fn lower_floors_do_not_know_upper_ones() {
    let mut wrong = vec![];
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for file in sources().iter().filter(|file| !is_map(file)) {
        let Some((from, from_floor)) = room(&file.module).and_then(|room| Some((room.clone(), floor(&room)?))) else {
            wrong.push(format!("{} is on no floor", file.path));
            continue;
        };
        seen.insert(from.clone());
        for to in imports(&file.text, &file.module).iter().filter_map(|path| room(path)) {
            match floor(&to) {
                None => {} // a name of the room's own, through `super::`, or a macro's word
                Some(_) if to == from => {}
                Some(to_floor) if to_floor > from_floor => {
                    wrong.push(format!("{}: {from} may not import {to}", file.path))
                }
                Some(_) => {
                    needs.entry(from.clone()).or_default().insert(to);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for room in FLOORS.iter().flat_map(|rooms| rooms.iter()) {
        assert!(seen.contains(*room), "{room} is in the list of floors and nowhere else");
    }
    // What rooms need, through each other, must not lead back.
    for start in needs.keys() {
        let (mut left, mut reached) = (vec![start], BTreeSet::new());
        while let Some(next) = left.pop() {
            for to in needs.get(next).into_iter().flatten() {
                assert!(to != start, "{start} needs itself, by way of {next}");
                if reached.insert(to) {
                    left.push(to);
                }
            }
        }
    }
    assert!(needs["pipeline"].contains("product/evaluations"), "imports are found: {needs:?}");
    assert!(needs["product/calls"].contains("platform/db") && needs["commands"].contains("platform/db"), "{needs:?}");
}

#[test]
fn rooms_keep_to_their_doors() {
    let mut wrong = vec![];
    for file in sources() {
        let name = file.module.last().map(String::as_str).unwrap_or_default();
        let text = code(&file.text);
        let mut refuse = |why: &str| wrong.push(format!("{}: {why}", file.path));
        if (name == "api" || file.path.contains("/api/")) && text.contains("TenantTx") {
            refuse("handlers see no transaction");
        }
        let imported = imports(&file.text, &file.module);
        let imports_room = |wanted: &str| imported.iter().any(|path| room(path).is_some_and(|room| room == wanted));
        if name == "store" && imports_room("platform/providers") {
            refuse("stores see no provider");
        }
        let may_connect = ["platform/db/", "demo/"].iter().any(|room| file.path.starts_with(room));
        if text.contains("tokio_postgres::Client") && !may_connect {
            refuse("connections stay behind the door");
        }
        if file.path.starts_with("foundation/")
            && ["poem::", "reqwest::", "tokio_postgres::"].iter().any(|crate_| text.contains(crate_))
        {
            refuse("the foundation knows no network and no database");
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_read_as_the_compiler_reads_them() {
    let module: Vec<String> = ["product", "calls", "api"].map(str::to_owned).to_vec();
    let text = "use crate::{\n    foundation::ids, // crate::demo\n    platform::{db::{Db, DbError}, http},\n};\nuse super::{store, super::evaluations::model};\nfn f() { crate::pipeline::run(\"crate::app\") }";
    let found: Vec<String> = imports(text, &module).iter().map(|path| path.join("/")).collect();
    assert_eq!(
        found,
        [
            "foundation/ids",
            "platform/db/Db",
            "platform/db/DbError",
            "platform/http",
            "product/calls/store",
            "product/calls/super/evaluations/model",
            "pipeline/run"
        ]
    );
}
