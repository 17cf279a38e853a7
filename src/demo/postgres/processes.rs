use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getegid, geteuid, kill_process};

use super::PostgresError;

/// As whom the server runs.
#[derive(Debug, Clone)]
pub(super) struct ServerUser {
    uid: u32,
    gid: u32,
    name: String,
    /// We are root and the server is somebody else.
    other: bool,
}

impl ServerUser {
    /// Ourselves; as root the owner of existing data, else `postgres`, else `nobody`.
    pub(super) fn for_data(data: &Path) -> Result<Self, PostgresError> {
        if !geteuid().is_root() {
            let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
            return Ok(Self { uid, gid, name: format!("with id {uid}"), other: false });
        }
        if let Ok(found) = std::fs::metadata(data)
            && found.uid() != 0
        {
            return Ok(Self {
                uid: found.uid(),
                gid: found.gid(),
                name: format!("with id {}", found.uid()),
                other: true,
            });
        }
        let path = Path::new("/etc/passwd");
        let users = std::fs::read_to_string(path).map_err(PostgresError::io("cannot read", path))?;
        let named = |name| user_in(&users, name);
        Ok(named("postgres").or_else(|| named("nobody")).unwrap_or(Self {
            uid: 65534,
            gid: 65534,
            name: "with id 65534".to_owned(),
            other: true,
        }))
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    pub(super) fn gid(&self) -> u32 {
        self.gid
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_other(&self) -> bool {
        self.other
    }

    /// May this user pass through a directory, by its mode?
    pub(super) fn may_enter(&self, directory: &std::fs::Metadata) -> bool {
        let shift = match (directory.uid() == self.uid, directory.gid() == self.gid) {
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 0,
        };
        directory.mode() >> shift & 1 == 1
    }

    /// A command that runs as this user, without our PG* settings, deaf to the terminal's Ctrl-C.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").process_group(0);
        if self.other {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

fn user_in(passwd: &str, wanted: &str) -> Option<ServerUser> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| *name == wanted)?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (uid != 0).then(|| ServerUser { uid, gid, name: name.to_owned(), other: true })
    })
}

/// How the processes of one private cluster are told from all others.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    /// The data directory, canonical.
    pub(super) data: PathBuf,
    /// The `cluster_name`, which PostgreSQL puts into the command line of each of its processes.
    pub(super) marker: String,
    /// The user who runs the server.
    pub(super) user: ServerUser,
}

impl Cluster {
    /// The process id in `postmaster.pid`, if one is written there.
    pub(super) fn pid_on_file(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Has the postmaster noted that it takes connections?
    pub(super) fn is_ready(&self) -> bool {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        text.lines().nth(7).is_some_and(|status| status.trim() == "ready")
    }

    /// Every living process that provably is a server process of this cluster.
    fn members(&self) -> Vec<i32> {
        list().into_iter().filter(|process| self.is_member(process)).map(|process| process.pid).collect()
    }

    /// Same user, a `postgres` by name, and working in our data directory: every server process works there. Where the kernel hides
    /// the directory of another user's process (root in a container), the cluster's name in the command line decides.
    fn is_member(&self, process: &Process) -> bool {
        let first = process.command.split(' ').next().unwrap_or_default();
        let titled = process.command.starts_with("postgres: ");
        if process.uid != self.user.uid || !(titled || first.rsplit('/').next() == Some("postgres")) {
            return false;
        }
        match &process.directory {
            Some(directory) => *directory == self.data,
            None if titled => process.command.starts_with(&format!("postgres: {}: ", self.marker)),
            None => {
                process.command.split(' ').any(|word| word.strip_prefix("cluster_name=") == Some(self.marker.as_str()))
            }
        }
    }
}

#[derive(Debug)]
struct Process {
    pid: i32,
    uid: u32,
    /// Arguments joined by blanks.
    command: String,
    /// Working directory, where we may know it.
    directory: Option<PathBuf>,
}

#[cfg(target_os = "linux")]
fn list() -> Vec<Process> {
    let read = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ").trim_end().to_owned();
        let directory = std::fs::read_link(entry.path().join("cwd")).ok();
        // A zombie has no command line: it runs nothing any more.
        (!command.is_empty()).then_some(Process { pid, uid: entry.metadata().ok()?.uid(), command, directory })
    };
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(read).collect()
}

#[cfg(not(target_os = "linux"))]
fn list() -> Vec<Process> {
    let output = Command::new("ps").args(["-axww", "-o", "pid=", "-o", "uid=", "-o", "command="]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let read = |line: &str| {
        let (pid, rest) = line.trim_start().split_once(' ')?;
        let (uid, command) = rest.trim_start().split_once(' ')?;
        Some(Process {
            pid: pid.parse().ok()?,
            uid: uid.parse().ok()?,
            command: command.trim().to_owned(),
            directory: None,
        })
    };
    text.lines().filter_map(read).collect()
}

/// Ends every server process of the cluster, politely first: fast shutdown, immediate shutdown, kill. Whatever the pid file says,
/// a process that is not provably of this cluster is left alone.
pub(super) fn end_leftovers(cluster: &Cluster) -> Result<(), PostgresError> {
    let steps = [(Signal::INT, 20), (Signal::QUIT, 5), (Signal::KILL, 5)];
    for (signal, seconds) in steps {
        let members = cluster.members();
        if members.is_empty() {
            return Ok(());
        }
        // The postmaster ends its children; without one, each is told.
        let postmaster: Vec<i32> = members.iter().copied().filter(|pid| cluster.pid_on_file() == Some(*pid)).collect();
        let alone = postmaster.is_empty() || signal == Signal::KILL;
        tracing::info!(?members, ?signal, "ending a private PostgreSQL that an earlier process left running");
        for pid in if alone { &members } else { &postmaster } {
            send(*pid, signal);
        }
        if wait_until(Duration::from_secs(seconds), || cluster.members().is_empty()) {
            return Ok(());
        }
    }
    match cluster.members().first() {
        Some(&pid) => Err(PostgresError::Stuck { pid, data: cluster.data.clone() }),
        None => Ok(()),
    }
}

/// Sends a signal; a process that has gone in the meantime is no error.
fn send(pid: i32, signal: Signal) {
    if let Some(target) = Pid::from_raw(pid).filter(|_| pid > 1)
        && let Err(error) = kill_process(target, signal)
    {
        tracing::debug!(pid, ?signal, %error, "signal not delivered");
    }
}

/// Polls `done` every 10 ms; `false` when the time is over first.
pub(super) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        let user = ServerUser { uid: 101, gid: 104, name: "postgres".to_owned(), other: true };
        Cluster { data: PathBuf::from("/x/data"), marker: "plumbline-0a".to_owned(), user }
    }

    fn process(uid: u32, command: &str, directory: Option<&str>) -> Process {
        Process { pid: 7, uid, command: command.to_owned(), directory: directory.map(PathBuf::from) }
    }

    #[test]
    fn only_server_processes_of_this_cluster_are_members() {
        let named = "/usr/lib/postgresql/15/bin/postgres -D /x/data -c cluster_name=plumbline-0a";
        assert!(cluster().is_member(&process(101, named, Some("/x/data"))));
        assert!(cluster().is_member(&process(101, named, None)));
        assert!(cluster().is_member(&process(101, "postgres: plumbline-0a: checkpointer", None)));
        assert!(!cluster().is_member(&process(101, named, Some("/y/data"))), "another directory");
        assert!(!cluster().is_member(&process(102, named, None)), "another user");
        assert!(!cluster().is_member(&process(101, &format!("/bin/sh -c {named}"), Some("/x/data"))), "its supervisor");
        assert!(!cluster().is_member(&process(101, "postgres: 15/main: checkpointer", None)), "another cluster");
        assert!(!cluster().is_member(&process(101, "postgres: plumbline-0ab: checkpointer", None)), "a longer name");
    }

    #[test]
    fn root_is_never_the_servers_user() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104::/:/bin/sh\nfake:x:0:0::/:/bin/sh\n";
        assert_eq!(user_in(users, "postgres").map(|user| (user.uid, user.gid)), Some((101, 104)));
        assert!(user_in(users, "fake").is_none());
        assert!(user_in(users, "nobody").is_none());
    }
}
