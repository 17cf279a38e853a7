use std::path::{Path, PathBuf};

/// Why a private PostgreSQL could not be started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No usable `postgres` and `initdb` on this machine.
    #[error(
        "no PostgreSQL {wanted} server binaries found (looked in {searched}); install them (Debian, Ubuntu: `apt install postgresql`; \
         Fedora: `dnf install postgresql-server`; macOS: `brew install postgresql`), or name their directory in PLUMBLINE_PG_BIN, \
         or use a server of your own by DATABASE_URL"
    )]
    MissingBinaries {
        /// The version that was looked for, in words.
        wanted: String,
        /// The places that were looked at, in order.
        searched: String,
    },
    /// The server's user may not enter a directory on the way to its data or its binaries.
    #[error("the user {user}, who runs PostgreSQL, may not enter {}: choose another directory, or allow it by `chmod o+x`", path.display())]
    Unreachable {
        /// The first directory that cannot be entered.
        path: PathBuf,
        /// Who would have to enter it.
        user: String,
    },
    /// Another Plumbline holds this directory.
    #[error("{} is in use by another Plumbline (process {holder})", directory.display())]
    InUse {
        /// The contended directory.
        directory: PathBuf,
        /// Process id of the holder, as it wrote it down.
        holder: String,
    },
    /// The directory holds something that is not a private cluster.
    #[error("{} cannot hold a private PostgreSQL: {reason}", directory.display())]
    BadDirectory {
        /// The directory that was refused.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No directory was found whose path is short enough for a unix socket.
    #[error("no usable directory for the unix socket (at most {limit} bytes with its file name): {reason}")]
    SocketDirectory {
        /// The longest path that the operating system takes.
        limit: usize,
        /// What was tried.
        reason: String,
    },
    /// `initdb` failed.
    #[error("initdb failed: {output}")]
    Initialise {
        /// What it printed.
        output: String,
    },
    /// The server did not come up.
    #[error("PostgreSQL did not start: {reason}; the end of its log:\n{log}")]
    Start {
        /// How it ended or what was waited for.
        reason: String,
        /// The last lines of the server's log.
        log: String,
    },
    /// A server could not be stopped in time by asking.
    #[error("PostgreSQL (process {pid}) did not stop within {seconds} s and was ended by force")]
    Stop {
        /// The postmaster.
        pid: i32,
        /// How long it was given.
        seconds: u64,
    },
    /// A server on our data directory that even a kill did not end.
    #[error("PostgreSQL (process {pid}) is still running on {} and cannot be ended", data.display())]
    Stuck {
        /// The process that stays.
        pid: i32,
        /// The data directory that it holds.
        data: PathBuf,
    },
    /// A file or process operation failed.
    #[error("{what} {}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The runtime shut down while the server was being started or stopped.
    #[error("the task that drives PostgreSQL was cancelled")]
    Cancelled(#[from] tokio::task::JoinError),
}

impl PostgresError {
    /// For `map_err`: wraps an operating system error with what was attempted on which path.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { what, path, source }
    }
}
