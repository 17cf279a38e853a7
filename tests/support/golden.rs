//! Files that a change of behaviour must change too.

use std::{fs, path::Path};

/// Compares with a file of the repository; `UPDATE_GOLDEN=1` writes it.
#[track_caller]
pub fn golden(path: &str, is: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, is).unwrap();
        return;
    }
    let was = fs::read_to_string(&file).unwrap_or_default();
    if was == is {
        return;
    }
    let (before, now): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    let gone = before.iter().filter(|line| !now.contains(line)).map(|line| format!("- {line}"));
    let new = now.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let changes: Vec<String> = gone.chain(new).take(40).collect();
    panic!("{path} is not what it was; UPDATE_GOLDEN=1 writes it anew.\n{}", changes.join("\n"));
}
