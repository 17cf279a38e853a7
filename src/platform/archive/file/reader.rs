//! Reads an archive, entry by entry, and believes nothing: names, order, sizes and digests are held against each other, and in the end
//! against the manifest and the seal.

use std::{collections::HashSet, io};

use async_compression::{tokio::bufread::ZstdDecoder, zstd::DParameter};
use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::{
    FileError,
    format::{Entry, HEADER, Header, Manifest, Name, ObjectsSummary, RowsSummary, TableSummary},
    seal::unsealed,
    writer::{BLOCK, header_block, padding},
};
use crate::foundation::digest::hexadecimal;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Entries that are remembered until the manifest has told them: some 300 bytes of memory each.
const MOST_ENTRIES: usize = 5_000_000;
/// The longest header.
const LONGEST_HEADER: u64 = 1024 * 1024;
/// Memory that decompressing may take, as a power of two: writers at the usual level need 2 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// What an archive may grow to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all entries together.
    pub unpacked_bytes: u64,
    /// The schema that this version knows.
    pub newest_schema: i32,
}

impl Limits {
    /// For a file of this size: rows compress by ten or twenty, a bomb by thousands.
    pub fn for_file(size_bytes: u64, newest_schema: i32) -> Self {
        Self { unpacked_bytes: size_bytes.saturating_mul(256).saturating_add(64 * 1024 * 1024), newest_schema }
    }
}

/// What the entry at hand is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The tenant's rows of `platform.jobs`.
    Jobs,
    /// A table, by its place in the header.
    Table(usize),
    /// An object, by its key without the tenant's prefix.
    Object(String),
}

type Source = ZstdDecoder<StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>>;

/// An archive that is being read.
pub struct Reader {
    source: Source,
    limits: Limits,
    header: Header,
    unpacked_bytes: u64,
    at: Option<At>,
    entries: Vec<Entry>,
    objects: HashSet<String>,
    object_bytes: u64,
    jobs: Rows,
    tables: Vec<Rows>,
    manifest: Option<Manifest>,
}

/// The entry at hand.
struct At {
    path: String,
    part: Part,
    size: u64,
    left: u64,
    hash: Sha256,
    last: u8,
}

/// Rows that were read so far.
#[derive(Clone, Default)]
struct Rows {
    parts: u32,
    rows: u64,
    bytes: u64,
    hash: Sha256,
}

impl Rows {
    fn summary(&self) -> RowsSummary {
        RowsSummary { rows: self.rows, bytes: self.bytes, sha256: hexadecimal(&self.hash.clone().finalize()) }
    }
}

impl Reader {
    /// Reads the header.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn open(bytes: BoxStream<'static, io::Result<Bytes>>, limits: Limits) -> Result<Self, FileError> {
        let bytes: BoxStream<'static, io::Result<Bytes>> = Box::pin(unsealed(bytes));
        let window = [DParameter::window_log_max(WINDOW_LOG_MAX)];
        let mut source = ZstdDecoder::with_params(StreamReader::new(bytes), &window);
        let (path, size) = entry(&mut source).await?.ok_or_else(|| FileError::invalid("the archive is empty"))?;
        if path != HEADER || size > LONGEST_HEADER {
            return Err(FileError::invalid("the archive does not begin with its header"));
        }
        let json = whole(&mut source, size).await?;
        let header = Header::read(&json, limits.newest_schema)?;
        let mut names = HashSet::new();
        if !header.tables.iter().all(|table| names.insert(&table.name)) {
            return Err(FileError::invalid("the header names a table twice"));
        }
        let entries = vec![Entry { path, bytes: size, sha256: hexadecimal(&Sha256::digest(&json)) }];
        let tables = vec![Rows::default(); header.tables.len()];
        Ok(Self {
            source,
            limits,
            header,
            unpacked_bytes: size,
            at: None,
            entries,
            objects: HashSet::new(),
            object_bytes: 0,
            jobs: Rows::default(),
            tables,
            manifest: None,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The manifest, once everything was read and found to be as it says.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Bytes of the entries that were read.
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked_bytes
    }

    /// The next entry; what is left of the one at hand is read and checked. `None` when all is read and everything is as the manifest says.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn next(&mut self) -> Result<Option<Part>, FileError> {
        while self.at.is_some() {
            self.chunk().await?;
        }
        if self.manifest.is_some() {
            return Ok(None);
        }
        let Some((path, size)) = entry(&mut self.source).await? else {
            return Err(FileError::invalid("the archive has no manifest"));
        };
        let Some(part) = self.place(&path)? else {
            self.end(size).await?;
            return Ok(None);
        };
        // Heads count too, and each entry is remembered until the end.
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(size).saturating_add(2 * BLOCK as u64);
        if self.entries.len() >= MOST_ENTRIES {
            return Err(FileError::invalid("the archive has more entries than this version takes"));
        }
        if size == 0 && matches!(part, Part::Object(_)) {
            return Err(FileError::invalid(format!("{path} is empty")));
        }
        if self.unpacked_bytes > self.limits.unpacked_bytes {
            return Err(FileError::invalid("the archive unpacks to far more than an archive of its size does"));
        }
        self.at = Some(At { path, part: part.clone(), size, left: size, hash: Sha256::new(), last: b'\n' });
        Ok(Some(part))
    }

    /// The next bytes of the entry at hand; `None` at its end.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FileError> {
        let Some(at) = &mut self.at else { return Ok(None) };
        if at.left == 0 {
            zeros(&mut self.source, padding(at.size)).await?;
            self.close()?;
            return Ok(None);
        }
        let want = usize::try_from(at.left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let mut chunk = BytesMut::with_capacity(want);
        let mut limited = (&mut self.source).take(want as u64);
        if limited.read_buf(&mut chunk).await.map_err(FileError::of_reading)? == 0 {
            return Err(FileError::invalid("the archive ends in the middle of an entry"));
        }
        at.left -= chunk.len() as u64;
        at.hash.update(&chunk);
        at.last = chunk.last().copied().unwrap_or(at.last);
        let rows = match &at.part {
            Part::Jobs => Some(&mut self.jobs),
            Part::Table(n) => self.tables.get_mut(*n),
            Part::Object(_) => None,
        };
        if let Some(rows) = rows {
            rows.rows += memchr::memchr_iter(b'\n', &chunk).count() as u64;
            rows.bytes += chunk.len() as u64;
            rows.hash.update(&chunk);
        }
        Ok(Some(chunk.freeze()))
    }

    /// Where an entry of this name stands: the jobs, then the tables in the header's order, then objects. `None` is the manifest.
    fn place(&mut self, path: &str) -> Result<Option<Part>, FileError> {
        let misplaced = || FileError::invalid(format!("the entry {path:?} is not expected here"));
        let tables_begun = self.tables.iter().rposition(|table| table.parts > 0);
        match Name::read(path).ok_or_else(misplaced)? {
            Name::Manifest => Ok(None),
            Name::Jobs(n) if tables_begun.is_none() && self.objects.is_empty() && n == self.jobs.parts + 1 => {
                self.jobs.parts = n;
                Ok(Some(Part::Jobs))
            }
            Name::Table(name, n) if self.objects.is_empty() => {
                let at = self.header.tables.iter().position(|table| table.name == name).ok_or_else(misplaced)?;
                if tables_begun.is_some_and(|begun| begun > at) || n != self.tables[at].parts + 1 {
                    return Err(misplaced());
                }
                self.tables[at].parts = n;
                Ok(Some(Part::Table(at)))
            }
            Name::Object(key) => {
                if !self.objects.insert(key.to_owned()) {
                    return Err(FileError::invalid(format!("the object {key:?} is there twice")));
                }
                Ok(Some(Part::Object(key.to_owned())))
            }
            _ => Err(misplaced()),
        }
    }

    fn close(&mut self) -> Result<(), FileError> {
        let Some(at) = self.at.take() else { return Ok(()) };
        if matches!(at.part, Part::Object(_)) {
            self.object_bytes += at.size;
        } else if at.last != b'\n' || at.size == 0 {
            return Err(FileError::invalid(format!("{} does not end with a row", at.path)));
        }
        self.entries.push(Entry { path: at.path, bytes: at.size, sha256: hexadecimal(&at.hash.finalize()) });
        Ok(())
    }

    /// The manifest, the end of the archive, and whether all is as they say.
    async fn end(&mut self, size: u64) -> Result<(), FileError> {
        let most = 64 * 1024 + 512 * (self.entries.len() + self.tables.len()) as u64 + 256 * self.objects.len() as u64;
        if size > most {
            return Err(FileError::invalid("the manifest is longer than what it can tell"));
        }
        let json = whole(&mut self.source, size).await?;
        let manifest = Manifest::read(&json)?;
        zeros(&mut self.source, 2 * BLOCK).await?;
        let mut rest = [0; 1];
        if self.source.read(&mut rest).await.map_err(FileError::of_reading)? != 0 {
            return Err(FileError::invalid("something comes after the end of the archive"));
        }
        if !self.source.get_mut().fill_buf().await.map_err(FileError::of_reading)?.is_empty() {
            return Err(FileError::invalid("something comes between the archive and its seal"));
        }
        self.compare(&manifest)?;
        self.manifest = Some(manifest);
        Ok(())
    }

    fn compare(&self, manifest: &Manifest) -> Result<(), FileError> {
        let tables = self.header.tables.iter().zip(&self.tables);
        let tables: Vec<_> = tables.map(|(table, rows)| TableSummary::of(&table.name, rows.summary())).collect();
        let objects = ObjectsSummary { count: self.objects.len() as u64, bytes: self.object_bytes };
        let differs = if manifest.format != self.header.format {
            "format"
        } else if manifest.entries != self.entries {
            "entries"
        } else if manifest.tables != tables {
            "tables"
        } else if manifest.jobs != self.jobs.summary() {
            "jobs"
        } else if manifest.objects != objects {
            "objects"
        } else if manifest.missing_objects.iter().any(|key| self.objects.contains(key)) {
            "missing objects"
        } else {
            return Ok(());
        };
        Err(FileError::Invalid(format!("the manifest is wrong about the archive's {differs}")))
    }
}

/// The head of the next entry: its name and size; `None` where the tar ends. Only what the writer writes is taken: plain files, one
/// spelling of each head.
async fn entry(source: &mut Source) -> Result<Option<(String, u64)>, FileError> {
    let mut block = [0; BLOCK];
    source.read_exact(&mut block).await.map_err(FileError::of_reading)?;
    if block == [0; BLOCK] {
        return Ok(None);
    }
    let damaged = || FileError::invalid("the head of an entry is damaged, or of another kind than archives have");
    let header = tar::Header::from_byte_slice(&block);
    let path = header.path().ok().and_then(|path| path.to_str().map(str::to_owned)).ok_or_else(damaged)?;
    let size = header.entry_size().map_err(|_| damaged())?;
    if header_block(&path, size).map_err(|_| damaged())? != block {
        return Err(damaged());
    }
    Ok(Some((path, size)))
}

async fn whole(source: &mut Source, size: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    source.take(size).read_to_end(&mut bytes).await.map_err(FileError::of_reading)?;
    if bytes.len() as u64 != size {
        return Err(FileError::invalid("the archive ends in the middle of an entry"));
    }
    zeros(source, padding(size)).await?;
    Ok(bytes)
}

async fn zeros(source: &mut Source, count: usize) -> Result<(), FileError> {
    let mut bytes = [1; 2 * BLOCK];
    let bytes = &mut bytes[..count];
    source.read_exact(bytes).await.map_err(FileError::of_reading)?;
    if bytes.iter().any(|byte| *byte != 0) {
        return Err(FileError::invalid("something stands where nothing should"));
    }
    Ok(())
}
