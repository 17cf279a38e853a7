//! What a killed process leaves behind in a local object directory: files that never became objects.
//!
//! `object_store` writes `<key>#<number>` and renames it when it is whole. Such a file is no object, so no list of the store shows it, and it holds the same
//! words as the recording would. Buckets have no such files: their unfinished uploads end by a lifecycle rule.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The local object directory; none where objects are in a bucket.
#[derive(Clone, Debug, Default)]
pub struct Staging(Option<PathBuf>);

impl Staging {
    /// Of the directory in which objects are kept; none for a bucket.
    pub fn of(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// Removes the unfinished files below a prefix (of all tenants when it is empty) that were last written before `before`; returns how many.
    ///
    /// # Errors
    /// When the directory cannot be read, or a file cannot be removed.
    pub async fn remove(&self, prefix: &str, before: Option<SystemTime>) -> io::Result<u64> {
        let Some(directory) = &self.0 else { return Ok(0) };
        let from = directory.join(prefix);
        tokio::task::spawn_blocking(move || remove(&from, before)).await.map_err(io::Error::other)?
    }
}

fn remove(directory: &Path, before: Option<SystemTime>) -> io::Result<u64> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            removed += remove(&entry.path(), before)?;
        } else if kind.is_file() && is_unfinished(&entry.path()) && is_older(&entry, before) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => removed += 1,
            }
        }
    }
    Ok(removed)
}

fn is_unfinished(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.rsplit_once('#').is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn is_older(entry: &fs::DirEntry, before: Option<SystemTime>) -> bool {
    before.is_none_or(|before| entry.metadata().and_then(|file| file.modified()).is_ok_and(|at| at < before))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::foundation::clock::Clock;

    #[tokio::test]
    async fn only_unfinished_files_below_the_prefix_go() {
        let home = tempfile::tempdir().unwrap();
        for file in ["a/2026/x#1", "a/2026/x", "a/2026/x#1a", "a/y#12", "b/x#1"] {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "words").unwrap();
        }
        let staging = Staging::of(Some(home.path().to_owned()));
        let an_hour_ago = Clock::system().now() - TimeDelta::hours(1);
        assert_eq!(
            staging.remove("", Some(an_hour_ago.into())).await.unwrap(),
            0,
            "whoever still writes is left alone"
        );
        assert_eq!(staging.remove("a", None).await.unwrap(), 2);
        assert_eq!(staging.remove("c", None).await.unwrap(), 0);
        for (file, is_there) in [("a/2026/x#1", false), ("a/2026/x", true), ("a/2026/x#1a", true), ("b/x#1", true)] {
            assert_eq!(home.path().join(file).exists(), is_there, "{file}");
        }
        assert_eq!(Staging::default().remove("a", None).await.unwrap(), 0);
    }
}
