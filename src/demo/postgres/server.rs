use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use super::binaries::Binaries;
use super::home::{Home, PORT};
use super::processes::{Cluster, end_leftovers, wait_until};
use super::{Options, PostgresError};

/// Runs the server and asks it for a fast shutdown when our end of the pipe closes, however we end. The prctl for this
/// (PR_SET_PDEATHSIG) follows the thread that forked, not the process, and needs unsafe code.
const SUPERVISOR: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -INT "$server"; } &
watcher=$!
exec 3<&-
wait "$server"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
"#;

const START_LIMIT: Duration = Duration::from_secs(60);
const DROP_LIMIT: Duration = Duration::from_secs(10);
const LOG_TAIL_BYTES: u64 = 4 * 1024;

/// A running postmaster under its supervisor.
#[derive(Debug)]
pub(super) struct Server {
    supervisor: Child,
    /// Open for as long as the server shall run.
    lifeline: Option<ChildStdin>,
    cluster: Cluster,
    stopped: bool,
}

impl Server {
    pub(super) fn start(home: &Home, binaries: &Binaries, options: &Options) -> Result<Self, PostgresError> {
        let log = home.open_log()?;
        let log_start = log.metadata().map_or(0, |metadata| metadata.len());
        let clone = |file: &std::fs::File| file.try_clone().map_err(PostgresError::io("cannot open", &home.log_path()));
        let shell = PathBuf::from("/bin/sh");
        let mut command = home.cluster().user.command(&shell);
        command.args(["-c", SUPERVISOR, "plumbline-postgres"]).arg(binaries.program("postgres"));
        command.arg("-D").arg(&home.cluster().data).arg("-k").arg(home.socket_directory());
        for setting in settings(home.cluster(), options) {
            command.args(["-c", &setting]);
        }
        command.stdin(Stdio::piped()).stdout(clone(&log)?).stderr(log);
        let mut supervisor = command.spawn().map_err(PostgresError::io("cannot run", &shell))?;
        let lifeline = supervisor.stdin.take();
        // From here on an early return stops the server by dropping it.
        let mut server = Self { supervisor, lifeline, cluster: home.cluster().clone(), stopped: false };
        server.wait_until_ready().map_err(|reason| PostgresError::Start { reason, log: log_tail(home, log_start) })?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            if self.cluster.is_ready() {
                return Ok(());
            }
            if let Some(status) = self.supervisor.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("it ended with {status}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("not ready after {} s", START_LIMIT.as_secs()))
    }

    /// Fast shutdown; after `limit`, by force.
    pub(super) fn stop(&mut self, limit: Duration) -> Result<(), PostgresError> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let pid = self.cluster.pid_on_file().unwrap_or_default();
        drop(self.lifeline.take());
        let in_time = wait_until(limit, || !matches!(self.supervisor.try_wait(), Ok(None)));
        // Nothing to end, unless the time is over or somebody killed the supervisor.
        end_leftovers(&self.cluster)?;
        if in_time {
            return Ok(());
        }
        wait_until(Duration::from_secs(1), || !matches!(self.supervisor.try_wait(), Ok(None)));
        Err(PostgresError::Stop { pid, seconds: limit.as_secs() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop(DROP_LIMIT) {
            tracing::warn!(%error, "private PostgreSQL did not stop cleanly");
        }
    }
}

fn settings(cluster: &Cluster, options: &Options) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        format!("port={PORT}"),
        "unix_socket_permissions=0700".to_owned(),
        format!("cluster_name={}", cluster.marker),
        format!("max_connections={}", options.max_connections),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ];
    if !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(str::to_owned));
    }
    settings
}

/// The last lines that this start has written to the log.
fn log_tail(home: &Home, log_start: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = std::fs::File::open(home.log_path())?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(log_start.max(end.saturating_sub(LOG_TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
}
