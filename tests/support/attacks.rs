//! The files of `plugins/hostile` as components: for the tests, and for the bench of neighbours.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wit_component::{ComponentEncoder, StringEncoding};

/// One file of `plugins/hostile`.
pub struct Attack {
    /// Its name, without an ending.
    pub name: String,
    /// Codes of which one must come of it.
    pub expect: Vec<String>,
    /// The attack itself.
    pub component: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/hostile")
}

/// All attacks, by name.
pub fn attacks() -> Vec<Attack> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "wat")).collect();
    files.retain(|path| !path.file_stem().unwrap().to_str().unwrap().starts_with("frame-"));
    files.sort();
    files.iter().map(|path| attack(path)).collect()
}

fn attack(path: &Path) -> Attack {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(path).unwrap();
    let header = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!(";; {key}: ")));
    let expect = header("expect").unwrap_or_else(|| panic!("{name} expects nothing"));
    let component = match header("frame").unwrap_or("scorer") {
        "none" => wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
        frame => component(&name, frame, &text),
    };
    Attack { name, expect: expect.split(' ').map(str::to_owned).collect(), component }
}

/// The frame with the pieces of an attack put in at its marks, as a component of the frame's world.
pub fn component(name: &str, frame: &str, pieces: &str) -> Vec<u8> {
    let mut text = fs::read_to_string(folder().join(format!("frame-{frame}.wat"))).unwrap();
    for piece in pieces.split(";; in: ").skip(1) {
        let (mark, code) = piece.split_once('\n').unwrap();
        let begin = text.find(&format!("{{{{{mark}")).unwrap_or_else(|| panic!("{name}: no mark {mark}"));
        let end = begin + text[begin..].find("}}").unwrap() + 2;
        text.replace_range(begin..end, code);
    }
    while let Some(begin) = text.find("{{") {
        let end = begin + text[begin..].find("}}").unwrap();
        let default = text[begin..end].split_once(": ").map(|(_, code)| code.to_owned()).unwrap_or_default();
        text.replace_range(begin..end + 2, &default);
    }
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path("wit/v1").unwrap();
    let world = resolve.select_world(&[package], Some(frame)).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.encode().unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

/// One attack as a component.
pub fn attack_named(name: &str) -> Vec<u8> {
    attack(&folder().join(format!("{name}.wat"))).component
}
