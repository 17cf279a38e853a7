//! What a recording is, told from its bytes and never from its name.

/// Bytes that [`inspect`] wants from each end of a recording.
pub const HEAD_BYTES: usize = 64 * 1024;

/// The end of a recording that [`inspect`] wants.
pub const TAIL_BYTES: usize = 64 * 1024;

/// What the bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Media type.
    pub content_type: &'static str,
    /// File name ending, without a dot.
    pub extension: &'static str,
    /// How many channels, when the header tells.
    pub channels: Option<i16>,
    /// How long it plays, when the header tells.
    pub duration_ms: Option<i64>,
}

/// Why a recording is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudioFault {
    /// The bytes are no audio that Plumbline takes.
    #[error("these bytes are not WAV, FLAC, MP3, Ogg, MP4/M4A or WebM audio")]
    NotAudio,
    /// The recording ends before its own header says.
    #[error("the recording ends before its own header says: the upload was cut short")]
    Truncated,
}

/// Tells a recording's format from its first and last bytes and its length.
///
/// WAV and Ogg name their own end, and are refused when it is missing; other formats are checked by the recogniser.
///
/// # Errors
/// [`AudioFault`].
pub fn inspect(head: &[u8], tail: &[u8], length_bytes: u64) -> Result<AudioFormat, AudioFault> {
    if head.starts_with(b"RIFF") {
        return wav(head, length_bytes);
    }
    if head.starts_with(b"fLaC") {
        return flac(head);
    }
    if head.starts_with(b"OggS") {
        return ogg(head, tail);
    }
    let plain = |content_type, extension| AudioFormat { content_type, extension, channels: None, duration_ms: None };
    match infer::get(head).map(|kind| kind.mime_type()) {
        Some("audio/mpeg") => Ok(plain("audio/mpeg", "mp3")),
        Some("audio/m4a" | "video/mp4" | "audio/mp4") => Ok(plain("audio/mp4", "m4a")),
        Some("video/webm" | "audio/webm") => Ok(plain("audio/webm", "webm")),
        _ => Err(AudioFault::NotAudio),
    }
}

/// RIFF: <https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html>. A size of 0 or of all ones is a recorder that did not know.
fn wav(head: &[u8], length_bytes: u64) -> Result<AudioFormat, AudioFault> {
    if head.get(8..12) != Some(b"WAVE") {
        return Err(if head.len() < 12 { AudioFault::Truncated } else { AudioFault::NotAudio });
    }
    let (mut at, mut channels, mut bytes_per_second) = (12_usize, None, 0_u64);
    while let (Some(name), Some(size)) = (head.get(at..at + 4), number(head, at + 4)) {
        let body = at + 8;
        match name {
            b"fmt " => {
                channels = head.get(body + 2..body + 4).map(|b| i16::from_le_bytes([b[0], b[1]]));
                bytes_per_second = number(head, body + 8).unwrap_or(0);
            }
            b"data" => {
                let there = length_bytes.saturating_sub(body as u64);
                let named = if size == 0 || size == u64::from(u32::MAX) { there } else { size };
                if named > there || channels.is_none() || bytes_per_second == 0 {
                    return Err(if named > there { AudioFault::Truncated } else { AudioFault::NotAudio });
                }
                let duration_ms = i64::try_from(named.saturating_mul(1_000) / bytes_per_second).ok();
                let channels = channels.filter(|count| *count > 0);
                return Ok(AudioFormat { content_type: "audio/wav", extension: "wav", channels, duration_ms });
            }
            _ => {}
        }
        let Some(next) = usize::try_from(size + size % 2).ok().and_then(|size| body.checked_add(size)) else { break };
        at = next;
    }
    Err(AudioFault::Truncated)
}

/// RFC 9639, section 8.2: STREAMINFO is the first block.
fn flac(head: &[u8]) -> Result<AudioFormat, AudioFault> {
    let info = head.get(8..42).ok_or(AudioFault::Truncated)?;
    if head[4] & 0x7f != 0 {
        return Err(AudioFault::NotAudio);
    }
    let bits = u64::from_be_bytes(info[10..18].try_into().map_err(|_| AudioFault::Truncated)?);
    let (rate, channels, samples) = (bits >> 44, ((bits >> 41) & 0x7) + 1, bits & 0xf_ffff_ffff);
    if rate == 0 {
        return Err(AudioFault::NotAudio);
    }
    let duration_ms = (samples > 0).then(|| i64::try_from(samples * 1_000 / rate).ok()).flatten();
    Ok(AudioFormat {
        content_type: "audio/flac",
        extension: "flac",
        channels: i16::try_from(channels).ok(),
        duration_ms,
    })
}

/// RFC 3533: the last page carries the end-of-stream flag; RFC 7845 and Vorbis name the channels in the first packet.
fn ogg(head: &[u8], tail: &[u8]) -> Result<AudioFormat, AudioFault> {
    let first = head.get(28..).ok_or(AudioFault::Truncated)?;
    let channels = if first.starts_with(b"OpusHead") {
        first.get(9).copied()
    } else if first.starts_with(b"\x01vorbis") {
        first.get(11).copied()
    } else if first.starts_with(b"Speex   ") || first.starts_with(b"\x7fFLAC") {
        None
    } else {
        return Err(AudioFault::NotAudio);
    };
    let last = memchr::memmem::rfind(tail, b"OggS").ok_or(AudioFault::Truncated)?;
    match tail.get(last + 5) {
        Some(flags) if flags & 0x04 != 0 => Ok(AudioFormat {
            content_type: "audio/ogg",
            extension: "ogg",
            channels: channels.map(i16::from),
            duration_ms: None,
        }),
        _ => Err(AudioFault::Truncated),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u64::from(u32::from_le_bytes([four[0], four[1], four[2], four[3]])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tone(channels: u16, samples: u32) -> Vec<u8> {
        let data = samples * u32::from(channels) * 2;
        let mut wav = b"RIFF".to_vec();
        wav.extend((36 + data).to_le_bytes());
        wav.extend(b"WAVEfmt ");
        wav.extend(16_u32.to_le_bytes());
        wav.extend(1_u16.to_le_bytes());
        wav.extend(channels.to_le_bytes());
        wav.extend(8_000_u32.to_le_bytes());
        wav.extend((16_000 * u32::from(channels)).to_le_bytes());
        wav.extend((2 * channels).to_le_bytes());
        wav.extend(16_u16.to_le_bytes());
        wav.extend(b"data");
        wav.extend(data.to_le_bytes());
        wav.resize(wav.len() + data as usize, 0);
        wav
    }

    #[test]
    fn a_wav_tells_channels_and_length() {
        let wav = tone(2, 4_000);
        let format = inspect(&wav, &wav, wav.len() as u64).unwrap();
        assert_eq!((format.content_type, format.channels, format.duration_ms), ("audio/wav", Some(2), Some(500)));
    }

    #[test]
    fn a_wav_cut_anywhere_is_truncated() {
        let wav = tone(1, 100);
        for length in 4..wav.len() {
            let cut = &wav[..length];
            assert_eq!(inspect(cut, cut, length as u64), Err(AudioFault::Truncated), "{length}");
        }
    }

    #[test]
    fn other_files_are_not_audio() {
        for other in [&b"<html>"[..], b"%PDF-1.7", b"", b"RIFF....AVI LIST", b"MZ\x90\0\x03", b"{\"a\":1}"] {
            assert_eq!(inspect(other, other, other.len() as u64), Err(AudioFault::NotAudio), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(magic in 0..5_usize, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = [&b""[..], b"RIFF", b"fLaC", b"OggS", b"ID3"][magic].to_vec();
            bytes.extend(rest);
            let _ = inspect(&bytes, &bytes, bytes.len() as u64);
        }
    }
}
