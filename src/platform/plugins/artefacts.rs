//! Machine code of plugins on disk, so that a start does not compile everything again. It is trusted code once it is loaded, so a file counts only
//! if its seal (HMAC-SHA256) fits the component, the engine, the processor, every setting and every byte; whatever does not is thrown away and
//! made again from the component, which is the truth.

use std::{
    fmt, fs,
    hash::{Hash, Hasher},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use aws_lc_rs::hmac;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tracing::warn;
use wasmtime::Engine;

use super::engine::ENGINE;
use crate::foundation::digest;

/// How every file begins; another layout gets another one.
const MAGIC: &[u8; 16] = b"plumbline code 1";
/// Length of a seal.
const SEAL_BYTES: usize = 32;
/// How names of these files end.
const ENDING: &str = "cwasm";

/// Where machine code is kept, and what seals it.
#[derive(Clone)]
pub struct ArtefactOptions {
    /// The directory; it is made with the first file.
    pub directory: PathBuf,
    /// All files together, in bytes; the least recently used go first.
    pub max_bytes: u64,
    /// 32 secret bytes that are the same in every process that shares the directory.
    pub key: [u8; 32],
}

impl fmt::Debug for ArtefactOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtefactOptions").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// The files, seen with one engine's eyes.
pub(super) struct Artefacts {
    directory: PathBuf,
    max_bytes: u64,
    key: hmac::Key,
    /// Digest of the engine, the processor and every setting.
    settings: String,
}

impl Artefacts {
    pub(super) fn of(options: ArtefactOptions, engine: &Engine) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &options.key);
        let ArtefactOptions { directory, max_bytes, .. } = options;
        Self { directory, max_bytes, key, settings: settings(engine) }
    }

    /// The machine code of this component, if it is here and its seal fits. What does not fit is deleted.
    pub(super) fn read(&self, sha256: &str) -> Option<Vec<u8>> {
        let path = self.path(sha256);
        let mut content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    warn!(plugin = sha256, %error, "machine code of a plugin cannot be read; it is made again");
                }
                return None;
            }
        };
        if !self.fits(sha256, &content) {
            warn!(plugin = sha256, "machine code of a plugin was changed or is another engine's; it is made again");
            let _ = fs::remove_file(&path);
            return None;
        }
        // Used last: a file system that does not keep it makes the order of eviction worse, nothing else.
        #[allow(clippy::disallowed_methods, reason = "the time of a file is the system's")]
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        content.drain(..MAGIC.len() + SEAL_BYTES);
        Some(content)
    }

    /// Keeps machine code: whole or not at all, also when the process ends in the middle. A disk that takes nothing costs time at the next start, so it is
    /// told and otherwise ignored.
    pub(super) fn write(&self, sha256: &str, code: &[u8]) {
        let written = self.place(sha256, code).and_then(|()| self.make_room());
        if let Err(error) = written {
            warn!(plugin = sha256, %error, "machine code of a plugin is not kept");
        }
    }

    fn place(&self, sha256: &str, code: &[u8]) -> io::Result<()> {
        if code.len() as u64 > self.max_bytes {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(MAGIC)?;
        file.write_all(self.seal(sha256, code).as_ref())?;
        file.write_all(code)?;
        file.persist(self.path(sha256)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Deletes the least recently used files until all of them fit.
    fn make_room(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            // another process may have deleted it meanwhile
            let Ok(known) = fs::metadata(&path) else { continue };
            if path.extension().is_some_and(|ending| ending == ENDING) {
                files.push((known.modified()?, known.len(), path));
            }
        }
        files.sort();
        let mut all: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if all <= self.max_bytes {
                break;
            }
            let _ = fs::remove_file(path);
            all -= bytes;
        }
        Ok(())
    }

    fn path(&self, sha256: &str) -> PathBuf {
        Path::new(&self.directory).join(format!("{sha256}-{}.{ENDING}", &self.settings[..16]))
    }

    fn fits(&self, sha256: &str, content: &[u8]) -> bool {
        let Some((head, code)) = content.split_at_checked(MAGIC.len() + SEAL_BYTES) else { return false };
        let (magic, seal) = head.split_at(MAGIC.len());
        magic == MAGIC && hmac::verify(&self.key, &self.sealed(sha256, code), seal).is_ok()
    }

    fn seal(&self, sha256: &str, code: &[u8]) -> hmac::Tag {
        hmac::sign(&self.key, &self.sealed(sha256, code))
    }

    /// What the seal is over: the digest of the code stands for the code.
    fn sealed(&self, sha256: &str, code: &[u8]) -> Vec<u8> {
        let parts = [sha256, &self.settings, &digest::of_bytes(code)];
        [&MAGIC[..], parts.join("\n").as_bytes()].concat()
    }
}

/// A digest of whatever machine code depends on besides its component: the engine's version, the processor, every setting.
fn settings(engine: &Engine) -> String {
    /// Takes in what the engine says of itself, byte by byte.
    struct Said(Sha256);

    impl Hasher for Said {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut said = Said(Sha256::new());
    [ENGINE, std::env::consts::ARCH, std::env::consts::OS].hash(&mut said);
    engine.precompile_compatibility_hash().hash(&mut said);
    digest::hexadecimal(&said.0.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::plugins::{Limits, engine};

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const OTHER: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    fn open(directory: &Path, key: u8, max_bytes: u64, limits: &Limits) -> Artefacts {
        let engine = engine::start(limits, engine::Instances::OnDemand).unwrap();
        Artefacts::of(ArtefactOptions { directory: directory.to_owned(), max_bytes, key: [key; 32] }, &engine)
    }

    #[test]
    fn only_what_is_whole_and_ours_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits::default();
        let ours = open(directory.path(), 1, 1 << 20, &limits);
        assert_eq!(ours.read(ONE), None);
        let code = b"machine code".to_vec();
        for broken in 0..5 {
            ours.write(ONE, &code);
            assert_eq!(ours.read(ONE), Some(code.clone()));
            let path = ours.path(ONE);
            let mut content = fs::read(&path).unwrap();
            match broken {
                0 => *content.last_mut().unwrap() ^= 1,
                1 => content.truncate(content.len() - 1),
                2 => content[MAGIC.len()] ^= 1,
                3 => content.truncate(MAGIC.len() + 3),
                _ => content.push(0),
            }
            fs::write(&path, content).unwrap();
            assert_eq!(ours.read(ONE), None, "change {broken}");
            assert!(!path.exists(), "what does not fit is thrown away");
        }
        ours.write(ONE, &code);
        fs::rename(ours.path(ONE), ours.path(OTHER)).unwrap();
        assert_eq!(ours.read(OTHER), None, "another component's code");
        ours.write(ONE, &code);
        assert_eq!(open(directory.path(), 2, 1 << 20, &limits).read(ONE), None, "another key");
        ours.write(ONE, &code);
        let other = Artefacts {
            settings: "another engine's settings".to_owned(),
            ..open(directory.path(), 1, 1 << 20, &limits)
        };
        fs::rename(ours.path(ONE), other.path(ONE)).unwrap();
        assert_eq!(other.read(ONE), None, "code of other settings");
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let ours = open(directory.path(), 1, 2_500, &Limits::default());
        let long_ago = |sha256: &str, seconds: u64| {
            #[allow(clippy::disallowed_methods, reason = "the time of a file is the system's")]
            let then = SystemTime::now() - std::time::Duration::from_secs(seconds);
            fs::File::open(ours.path(sha256)).unwrap().set_modified(then).unwrap();
        };
        ours.write(ONE, &[1; 1_000]);
        ours.write(OTHER, &[2; 1_000]);
        long_ago(ONE, 500);
        long_ago(OTHER, 1_000);
        assert!(ours.read(OTHER).is_some(), "used just now");
        ours.write(&"3".repeat(64), &[3; 1_000]);
        assert!(ours.read(ONE).is_none() && ours.read(OTHER).is_some() && ours.read(&"3".repeat(64)).is_some());
        ours.write(&"4".repeat(64), &[4; 3_000]);
        assert!(ours.read(&"4".repeat(64)).is_none() && ours.read(OTHER).is_some(), "too large for all of it");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no half-written file stays");
    }

    /// The engine that compiles in the validator's process makes code for the one that runs it here.
    #[test]
    fn both_sorts_of_engine_agree_on_the_settings() {
        let limits = Limits { concurrency: 1, ..Limits::default() };
        let pooled = engine::start(&limits, engine::Instances::Pooled).unwrap();
        let on_demand = engine::start(&limits, engine::Instances::OnDemand).unwrap();
        assert_eq!(settings(&pooled), settings(&on_demand));
    }
}
