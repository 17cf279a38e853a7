//! The private PostgreSQL of the demo and the tests: the machine's own server binaries as a child process, on a unix socket alone,
//! in a directory that belongs to Plumbline.
//!
//! The server does not outlive us: its supervisor (a few lines of shell) holds one end of a pipe, and when the other end closes,
//! by [`PrivatePostgres::stop`], by `Drop` or because the kernel closed it after a kill -9, it asks the server for a fast shutdown.
//! What an even harder death leaves behind (postmaster, pid file, socket) is dealt with by the next start on the same directory.

mod binaries;
mod error;
mod home;
mod processes;
mod server;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use binaries::Binaries;
pub use error::PostgresError;

use home::Home;
use server::Server;

/// Name of the superuser of every private cluster.
pub const SUPERUSER: &str = "postgres";

/// Oldest PostgreSQL that Plumbline runs on.
pub const OLDEST_MAJOR: u32 = 15;

/// How a private server is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// `true` keeps what was committed through a power cut. `false` is for tests: no fsync, no synchronous commit, no full page writes.
    pub durable: bool,
    /// PostgreSQL's `max_connections`.
    pub max_connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: true, max_connections: 100 }
    }
}

impl Options {
    /// What tests want: nothing synced, room for many connections.
    pub fn for_tests() -> Self {
        Self { durable: false, max_connections: 200 }
    }
}

/// A running private PostgreSQL. Dropping it stops the server (blocking, bounded).
#[derive(Debug)]
pub struct PrivatePostgres {
    // Field order is drop order: the server must be gone before the lock inside `home` is let go.
    server: Server,
    home: Home,
    version: u32,
}

impl PrivatePostgres {
    /// Starts a server on `directory`, which is created and initialised when new and re-used when not. A server that an earlier
    /// Plumbline left running there is stopped first.
    ///
    /// As root the server runs as the user `postgres` (or `nobody`), because PostgreSQL refuses to run as root.
    ///
    /// # Errors
    /// No server binaries, a directory that is in use by another Plumbline or that the server's user cannot reach, data of another
    /// major version, a failed `initdb` or start (with the tail of the log).
    pub async fn start(directory: &Path, options: Options) -> Result<Self, PostgresError> {
        let directory = directory.to_path_buf();
        tokio::task::spawn_blocking(move || Self::start_blocking(&directory, &options)).await?
    }

    fn start_blocking(directory: &Path, options: &Options) -> Result<Self, PostgresError> {
        let home = Home::open(directory)?;
        let binaries = Binaries::find(home.data_version()?)?;
        home.check_reachable(binaries.directory())?;
        processes::end_leftovers(home.cluster())?;
        home.initialise(&binaries, options.durable)?;
        let server = Server::start(&home, &binaries, options)?;
        let version = binaries.major();
        tracing::debug!(directory = %home.directory().display(), version, "private PostgreSQL started");
        Ok(Self { server, home, version })
    }

    /// Settings to connect to `database` as the cluster's superuser, who owns everything.
    pub fn owner_config(&self, database: &str) -> tokio_postgres::Config {
        self.login_config(SUPERUSER, database)
    }

    /// Settings to connect to `database` as `user`. No password: who may enter the socket's directory (its owner and root) is trusted.
    pub fn login_config(&self, user: &str, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(self.home.socket_directory())
            .port(home::PORT)
            .user(user)
            .dbname(database)
            .connect_timeout(Duration::from_secs(10));
        config
    }

    /// The directory that holds the socket: `psql --host` takes it.
    pub fn socket_directory(&self) -> &Path {
        self.home.socket_directory()
    }

    /// The server's log file.
    pub fn log_path(&self) -> PathBuf {
        self.home.log_path()
    }

    /// Major version of the server.
    pub fn major_version(&self) -> u32 {
        self.version
    }

    /// Stops the server by a fast shutdown (open transactions are rolled back) and waits until it is gone.
    ///
    /// # Errors
    /// When the server had to be ended by force.
    pub async fn stop(self) -> Result<(), PostgresError> {
        tokio::task::spawn_blocking(move || {
            let Self { mut server, home, .. } = self;
            let stopped = server.stop(Duration::from_secs(60));
            drop(home);
            stopped
        })
        .await?
    }
}
