use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::binaries::Binaries;
use super::processes::{Cluster, ServerUser};
use super::{PostgresError, SUPERUSER};
use crate::foundation::digest;

/// Part of the socket's file name only: the server listens on no network.
pub(super) const PORT: u16 = 5432;
const LOCK: &str = "plumbline.lock";
const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
const LOG_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// The directory of one private cluster, held under a lock: `data/`, `run/` with the socket, `server.log`, `plumbline.lock`.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    socket_directory: PathBuf,
    cluster: Cluster,
    /// Holds the kernel's lock, which ends with this process however it ends.
    _lock: File,
}

impl Home {
    /// Creates what is missing, takes the lock, and finds out as whom the server runs.
    pub(super) fn open(directory: &Path) -> Result<Self, PostgresError> {
        std::fs::create_dir_all(directory).map_err(PostgresError::io("cannot create", directory))?;
        let directory = directory.canonicalize().map_err(PostgresError::io("cannot find", directory))?;
        let ours = is_empty_or_ours(&directory)?;
        if !ours {
            let reason = "it holds other files; name an empty or new directory".to_owned();
            return Err(PostgresError::BadDirectory { directory, reason });
        }
        let lock = take_lock(&directory)?;
        let data = directory.join("data");
        let user = ServerUser::for_data(&data)?;
        if user.is_other() {
            // The server's user passes through to its own sub-directories; it can neither list nor write here.
            let mode = metadata(&directory)?.mode() | 0o011;
            std::fs::set_permissions(&directory, Permissions::from_mode(mode & 0o7777))
                .map_err(PostgresError::io("cannot change the mode of", &directory))?;
        }
        check_reachable(&directory, &user)?;
        let marker = marker_of(&directory);
        let socket_directory = socket_directory(&directory, &marker, &user)?;
        Ok(Self { cluster: Cluster { data, marker, user }, directory, socket_directory, _lock: lock })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn socket_directory(&self) -> &Path {
        &self.socket_directory
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Major version that made the data; `None` before the first start.
    pub(super) fn data_version(&self) -> Result<Option<u32>, PostgresError> {
        if !self.cluster.data.exists() {
            return Ok(None);
        }
        let file = self.cluster.data.join("PG_VERSION");
        let text = std::fs::read_to_string(&file).map_err(PostgresError::io("cannot read", &file))?;
        text.trim().parse().map(Some).map_err(|_| PostgresError::BadDirectory {
            directory: self.directory.clone(),
            reason: format!("PG_VERSION says {:?}", text.trim()),
        })
    }

    /// Can the server's user enter `path` and all its parents?
    pub(super) fn check_reachable(&self, path: &Path) -> Result<(), PostgresError> {
        let path = path.canonicalize().map_err(PostgresError::io("cannot find", path))?;
        check_reachable(&path, &self.cluster.user)
    }

    /// Makes the data directory unless it is there, and clears what a dead server left. No server may be running.
    pub(super) fn initialise(&self, binaries: &Binaries, durable: bool) -> Result<(), PostgresError> {
        self.remove_unfinished()?;
        for stale in [self.cluster.data.join("postmaster.pid"), self.socket_file(""), self.socket_file(".lock")] {
            remove_if_there(&stale)?;
        }
        if self.cluster.data.exists() {
            return self.cluster.user.own(&self.cluster.data);
        }
        // initdb may be interrupted: only a finished directory gets the name.
        let unfinished = self.directory.join(format!("data.unfinished-{}", std::process::id()));
        self.cluster.user.make_directory(&unfinished)?;
        // Words of all languages fold case under C.UTF-8; systems without it (macOS) get plain C.
        if let Err(first) = self.initdb(binaries, &unfinished, "C.UTF-8", durable) {
            self.remove_unfinished()?;
            self.cluster.user.make_directory(&unfinished)?;
            self.initdb(binaries, &unfinished, "C", durable).map_err(|_| first)?;
        }
        std::fs::rename(&unfinished, &self.cluster.data).map_err(PostgresError::io("cannot rename", &unfinished))
    }

    fn initdb(&self, binaries: &Binaries, target: &Path, characters: &str, durable: bool) -> Result<(), PostgresError> {
        let program = binaries.program("initdb");
        let mut command = self.cluster.user.command(&program);
        command
            .arg("-D")
            .arg(target)
            .args(["--username", SUPERUSER, "--encoding=UTF8", "--locale=C"])
            .arg(format!("--lc-ctype={characters}"))
            .args(["--auth-local=trust", "--auth-host=reject", "--no-instructions"])
            .args((!durable).then_some("--no-sync"))
            .stdin(Stdio::null());
        let output = command.output().map_err(PostgresError::io("cannot run", &program))?;
        if output.status.success() {
            return Ok(());
        }
        let output = [output.stdout, output.stderr].concat();
        Err(PostgresError::Initialise { output: String::from_utf8_lossy(&output).trim().to_owned() })
    }

    fn remove_unfinished(&self) -> Result<(), PostgresError> {
        let entries = std::fs::read_dir(&self.directory).map_err(PostgresError::io("cannot list", &self.directory))?;
        for entry in entries.flatten() {
            if entry.file_name().as_bytes().starts_with(b"data.unfinished-") {
                std::fs::remove_dir_all(entry.path()).map_err(PostgresError::io("cannot remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    fn socket_file(&self, suffix: &str) -> PathBuf {
        self.socket_directory.join(format!(".s.PGSQL.{PORT}{suffix}"))
    }

    /// Opens the log for appending; a log that has grown large starts anew, its predecessor kept once.
    pub(super) fn open_log(&self) -> Result<File, PostgresError> {
        let path = self.log_path();
        if std::fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
            std::fs::rename(&path, path.with_extension("log.1")).map_err(PostgresError::io("cannot rename", &path))?;
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(PostgresError::io("cannot open", &path))
    }
}

/// New, empty, or laid out by us before.
fn is_empty_or_ours(directory: &Path) -> Result<bool, PostgresError> {
    let mut entries = std::fs::read_dir(directory).map_err(PostgresError::io("cannot list", directory))?;
    Ok(directory.join(LOCK).exists() || entries.next().is_none())
}

fn take_lock(directory: &Path) -> Result<File, PostgresError> {
    let path = directory.join(LOCK);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(PostgresError::io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if known { holder.trim().to_owned() } else { "unknown".to_owned() };
            return Err(PostgresError::InUse { directory: directory.to_path_buf(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(PostgresError::io("cannot lock", &path)(source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(PostgresError::io("cannot write", &path))?;
    Ok(file)
}

/// A short name for this directory, which also names the cluster to the operating system.
fn marker_of(directory: &Path) -> String {
    let digest = digest::of_bytes(directory.as_os_str().as_bytes());
    format!("plumbline-{}", &digest[..12])
}

/// `run` in the directory, or when its path is too long for a socket, a private directory below the temporary one.
fn socket_directory(directory: &Path, marker: &str, user: &ServerUser) -> Result<PathBuf, PostgresError> {
    let near = directory.join("run");
    if fits(&near) {
        user.make_directory(&near)?;
        return Ok(near);
    }
    let mut tried = Vec::new();
    for parent in [std::env::temp_dir(), PathBuf::from("/tmp")] {
        let candidate = parent.join(marker);
        if !fits(&candidate) {
            tried.push(format!("{} is too long", candidate.display()));
            continue;
        }
        match user.make_directory(&candidate).and_then(|()| check_reachable(&candidate, user)) {
            Ok(()) => return Ok(candidate),
            Err(error) => tried.push(error.to_string()),
        }
    }
    Err(PostgresError::SocketDirectory { limit: SOCKET_PATH_LIMIT, reason: tried.join("; ") })
}

fn fits(directory: &Path) -> bool {
    // The server makes `.s.PGSQL.5432` and, beside it, the same name with `.lock`, which is no socket.
    directory.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() <= SOCKET_PATH_LIMIT
}

fn check_reachable(path: &Path, user: &ServerUser) -> Result<(), PostgresError> {
    for step in path.ancestors() {
        let step_metadata = metadata(step)?;
        if !user.may_enter(&step_metadata) {
            return Err(PostgresError::Unreachable { path: step.to_path_buf(), user: user.name().to_owned() });
        }
    }
    Ok(())
}

fn metadata(path: &Path) -> Result<Metadata, PostgresError> {
    std::fs::metadata(path).map_err(PostgresError::io("cannot look at", path))
}

fn remove_if_there(path: &Path) -> Result<(), PostgresError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(PostgresError::io("cannot remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Directories and files as the server's user owns them.
impl ServerUser {
    /// Makes `path` a directory of this user that nobody else enters. An existing one must be just that: in the temporary
    /// directory somebody else may have made it to listen in.
    pub(super) fn make_directory(&self, path: &Path) -> Result<(), PostgresError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) if self.is_other() => {
                chown(path, Some(self.uid()), Some(self.gid())).map_err(PostgresError::io("cannot give away", path))
            }
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = path.symlink_metadata().map_err(PostgresError::io("cannot look at", path))?;
                if found.is_dir() && found.uid() == self.uid() && found.mode() & 0o077 == 0 {
                    return Ok(());
                }
                let reason = format!("it is not a directory of {} with mode 0700", self.name());
                Err(PostgresError::BadDirectory { directory: path.to_path_buf(), reason })
            }
            Err(error) => Err(PostgresError::io("cannot create", path)(error)),
        }
    }

    /// Hands a data directory to this user when root owns it (it was copied or restored); leaves any other as it is.
    pub(super) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        let found = path.symlink_metadata().map_err(PostgresError::io("cannot look at", path))?;
        if !self.is_other() || found.uid() == self.uid() {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(self.uid()), Some(self.gid()))
            .map_err(PostgresError::io("cannot give away", path))?;
        if found.is_dir() {
            for entry in std::fs::read_dir(path).map_err(PostgresError::io("cannot list", path))?.flatten() {
                self.own(&entry.path())?;
            }
        }
        Ok(())
    }
}
