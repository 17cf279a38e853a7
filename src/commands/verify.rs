//! `plumbline verify`: an evaluation computed again from its bundle, without the server that made it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use plumbline::{
    foundation::digest,
    platform::plugins::{Limits, PluginHost},
    product::evaluations::receipt::{
        Receipt,
        bundle::Bundle,
        verify::{Believed, Finding, Provided, Report, verify},
    },
};
use serde_json::json;

use super::Failure;

/// A bundle is larger than no other document that is taken.
const LARGEST_BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

#[derive(clap::Args)]
pub struct VerifyOptions {
    /// The bundle: what `GET /api/evaluations/{evaluation_id}/receipt-bundle` answered.
    file: PathBuf,
    /// The plugin that scored or that built the prompt; may be given twice.
    #[arg(long, value_name = "FILE.wasm")]
    plugin: Vec<PathBuf>,
    /// The recording, to be held against its digest.
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// A public key to trust, in base64, as `GET /api/receipt-keys` shows it; may be given more than once.
    #[arg(long, value_name = "BASE64")]
    key: Vec<String>,
    /// Believe that the bundle's own key is the tenant's, though anybody can have signed it.
    #[arg(long, conflicts_with = "key")]
    accept_any_key: bool,
    /// Accept a receipt that nobody signed.
    #[arg(long)]
    allow_unsigned: bool,
    /// Say it as JSON.
    #[arg(long)]
    json: bool,
}

/// Status 0 when everything is the same and a trusted key signed it, 1 when something differs, 2 when that cannot be told: the report's verdict.
pub async fn run(options: VerifyOptions) -> Result<ExitCode, Failure> {
    let (bundle, receipt) = Bundle::read(&bundle_bytes(&options.file)?)
        .map_err(|error| Failure::Said(format!("{} cannot be checked: {error}", options.file.display())))?;
    let host = PluginHost::new(Limits::default()).map_err(|error| Failure::Said(error.to_string()))?;
    let mut provided = Provided {
        keys: (!options.key.is_empty()).then(|| options.key.clone()),
        without_keys: Some("give the tenant's by --key, or believe the bundle's by --accept-any-key".to_owned()),
        believed: Believed { any_key: options.accept_any_key, unsigned: options.allow_unsigned },
        without_plugins: Some("give it by --plugin".to_owned()),
        ..Provided::default()
    };
    for path in &options.plugin {
        let plugin = host.load(read(path)?).await;
        let refused = |error| Failure::Said(format!("{} is no plugin: {error}", path.display()));
        provided.plugins.push(plugin.map_err(refused)?);
    }
    if let Some(path) = &options.audio {
        provided.audio = Some(digest::of_bytes(&read(path)?));
    }
    let report = verify(&bundle, &receipt, &provided).await;
    say(&options, &bundle, &receipt, &report)?;
    Ok(match report.verdict() {
        Finding::Same => ExitCode::SUCCESS,
        Finding::Differs => ExitCode::from(1),
        Finding::CannotBeComputed => ExitCode::from(2),
    })
}

fn bundle_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let named = |error: std::io::Error| Failure::Said(format!("{}: {error}", path.display()));
    if std::fs::metadata(path).map_err(named)?.len() > LARGEST_BUNDLE_BYTES {
        return Err(Failure::Said(format!("{} is larger than any bundle", path.display())));
    }
    read(path)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Said(format!("{}: {error}", path.display())))
}

fn say(options: &VerifyOptions, bundle: &Bundle, receipt: &Receipt, report: &Report) -> Result<(), Failure> {
    let points = |hundredths: Option<u32>| hundredths.map(|score| f64::from(score) / 100.0);
    let (recorded, now) = (points(report.recorded), points(report.output.as_ref().and_then(|output| output.overall)));
    let about = receipt.about.as_ref();
    let mut out = std::io::stdout().lock();
    if options.json {
        let parts: Vec<_> = report
            .parts
            .iter()
            .map(|part| json!({ "part": part.part, "finding": part.finding, "why": part.why }))
            .collect();
        let said = json!({
            "verdict": report.verdict(), "evaluation_id": about.map(|about| about.evaluation_id), "public_key": bundle.receipt.public_key,
            "key_trusted": report.is_key_trusted(),
            "recorded_overall_score": recorded, "overall_score": now, "parts": parts,
        });
        writeln!(out, "{said}")?;
        return Ok(());
    }
    if let Some(about) = about {
        writeln!(out, "evaluation {} (revision {}: {})", about.evaluation_id, about.revision, about.cause)?;
    }
    for part in &report.parts {
        let why = part.why.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
        writeln!(out, "  {:<16} {}{why}", part.part, part.finding.as_str().replace('_', " "))?;
    }
    let shown = |score: Option<f64>| score.map_or("none".to_owned(), |score| format!("{score:.2}"));
    writeln!(out, "overall score: {} in the receipt, {} computed again", shown(recorded), shown(now))?;
    match &bundle.receipt.public_key {
        Some(key) if options.key.is_empty() => {
            writeln!(out, "names the key {key}: compare it with the tenant's /api/receipt-keys, and give it by --key")?;
        }
        Some(key) => writeln!(out, "names the key {key}")?,
        None => writeln!(out, "not signed")?,
    }
    let verdict = match report.verdict() {
        Finding::Same if report.is_key_trusted() => "the same",
        Finding::Same => "the same, if whoever made it is believed",
        Finding::Differs => "differs",
        Finding::CannotBeComputed => "cannot be told",
    };
    writeln!(out, "verdict: {verdict}")?;
    Ok(())
}
