//! Writes an archive, entry by entry, as it goes out.

use std::io;

use async_compression::{Level, tokio::write::ZstdEncoder, zstd::CParameter};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    FileError,
    format::{Entry, FORMAT, HEADER, Header, MANIFEST, Manifest, ObjectsSummary, RowsSummary, TableSummary},
    seal::Sealing,
};
use crate::{foundation::digest::hexadecimal, platform::http::Measure};

/// Rows that are kept in memory before they become an entry; one more row may come on top.
const PART_BYTES: usize = 4 * 1024 * 1024;
/// A tar's block.
pub(super) const BLOCK: usize = 512;

/// What is written next.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// The tenant's rows of `platform.jobs`.
    Jobs,
    /// A table.
    Table(&'a str),
}

/// An archive on its way out. What is not [`Writer::finish`]ed is none.
pub struct Writer<W> {
    out: ZstdEncoder<Sealing<W>>,
    entries: Vec<Entry>,
    tables: Vec<TableSummary>,
    jobs: Option<RowsSummary>,
    objects: ObjectsSummary,
}

impl<W: AsyncWrite + Unpin + Send> Writer<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub async fn begin(sink: W, header: &Header) -> Result<Self, FileError> {
        let checksum = [CParameter::checksum_flag(true)];
        let out = ZstdEncoder::with_quality_and_params(Sealing::new(sink), Level::Default, &checksum);
        let mut writer =
            Self { out, entries: Vec::new(), tables: Vec::new(), jobs: None, objects: ObjectsSummary::default() };
        let json = serde_json::to_vec_pretty(header).map_err(io::Error::other).map_err(FileError::Io)?;
        writer.whole(HEADER.to_owned(), &json).await?;
        Ok(writer)
    }

    /// How much has gone out.
    pub fn written_bytes(&self) -> u64 {
        self.out.get_ref().size_bytes()
    }

    /// Rows in PostgreSQL's text format, in parts that end with a row.
    ///
    /// # Errors
    /// What `rows` gives; [`FileError::Io`] otherwise.
    pub async fn rows<E: From<FileError>>(
        &mut self,
        what: Part<'_>,
        rows: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<RowsSummary, E> {
        let name = |n: usize| match what {
            Part::Jobs => format!("jobs/{n}.copy"),
            Part::Table(table) => format!("tables/{table}/{n}.copy"),
        };
        let mut rows = std::pin::pin!(rows);
        let (mut part, mut hash, mut n) = (Vec::new(), Sha256::new(), 0);
        let mut summary = RowsSummary { rows: 0, bytes: 0, sha256: String::new() };
        while let Some(row) = rows.next().await {
            let row = row?;
            hash.update(&row);
            summary.bytes += row.len() as u64;
            summary.rows += memchr::memchr_iter(b'\n', &row).count() as u64;
            part.extend_from_slice(&row);
            if part.len() >= PART_BYTES && row.ends_with(b"\n") {
                n += 1;
                self.whole(name(n), &part).await?;
                part.clear();
            }
        }
        if !part.is_empty() {
            self.whole(name(n + 1), &part).await?;
        }
        summary.sha256 = hexadecimal(&hash.finalize());
        match what {
            Part::Jobs => self.jobs = Some(summary.clone()),
            Part::Table(table) => self.tables.push(TableSummary::of(table, summary.clone())),
        }
        Ok(summary)
    }

    /// An object of `size_bytes`, by its key without the tenant's prefix.
    ///
    /// # Errors
    /// What `bytes` gives; [`FileError::Invalid`] when there are more or fewer; [`FileError::Io`] otherwise.
    pub async fn object<E: From<FileError>>(
        &mut self,
        key: &str,
        size_bytes: u64,
        bytes: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<String, E> {
        let path = format!("objects/{key}");
        self.put(&header_block(&path, size_bytes)?).await?;
        let mut bytes = std::pin::pin!(bytes);
        let (mut hash, mut left) = (Sha256::new(), size_bytes);
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            left = left
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| FileError::invalid("an object is longer than the object store says"))?;
            hash.update(&chunk);
            self.put(&chunk).await?;
        }
        if left > 0 {
            return Err(FileError::invalid("an object is shorter than the object store says").into());
        }
        self.pad(size_bytes).await?;
        let sha256 = hexadecimal(&hash.finalize());
        self.entries.push(Entry { path, bytes: size_bytes, sha256: sha256.clone() });
        self.objects.count += 1;
        self.objects.bytes += size_bytes;
        Ok(sha256)
    }

    /// The manifest, the end and the seal; everything has arrived below when it returns. Gives the manifest and the whole file's measure.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub async fn finish(mut self, missing_objects: Vec<String>) -> Result<(W, Manifest, Measure), FileError> {
        let none = || RowsSummary { rows: 0, bytes: 0, sha256: hexadecimal(&Sha256::digest(b"")) };
        let mut manifest = Manifest {
            format: FORMAT,
            entries: std::mem::take(&mut self.entries),
            tables: std::mem::take(&mut self.tables),
            jobs: self.jobs.take().unwrap_or_else(none),
            objects: self.objects,
            missing_objects,
            digest: String::new(),
        };
        manifest.digest = manifest.own_digest();
        let json = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other).map_err(FileError::Io)?;
        self.whole(MANIFEST.to_owned(), &json).await?;
        self.put(&[0; 2 * BLOCK]).await?; // where a tar ends
        self.out.shutdown().await.map_err(FileError::Io)?;
        let (sink, measure) = self.out.into_inner().end();
        Ok((sink, manifest, measure))
    }

    /// What lies below, to be taken back.
    pub fn abandon(self) -> W {
        self.out.into_inner().end().0
    }

    async fn whole(&mut self, path: String, bytes: &[u8]) -> Result<(), FileError> {
        self.put(&header_block(&path, bytes.len() as u64)?).await?;
        self.put(bytes).await?;
        self.pad(bytes.len() as u64).await?;
        self.entries.push(Entry { path, bytes: bytes.len() as u64, sha256: hexadecimal(&Sha256::digest(bytes)) });
        Ok(())
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.out.write_all(bytes).await.map_err(FileError::Io)
    }

    async fn pad(&mut self, size: u64) -> Result<(), FileError> {
        self.put(&[0; BLOCK][..padding(size)]).await
    }
}

/// Zeros after an entry.
pub(super) fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// The head of an entry: a plain file that its owner reads. There is one for each name and size, and the reader takes no other.
pub(super) fn header_block(path: &str, size: u64) -> Result<[u8; BLOCK], FileError> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).map_err(|_| FileError::invalid(format!("{path} is no name for an entry")))?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(*header.as_bytes())
}
