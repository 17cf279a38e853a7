//! The local recogniser beside the demo: `script/speech serve`, started when it is installed.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use url::Url;

/// Loading the model takes a few seconds.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// A running recogniser; it ends with this process, because it watches its stdin.
pub struct LocalRecogniser {
    /// Its address, without `/v1`.
    pub base_url: Url,
    /// Its key.
    pub api_key: SecretString,
    _child: Child,
}

/// Starts the recogniser if it is installed; otherwise says why not.
///
/// # Errors
/// A sentence for people.
pub async fn start() -> Result<LocalRecogniser, String> {
    let script =
        script().ok_or("script/speech is not here: recordings need ASSEMBLYAI_API_KEY or PLUMBLINE_SPEECH_URL")?;
    let installed = Command::new(&script).arg("installed").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    if !installed.is_ok_and(|status| status.success()) {
        return Err("the local recogniser is not installed; script/speech install does that".to_owned());
    }
    let api_key = SecretString::from(format!("local-{:032x}", rand::random::<u128>()));
    let mut child = Command::new(&script)
        .args(["serve", "--print-url"])
        .env("PLUMBLINE_SPEECH_KEY", api_key.expose_secret())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the local recogniser could not be started: {error}"))?;
    let stdout = child.stdout.take().ok_or("the local recogniser has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    match tokio::time::timeout(READY_WITHIN, lines.next_line()).await {
        Ok(Ok(Some(line))) => {
            let base_url = line.trim().parse().map_err(|_| "the local recogniser named no address".to_owned())?;
            Ok(LocalRecogniser { base_url, api_key, _child: child })
        }
        _ => Err("the local recogniser did not become ready".to_owned()),
    }
}

/// From the working directory, or from where the program was built.
fn script() -> Option<PathBuf> {
    [Path::new("."), Path::new(env!("CARGO_MANIFEST_DIR"))]
        .into_iter()
        .map(|root| root.join("script/speech"))
        .find(|script| script.is_file())
}
