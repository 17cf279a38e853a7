//! Time that processes spent on processors: unlike answers a second, it hardly changes when somebody else uses the machine as well.

use std::{fs, path::Path, time::Duration};

use super::Outcome;

/// Linux counts in hundredths of a second, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// One process.
pub fn of(pid: u32) -> Outcome<Duration> {
    let (_, used) = read(pid).ok_or_else(|| format!("process {pid} is gone"))?;
    Ok(used)
}

/// All running children of a process: PostgreSQL's connections and helpers.
pub fn of_children(parent: u32) -> Outcome<Duration> {
    let mut sum = Duration::ZERO;
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((_, used)) = pid.and_then(read).filter(|(of, _)| *of == parent) {
            sum += used;
        }
    }
    Ok(sum)
}

/// The parent's id, and the time in user and kernel mode.
fn read(pid: u32) -> Option<(u32, Duration)> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u32 = fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
    Some((fields.get(1)?.parse().ok()?, TICK * ticks))
}
