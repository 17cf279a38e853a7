//! Load over HTTP/1.1: connections that stay open, each with one request at a time. Bytes are compared with nothing here, and parsed only so far
//! as it takes to know where an answer ends: the load must be cheap, because it shares its core with PostgreSQL.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Outcome;

/// What a while of load has shown.
pub struct Measured {
    /// How many answers there were.
    pub answers: usize,
    /// Answers a second.
    pub per_second: f64,
    /// Half of the answers came faster, in milliseconds.
    pub p50_ms: f64,
    /// All but one in a hundred came faster, in milliseconds.
    pub p99_ms: f64,
}

/// Sends the same request again and again over `connections` connections for as `long`.
pub async fn load(port: u16, request: &str, connections: usize, long: Duration) -> Outcome<Measured> {
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::spawn(again_and_again(port, request.as_bytes().to_vec(), started + long)))
        .collect();
    let mut latencies = vec![];
    for task in tasks {
        latencies.extend(task.await??);
    }
    let took = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1_000.0)
    };
    Ok(Measured {
        answers: latencies.len(),
        per_second: latencies.len() as f64 / took,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}

/// One request on a connection of its own: the body.
pub async fn once(port: u16, request: &str) -> Outcome<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    stream.write_all(request.as_bytes()).await?;
    let (head, body) = answer(&mut stream, &mut buffer).await?;
    Ok(buffer[head..head + body].to_vec())
}

async fn again_and_again(port: u16, request: Vec<u8>, until: Instant) -> Outcome<Vec<Duration>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut latencies) = (Vec::with_capacity(64 * 1024), Vec::with_capacity(64 * 1024));
    while Instant::now() < until {
        let sent = Instant::now();
        buffer.clear();
        stream.write_all(&request).await?;
        answer(&mut stream, &mut buffer).await?;
        latencies.push(sent.elapsed());
    }
    Ok(latencies)
}

/// Reads one whole answer with status 200 and an announced length; the lengths of its head and of its body.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Outcome<(usize, usize)> {
    let head = loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server hung up".into());
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    if !text.starts_with("http/1.1 200 ") {
        return Err(format!("answered {}", String::from_utf8_lossy(buffer)).into());
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let body = length.ok_or("an answer without a length")?;
    while buffer.len() < head + body {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server hung up".into());
        }
    }
    Ok((head, body))
}
