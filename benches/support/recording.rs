//! Recordings to be uploaded.

use std::{fs::File, io::Write, path::Path, time::Instant};

use tokio_util::io::ReaderStream;

use super::{House, Outcome};

/// Uploads a file; how many seconds it took until the answer was there.
pub async fn upload(client: &reqwest::Client, address: &str, house: &House, token: &str, path: &Path) -> Outcome<f64> {
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, 512 * 1024));
    let started = Instant::now();
    let answer = client
        .post(format!("http://{}/api/calls?organization_id={}", address, house.organization))
        .bearer_auth(token)
        .header("content-type", "application/octet-stream")
        .header("content-length", length)
        .body(body)
        .send()
        .await?;
    let took = started.elapsed().as_secs_f64();
    let status = answer.status();
    if status != 202 {
        return Err(format!("the upload was answered by {status}: {}", answer.text().await?).into());
    }
    Ok(took)
}

/// A valid recording of noise: 16-bit mono WAV. It lies on the disk when this returns.
pub fn record(path: &Path, megabytes: u32, seed: u64) -> Outcome<()> {
    let data = megabytes * 1_000_000;
    let mut file = File::create(path)?;
    let mut header = b"RIFF".to_vec();
    header.extend((36 + data).to_le_bytes());
    header.extend(b"WAVEfmt ");
    for (value, bytes) in [(16_u32, 4), (1, 2), (1, 2), (16_000, 4), (32_000, 4), (2, 2), (16, 2)] {
        header.extend(&value.to_le_bytes()[..bytes]);
    }
    header.extend(b"data");
    header.extend(data.to_le_bytes());
    file.write_all(&header)?;
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1);
    let mut block = vec![0_u8; 1_000_000];
    for _ in 0..megabytes {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(())
}
