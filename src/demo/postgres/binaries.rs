use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OLDEST_MAJOR, PostgresError};

/// The directory of a PostgreSQL server's programs, and their version.
#[derive(Debug, Clone)]
pub struct Binaries {
    directory: PathBuf,
    major: u32,
}

/// Where to look: taken from the environment once, so that the search itself can be tested.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// `PLUMBLINE_PG_BIN`: when set, the only place.
    pub(super) explicit: Option<PathBuf>,
    /// `PATH`.
    pub(super) path: Option<OsString>,
    /// Directories with one sub-directory per version, each with a `bin`.
    pub(super) versioned: Vec<PathBuf>,
}

impl Places {
    fn of_this_machine() -> Self {
        let roots = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"];
        Self {
            explicit: std::env::var_os("PLUMBLINE_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from),
            path: std::env::var_os("PATH"),
            versioned: roots.iter().map(PathBuf::from).collect(),
        }
    }

    /// Every directory worth a look, best first.
    fn candidates(&self) -> Vec<PathBuf> {
        if let Some(explicit) = &self.explicit {
            return vec![explicit.clone()];
        }
        let mut found: Vec<PathBuf> = self.path.iter().flat_map(std::env::split_paths).collect();
        found.extend(self.pg_config());
        for root in &self.versioned {
            found.extend(versions_below(root));
        }
        found.retain(|directory| directory.is_absolute());
        found
    }

    fn pg_config(&self) -> Option<PathBuf> {
        let program = std::env::split_paths(self.path.as_ref()?).map(|d| d.join("pg_config")).find(|p| p.is_file())?;
        let output = Command::new(program).arg("--bindir").output().ok().filter(|output| output.status.success())?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    }

    fn described(&self) -> String {
        match &self.explicit {
            Some(explicit) => format!("PLUMBLINE_PG_BIN={}", explicit.display()),
            None => {
                let roots: Vec<_> = self.versioned.iter().map(|root| format!("{}/*/bin", root.display())).collect();
                format!("PATH, `pg_config --bindir`, {}", roots.join(", "))
            }
        }
    }
}

/// `root/*/bin`, highest version first; `postgresql@17` and `17` both count as 17.
fn versions_below(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("postgresql@").unwrap_or(&name).split('.').next()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, path)| path).collect()
}

impl Binaries {
    /// Finds server programs: `PLUMBLINE_PG_BIN`, `PATH`, `pg_config --bindir`, then the usual directories, highest version first.
    /// With `wanted`, the major version of existing data, only that version will do.
    ///
    /// # Errors
    /// [`PostgresError::MissingBinaries`], which says what to install.
    pub fn find(wanted: Option<u32>) -> Result<Self, PostgresError> {
        Self::find_in(&Places::of_this_machine(), wanted)
    }

    pub(super) fn find_in(places: &Places, wanted: Option<u32>) -> Result<Self, PostgresError> {
        let fits = |major: u32| wanted.map_or(major >= OLDEST_MAJOR, |wanted| major == wanted);
        places.candidates().into_iter().filter_map(Self::in_directory).find(|found| fits(found.major)).ok_or_else(
            || PostgresError::MissingBinaries {
                wanted: wanted.map_or_else(
                    || format!("{OLDEST_MAJOR} or newer"),
                    |wanted| format!("{wanted} (which made the data directory)"),
                ),
                searched: places.described(),
            },
        )
    }

    fn in_directory(directory: PathBuf) -> Option<Self> {
        let (postgres, initdb) = (directory.join("postgres"), directory.join("initdb"));
        if !postgres.is_file() || !initdb.is_file() {
            return None;
        }
        let output = Command::new(postgres).arg("--version").output().ok().filter(|output| output.status.success())?;
        Some(Self { directory, major: major_of(&String::from_utf8_lossy(&output.stdout))? })
    }

    /// Where the programs lie; `psql` and `pgbench` are often beside them.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }
}

/// `postgres (PostgreSQL) 15.20 (Debian 15.20-1)` → 15; also `18beta1`.
fn major_of(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("something else"), None);
    }

    #[test]
    fn highest_version_first_by_number() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "postgresql@14", "16", "15", "readme"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        let names: Vec<_> = versions_below(root.path())
            .iter()
            .map(|bin| bin.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["16", "15", "postgresql@14", "9.6"]);
    }

    #[test]
    fn says_what_to_install_when_nothing_is_there() {
        let empty = tempfile::tempdir().unwrap();
        let places =
            Places { path: Some(empty.path().into()), versioned: vec![empty.path().into()], ..Places::default() };
        let error = Binaries::find_in(&places, None).unwrap_err();
        assert!(matches!(error, PostgresError::MissingBinaries { .. }));
        let text = error.to_string();
        assert!(
            text.contains("apt install postgresql")
                && text.contains("PLUMBLINE_PG_BIN")
                && text.contains("DATABASE_URL"),
            "{text}"
        );
    }

    #[test]
    fn an_explicit_directory_is_the_only_place() {
        let empty = tempfile::tempdir().unwrap();
        let places = Places { explicit: Some(empty.path().into()), ..Places::of_this_machine() };
        let text = Binaries::find_in(&places, None).unwrap_err().to_string();
        assert!(text.contains(&format!("PLUMBLINE_PG_BIN={}", empty.path().display())), "{text}");
    }

    #[test]
    fn finds_this_machines_server_without_path_and_refuses_another_version() {
        let places = Places { path: None, explicit: None, ..Places::of_this_machine() };
        let found = Binaries::find_in(&places, None).or_else(|_| Binaries::find(None)).unwrap();
        assert!(found.major() >= OLDEST_MAJOR && found.program("initdb").is_file());
        let text = Binaries::find_in(&places, Some(9)).unwrap_err().to_string();
        assert!(text.contains("PostgreSQL 9 (which made the data directory)"), "{text}");
    }
}
