//! The seal: a digest of every byte before it, in a Zstandard skippable frame that other programs pass over (RFC 8878, section 3.1.2). The
//! digests inside see every change of the content; the seal also sees changes that decompress to the same content.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream, stream::BoxStream};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;

use super::SourceFailed;
use crate::{foundation::digest::hexadecimal, platform::http::Measure};

/// Magic number of a skippable frame, and the length of what follows.
const FRAME: [u8; 8] = [0x5e, 0x2a, 0x4d, 0x18, 32, 0, 0, 0];
/// How long the seal is.
pub const SEAL_BYTES: usize = FRAME.len() + 32;

/// Passes bytes on; when it is shut down, the seal comes after them.
pub struct Sealing<W> {
    inner: W,
    hash: Sha256,
    size_bytes: u64,
    /// The seal, and how much of it is written.
    seal: Option<([u8; SEAL_BYTES], usize)>,
}

impl<W: AsyncWrite + Unpin> Sealing<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), size_bytes: 0, seal: None }
    }

    /// How many bytes have passed.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// What lies below, and what passed, the seal included.
    pub fn end(self) -> (W, Measure) {
        let measure = Measure { size_bytes: self.size_bytes, sha256: hexadecimal(&self.hash.finalize()) };
        (self.inner, measure)
    }
}

fn seal(hash: &Sha256) -> [u8; SEAL_BYTES] {
    let mut seal = [0; SEAL_BYTES];
    seal[..FRAME.len()].copy_from_slice(&FRAME);
    seal[FRAME.len()..].copy_from_slice(&hash.clone().finalize());
    seal
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Sealing<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        self.hash.update(&bytes[..written]);
        self.size_bytes += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (bytes, mut done) = self.seal.unwrap_or_else(|| (seal(&self.hash), 0));
        while done < SEAL_BYTES {
            self.seal = Some((bytes, done));
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &bytes[done..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.hash.update(&bytes[done..done + written]);
            self.size_bytes += written as u64;
            done += written;
        }
        self.seal = Some((bytes, done));
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Passes on what is before the seal, and ends in an error when the seal is not that of these bytes.
pub fn unsealed(
    source: BoxStream<'static, io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let start = Some((source, BytesMut::new(), Sha256::new()));
    stream::unfold(start, |state| async move {
        let (mut source, mut held, mut hash) = state?;
        loop {
            match source.next().await {
                Some(Ok(chunk)) => {
                    held.extend_from_slice(&chunk);
                    if held.len() > SEAL_BYTES {
                        let passed = held.split_to(held.len() - SEAL_BYTES).freeze();
                        hash.update(&passed);
                        return Some((Ok(passed), Some((source, held, hash))));
                    }
                }
                Some(Err(error)) => return Some((Err(io::Error::other(SourceFailed(error))), None)),
                None if held[..] == seal(&hash) => return None,
                None => return Some((Err(io::Error::other("the seal is broken")), None)),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn sealed(bytes: &[u8]) -> Vec<u8> {
        let mut writer = Sealing::new(Vec::new());
        writer.write_all(bytes).await.unwrap();
        writer.shutdown().await.unwrap();
        let (out, measure) = writer.end();
        assert_eq!(measure.size_bytes, out.len() as u64);
        assert_eq!(measure.sha256, crate::foundation::digest::of_bytes(&out));
        out
    }

    async fn opened(bytes: Vec<u8>, pieces: usize) -> io::Result<Vec<u8>> {
        let chunks: Vec<_> = bytes.chunks(pieces).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let passed: Vec<Bytes> = unsealed(stream::iter(chunks).boxed()).try_collect().await?;
        Ok(passed.concat())
    }

    #[tokio::test]
    async fn what_was_sealed_is_opened_and_every_change_is_seen() {
        let whole = sealed(b"what is said").await;
        assert_eq!(whole.len(), 12 + SEAL_BYTES);
        for pieces in [1, 7, 100] {
            assert_eq!(opened(whole.clone(), pieces).await.unwrap(), b"what is said");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(opened(changed, 100).await.is_err(), "{at}");
            assert!(opened(whole[..at].to_vec(), 100).await.is_err(), "cut at {at}");
        }
        assert!(opened([&whole[..], b"x"].concat(), 100).await.is_err());
        assert_eq!(opened(sealed(b"").await, 3).await.unwrap(), b"");
    }
}
