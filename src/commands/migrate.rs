//! `plumbline migrate`.

use std::{
    io::IsTerminal,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use plumbline::{
    foundation::{clock::Clock, config::Config},
    platform::{
        db::TenantMigrations,
        fleet::{self, Canary, FleetOptions, MigrationPlan, Seen, Summary},
    },
};

use super::{Failure, connection, owner};

/// How a run goes about it.
#[derive(Args)]
pub struct MigrateOptions {
    /// Connections that migrate at the same time; four for each core and up to eight when absent.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// Begin no other tenant after this many failed.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    stop_after: Option<u32>,
    /// Who goes first: slugs with commas between them, or a percentage such as 5%. The others follow when all of these succeeded.
    #[arg(long, value_name = "WHO")]
    canary: Option<Canary>,
    /// How long a migration waits for a table that is in use before it comes back later.
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..))]
    lock_timeout: u32,
    /// Print the SQL of each pending migration and how many tenants it concerns, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

/// Brings the platform and every tenant to the newest schema.
pub async fn run(config: &Config, options: MigrateOptions) -> Result<ExitCode, Failure> {
    let set = TenantMigrations::embedded();
    let mut owner = owner(config).await?;
    if options.dry_run {
        let plan = fleet::plan(&owner, set).await?;
        if options.json {
            println!("{}", serde_json::to_string_pretty(&plan)?)
        } else {
            show_plan(&plan)
        }
        return Ok(ExitCode::SUCCESS);
    }
    let login = connection(config.database.url.as_ref(), "DATABASE_URL")?;
    let platform = owner.migrate_platform(&login).await?;
    drop(owner);
    let defaults = FleetOptions::default();
    let fleet_options = FleetOptions {
        workers: options.workers.map_or(defaults.workers, usize::from),
        stop_after: options.stop_after.map(|most| most as usize),
        canary: options.canary.unwrap_or(Canary::None),
        lock_wait_ms: options.lock_timeout,
        ..defaults
    };
    let progress = Progress::new();
    let owner_url = connection(config.database.owner_url.as_ref(), "DATABASE_OWNER_URL")?;
    let summary = fleet::migrate(&owner_url, set, &fleet_options, &Clock::system(), &|seen| progress.see(seen)).await?;
    progress.bar.finish_and_clear();
    if options.json {
        println!("{}", serde_json::to_string_pretty(&summary)?)
    } else {
        show(platform, &summary)
    }
    Ok(if summary.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show_plan(plan: &MigrationPlan) {
    let steps = plan.platform.iter().map(|step| ("the platform".to_owned(), step));
    let tenants = plan.tenants.iter().map(|step| (format!("{} tenants", step.tenants), step));
    for (whom, step) in steps.chain(tenants) {
        let kind = if step.concurrent { "concurrent step" } else { "migration" };
        println!("-- {kind} V{}__{} for {whom}\n{}\n", step.version, step.name, step.sql.trim_end());
    }
    if plan.platform.is_empty() && plan.tenants.is_empty() {
        println!("-- nothing is pending");
    }
}

fn show(platform: usize, summary: &Summary) {
    match platform {
        0 => println!("the platform was current"),
        applied => println!("the platform is current after {applied} migrations"),
    }
    println!(
        "{} tenants migrated to V{} in {:.1} s, {} were current, {} failed, {} untouched",
        summary.migrated, summary.newest, summary.seconds, summary.current, summary.failed, summary.untouched
    );
    if summary.newer > 0 {
        println!("{} tenants have a newer schema than this build; they were left alone", summary.newer);
    }
    if let Some(reason) = &summary.stopped {
        println!("stopped: {reason}; the next run goes on where this one ended");
    }
    for failure in &summary.failures {
        println!("{}: {}", failure.slug, failure.error);
    }
}

/// A bar, or lines when nobody watches.
struct Progress {
    bar: ProgressBar,
    watched: bool,
    done: AtomicUsize,
    of: AtomicUsize,
}

impl Progress {
    fn new() -> Self {
        let watched = std::io::stderr().is_terminal();
        let bar = if watched { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} tenants, {eta} to go") {
            bar.set_style(style);
        }
        Self { bar, watched, done: AtomicUsize::new(0), of: AtomicUsize::new(0) }
    }

    fn see(&self, seen: Seen<'_>) {
        match seen {
            Seen::Wave { canary, concurrent, tenants } => {
                let who = if canary { "canary" } else { "all" };
                let what = if concurrent { "concurrent steps" } else { "migrations" };
                self.done.store(0, Ordering::Relaxed);
                self.of.store(tenants, Ordering::Relaxed);
                self.bar.reset();
                self.bar.set_length(tenants as u64);
                self.bar.set_prefix(format!("{who}: {what}"));
                self.line(&format!("{who}: {what} of {tenants} tenants"));
            }
            Seen::Done(_) => {
                self.bar.inc(1);
                let (done, of) = (self.done.fetch_add(1, Ordering::Relaxed) + 1, self.of.load(Ordering::Relaxed));
                if done % (of / 10).max(1) == 0 {
                    self.line(&format!("{done} of {of}"));
                }
            }
            Seen::Again(slug, error) => self.told(&format!("{slug} comes again: {error}")),
            Seen::Failed(failure) => self.told(&format!("{} failed: {}", failure.slug, failure.error)),
        }
    }

    /// Something that a bar does not show.
    fn told(&self, text: &str) {
        if self.watched { self.bar.println(text) } else { eprintln!("{text}") }
    }

    /// Something that a bar shows.
    fn line(&self, text: &str) {
        if !self.watched {
            eprintln!("{text}");
        }
    }
}
