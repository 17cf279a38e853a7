//! The channels of a WAV, each as a WAV of its own, streamed: for recognisers that hear one voice at a time.

use std::{io, sync::Arc};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;

use super::{AudioContent, AudioSource, AudioStream};

/// Where the samples begin at the latest; what stands before them is notes.
const LONGEST_HEAD_BYTES: usize = 256 * 1024;
const EXTENSIBLE: u16 = 0xfffe;
const NEW_HEAD_BYTES: u32 = 44;

/// How the samples of a WAV lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// 1 for whole numbers, 3 for floats, 6 and 7 for the telephone's logarithms.
    format: u16,
    pub channels: u16,
    rate: u32,
    sample_bytes: u16,
    /// Where the samples begin.
    data_at: u64,
    data_bytes: u64,
}

/// The layout of a recording; none when it is no WAV whose samples lie beside each other.
///
/// # Errors
/// When the recording cannot be read.
pub(super) async fn layout(audio: &AudioSource) -> io::Result<Option<Layout>> {
    let mut stream = audio.content.open().await?;
    let mut head = BytesMut::new();
    while let Some(piece) = stream.next().await {
        head.extend_from_slice(&piece?);
        match read(&head, audio.length_bytes) {
            Read::More if head.len() < LONGEST_HEAD_BYTES => {}
            Read::More | Read::No => return Ok(None),
            Read::Yes(layout) => return Ok(Some(layout)),
        }
    }
    Ok(None)
}

#[derive(Debug, PartialEq)]
enum Read {
    More,
    No,
    Yes(Layout),
}

fn read(head: &[u8], length_bytes: u64) -> Read {
    if head.len() < 12 {
        return Read::More;
    }
    if &head[..4] != b"RIFF" || &head[8..12] != b"WAVE" {
        return Read::No;
    }
    let (mut at, mut format) = (12_usize, None);
    loop {
        let Some(chunk) = head.get(at..at + 8) else { return Read::More };
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        let body = at + 8;
        match &chunk[..4] {
            b"data" => {
                let Some((format, channels, rate, sample_bytes)) = format else { return Read::No };
                let data_at = body as u64;
                // A recording whose length was never written says so by 0 or the largest number.
                let there = length_bytes.saturating_sub(data_at);
                let data_bytes = if size == 0 { there } else { u64::from(size).min(there) };
                return Read::Yes(Layout { format, channels, rate, sample_bytes, data_at, data_bytes });
            }
            b"fmt " => {
                let Some(body) = head.get(body..body + size as usize) else { return Read::More };
                format = format_of(body);
                if format.is_none() {
                    return Read::No;
                }
            }
            _ => {}
        }
        let Some(next) = body.checked_add(size as usize + size as usize % 2) else { return Read::No };
        at = next;
    }
}

/// Format, channels, rate and bytes of a sample, where they fit each other.
fn format_of(body: &[u8]) -> Option<(u16, u16, u32, u16)> {
    let number = |at: usize| Some(u16::from_le_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let format = match number(0)? {
        EXTENSIBLE => number(24)?,
        format => format,
    };
    let (channels, frame_bytes, bits) = (number(2)?, number(12)?, number(14)?);
    let rate = u32::from(number(4)?) | u32::from(number(6)?) << 16;
    let sample_bytes = bits / 8;
    let fits = matches!(format, 1 | 3 | 6 | 7)
        && channels > 0
        && sample_bytes > 0
        && bits % 8 == 0
        && rate > 0
        && frame_bytes == channels.checked_mul(sample_bytes)?;
    fits.then_some((format, channels, rate, sample_bytes))
}

/// One channel, from 1, of a recording that can be opened again. Its samples are picked while they stream by.
pub(super) fn channel(audio: &Arc<AudioSource>, layout: Layout, channel: u16) -> AudioSource {
    let frames = layout.data_bytes / u64::from(layout.channels * layout.sample_bytes);
    let data_bytes = frames * u64::from(layout.sample_bytes);
    let from = audio.clone();
    let content = AudioContent::reopening(move || {
        let from = from.clone();
        async move { Ok(pick(from.content.open().await?, layout, channel, data_bytes)) }
    });
    AudioSource {
        length_bytes: u64::from(NEW_HEAD_BYTES) + data_bytes,
        content_type: "audio/wav".into(),
        file_name: "channel.wav".into(),
        channels: Some(1),
        content,
    }
}

fn pick(stream: AudioStream, layout: Layout, channel: u16, data_bytes: u64) -> AudioStream {
    let head = futures_util::stream::iter([Ok(head(layout, data_bytes))]);
    let (sample, frame) = (usize::from(layout.sample_bytes), usize::from(layout.channels * layout.sample_bytes));
    let offset = sample * usize::from(channel - 1);
    let whole = data_bytes * u64::from(layout.channels);
    // Bytes before the samples that are still to come, bytes of samples that are, and the beginning of a frame.
    let state = (layout.data_at, whole, BytesMut::new());
    let samples = stream.scan(state, move |(before, left, rest), piece| {
        let picked = piece.map(|mut piece: Bytes| {
            let skipped = usize::try_from(*before).unwrap_or(usize::MAX).min(piece.len());
            piece.advance(skipped);
            *before -= skipped as u64;
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
            rest.extend_from_slice(&piece);
            let frames = rest.split_to(rest.len() / frame * frame);
            frames.chunks_exact(frame).flat_map(|frame| &frame[offset..offset + sample]).copied().collect::<Bytes>()
        });
        std::future::ready(Some(picked))
    });
    head.chain(samples.filter(|piece| std::future::ready(!matches!(piece, Ok(piece) if piece.is_empty())))).boxed()
}

/// The head of a WAV with one channel.
fn head(layout: Layout, data_bytes: u64) -> Bytes {
    // What is longer than a WAV can say is left to the reader's end of file.
    let data = u32::try_from(data_bytes).unwrap_or(u32::MAX - NEW_HEAD_BYTES);
    let mut head = Vec::with_capacity(NEW_HEAD_BYTES as usize);
    head.extend_from_slice(b"RIFF");
    head.extend_from_slice(&(data + NEW_HEAD_BYTES - 8).to_le_bytes());
    head.extend_from_slice(b"WAVEfmt \x10\0\0\0");
    head.extend_from_slice(&layout.format.to_le_bytes());
    head.extend_from_slice(&1_u16.to_le_bytes());
    head.extend_from_slice(&layout.rate.to_le_bytes());
    head.extend_from_slice(&layout.rate.saturating_mul(u32::from(layout.sample_bytes)).to_le_bytes());
    head.extend_from_slice(&layout.sample_bytes.to_le_bytes());
    head.extend_from_slice(&(layout.sample_bytes * 8).to_le_bytes());
    head.extend_from_slice(b"data");
    head.extend_from_slice(&data.to_le_bytes());
    head.into()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use proptest::prelude::*;

    use super::*;

    /// Two channels of 16 bits at 8 kHz, with notes before the samples and after them.
    fn stereo(left: &[u16], right: &[u16]) -> Vec<u8> {
        let mut wav =
            b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data"
                .to_vec();
        wav.extend_from_slice(&u32::try_from(left.len() * 4).unwrap().to_le_bytes());
        for (left, right) in left.iter().zip(right) {
            wav.extend_from_slice(&left.to_le_bytes());
            wav.extend_from_slice(&right.to_le_bytes());
        }
        wav.extend_from_slice(b"LIST\x02\0\0\0zz");
        wav
    }

    fn source(bytes: Vec<u8>, piece: usize) -> Arc<AudioSource> {
        let length_bytes = bytes.len() as u64;
        let content = AudioContent::reopening(move || {
            let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            async move { Ok(futures_util::stream::iter(pieces).boxed()) }
        });
        let (content_type, file_name) = ("audio/wav".into(), "call.wav".into());
        Arc::new(AudioSource { length_bytes, content_type, file_name, channels: Some(2), content })
    }

    async fn bytes(audio: &AudioSource) -> Vec<u8> {
        let pieces: Vec<Bytes> = audio.content.open().await.unwrap().try_collect().await.unwrap();
        pieces.concat()
    }

    /// The samples of one channel, by the head that was written for it.
    fn samples(wav: &[u8]) -> Vec<u16> {
        let Read::Yes(layout) = read(wav, wav.len() as u64) else { panic!("no WAV") };
        assert_eq!((layout.channels, layout.rate, layout.sample_bytes, layout.data_at), (1, 8_000, 2, 44));
        assert_eq!(layout.data_bytes, wav.len() as u64 - 44);
        wav[44..].chunks_exact(2).map(|sample| u16::from_le_bytes([sample[0], sample[1]])).collect()
    }

    #[tokio::test]
    async fn each_channel_has_its_own_samples_however_they_stream() {
        let (left, right) = ([1, 2, 3, 0xffff], [11, 12, 13, 14]);
        for piece in [1, 3, 7, 4_096] {
            let audio = source(stereo(&left, &right), piece);
            let layout = layout(&audio).await.unwrap().unwrap();
            for (n, expected) in [(1, left), (2, right)] {
                let channel = channel(&audio, layout, n);
                let wav = bytes(&channel).await;
                assert_eq!(wav.len() as u64, channel.length_bytes);
                assert_eq!(samples(&wav), expected, "channel {n} in pieces of {piece}");
                assert_eq!(bytes(&channel).await, wav, "it opens again");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_plain_wav_has_no_layout() {
        let mut compressed = stereo(&[1], &[2]);
        compressed[32] = 2; // ADPCM
        for bytes in [b"fLaC".to_vec(), vec![0; 64], compressed, b"RIFF\0\0\0\0WAVE".to_vec(), vec![]] {
            assert_eq!(layout(&source(bytes, 8)).await.unwrap(), None);
        }
    }

    proptest! {
        #[test]
        fn no_head_panics(tail in prop::collection::vec(any::<u8>(), 0..80), length in 0u64..1_000) {
            let _ = read(&[b"RIFF\0\0\0\0WAVE".as_slice(), &tail].concat(), length);
            let _ = read(&[b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".as_slice(), &tail].concat(), length);
        }
    }
}
