//! Speech becomes a transcript.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, TryFutureExt};
use object_store::{ObjectStoreExt, path::Path};
use secrecy::ExposeSecret;

use super::{Means, TranscribeCall, bury, enqueue, grant, show_failure, waits_for, webhook};
use crate::{
    foundation::{access::Grant, ids::CallId},
    platform::{
        db::{DbError, TenantTx},
        jobs::{self, Handler, Job, JobError, Lease},
        providers::{
            PermanentKind, ProviderError,
            speech::{AudioContent, AudioSource, SpeechOptions, SpeechToText, Submission, Transcript, Voice, Webhook},
        },
        tenancy::quotas,
    },
    product::calls::{
        metrics::{ConversationMetrics, measure},
        model::{AudioFile, Call, Speaker, Stage, Utterance},
        redaction::{Company, Entity, redact},
        sentiment::{self, Sentence, SpeakerSentiment},
        store::{self, RunningTranscription, Transcription},
        written,
    },
};

/// Work at a recogniser that runs longer is given up.
const LONGEST_HOURS: i64 = 12;

/// A transcript shorter than this share of the recording has lost a part of it.
const WHOLE_PERCENT: i64 = 90;
const WHOLE_SLACK_MS: i64 = 2_000;

pub(super) struct Transcribe(pub(super) Arc<Means>);

#[async_trait::async_trait]
impl Handler for Transcribe {
    fn kind(&self) -> &'static str {
        TranscribeCall::KIND
    }

    async fn run(&self, lease: &Lease) -> Result<(), JobError> {
        let call_id = lease.job::<TranscribeCall>()?.call_id;
        let grant = grant(lease);
        let Some(work) = self.load(&grant, lease, call_id).await? else { return Ok(()) };
        let speech = self.0.speech.clone().ok_or_else(|| JobError::Permanent {
            kind: "no_recogniser",
            reason: "no speech recogniser is configured; configure one and retry the call".to_owned(),
        })?;
        let now = self.0.clock.now();
        let running = work.running.as_ref().and_then(|running| {
            let reference = running.reference.as_ref().filter(|_| running.provider == speech.name())?;
            Some((reference, running.submitted_at))
        });
        let webhook = self.0.public_url.as_ref().map(|public| webhook::of(public, lease, call_id));
        let submission = match running {
            Some((reference, since)) if now - since < TimeDelta::hours(LONGEST_HOURS) => {
                match speech.fetch(reference).await {
                    Ok(submission) => submission,
                    Err(error) => {
                        if ends_the_work(&error) {
                            self.note(&grant, &work, speech.name(), None).await?;
                        }
                        return Err(error.into());
                    }
                }
            }
            Some(_) => Submission::Abandoned { reason: "the recogniser took too long".to_owned() },
            None => speech.submit(self.audio(&work), &self.options(&work, webhook.clone())).await?,
        };
        match submission {
            Submission::Done(transcript) => self.record(&grant, lease, &work, speech.as_ref(), transcript).await,
            Submission::Waiting { reference } => {
                if running.is_none() {
                    self.note(&grant, &work, speech.name(), Some((reference, webhook))).await?;
                }
                Err(JobError::NotYet { reason: "the recogniser works", after: self.pause(running, now) })
            }
            Submission::Abandoned { reason } => {
                self.note(&grant, &work, speech.name(), None).await?;
                Err(JobError::Temporary { reason, retry_after: None })
            }
        }
    }

    async fn gave_up(&self, lease: &Lease, error: &JobError) -> Result<(), DbError> {
        let Ok(job) = lease.job::<TranscribeCall>() else { return bury(&self.0, lease, error).await };
        show_failure(&self.0, lease, job.call_id, Stage::Transcribe, error).await
    }
}

/// What one attempt needs to know.
struct Work {
    call: Call,
    file: AudioFile,
    running: Option<RunningTranscription>,
}

impl Transcribe {
    /// `None` when the call does not wait for this stage any more; the job is finished then.
    async fn load(&self, grant: &Grant, lease: &Lease, call_id: CallId) -> Result<Option<Work>, JobError> {
        self.0
            .db
            .tenant(grant, "transcribe.load", async |tx| {
                let (call, file, running) = tokio::try_join!(
                    store::find(tx, call_id),
                    store::find_audio_file(tx, call_id),
                    store::find_transcription(tx, call_id),
                )?;
                match (call, file) {
                    (Some(call), Some(file)) if waits_for(call.status.as_str(), Stage::Transcribe) => {
                        Ok(Some(Work { call, file, running }))
                    }
                    _ => jobs::finish(tx, lease).await.map(|()| None),
                }
            })
            .await
    }

    /// The stored recording, streamed and never held.
    fn audio(&self, work: &Work) -> AudioSource {
        let (objects, key) = (self.0.objects.clone(), Path::from(work.file.object_key.as_str()));
        let content = AudioContent::reopening(move || {
            let (objects, key) = (objects.clone(), key.clone());
            async move {
                let object = objects.get(&key).await.map_err(std::io::Error::other)?;
                Ok(object.into_stream().map(|piece| piece.map_err(std::io::Error::other)).boxed())
            }
        });
        let extension = work.file.content_type.rsplit('/').next().unwrap_or("audio");
        AudioSource {
            length_bytes: u64::try_from(work.file.size_bytes).unwrap_or(0),
            content_type: work.file.content_type.clone(),
            file_name: format!("recording.{extension}"),
            channels: work.file.channels.and_then(|channels| u16::try_from(channels).ok()),
            content,
        }
    }

    /// Remembers the work at the recogniser, or forgets it.
    async fn note(
        &self,
        grant: &Grant,
        work: &Work,
        provider: &'static str,
        running: Option<(String, Option<Webhook>)>,
    ) -> Result<(), JobError> {
        let (reference, webhook) = running.unzip();
        let running = RunningTranscription {
            provider: provider.to_owned(),
            reference,
            webhook_secret: webhook.flatten().map(|webhook| webhook.secret.expose_secret().to_owned()),
            submitted_at: self.0.clock.now(),
        };
        self.0
            .db
            .tenant(grant, "transcribe.note", async |tx| store::note_transcription(tx, &work.call, &running).await)
            .await?;
        Ok(())
    }

    /// As the settings say, and as the call says where it does.
    fn options(&self, work: &Work, webhook: Option<Webhook>) -> SpeechOptions {
        let hearing = self.0.hearing.clone();
        let channels = work.file.channels.and_then(|channels| u16::try_from(channels).ok());
        SpeechOptions {
            language: work.call.language.clone().or(hearing.language),
            channels,
            speaker_labels: channels.is_none_or(|channels| channels < 2),
            webhook,
            ..hearing
        }
    }

    /// Looks often at first, then every thirtieth of the time that has passed.
    fn pause(&self, running: Option<(&String, DateTime<Utc>)>, now: DateTime<Utc>) -> Duration {
        let waited = running.map_or(TimeDelta::zero(), |(_, since)| now - since).to_std().unwrap_or_default();
        self.0.transcription_poll.max(waited / 30)
    }

    async fn record(
        &self,
        grant: &Grant,
        lease: &Lease,
        work: &Work,
        speech: &dyn SpeechToText,
        transcript: Transcript,
    ) -> Result<(), JobError> {
        let call = &work.call;
        if let Err(error) = whole(call, &transcript) {
            self.note(grant, work, speech.name(), None).await?;
            return Err(error);
        }
        let now = self.0.clock.now();
        let utterances = turns(&transcript, work.file.agent_channel);
        let sentiment = feelings(&transcript, work.file.agent_channel);
        let duration_ms = transcript.duration_ms.and_then(|ms| i64::try_from(ms).ok());
        let language = transcript.language.as_deref().filter(|language| (2..=35).contains(&language.len()));
        let tenant = self.0.tenants.by_id(grant.tenant()).await?;
        let company = tenant.map(|tenant| Company::called(&tenant.name)).unwrap_or_default();
        let redaction = redact(&utterances, &entities(&transcript), &company);
        let transcription = Transcription {
            provider: speech.name().to_owned(),
            reference: None,
            webhook_secret: None,
            model: transcript.model.clone(),
            language: language.map(str::to_owned),
            digest: Some(written::digest(&utterances)),
            redacted_digest: Some(written::digest(&redaction.applied(&utterances))),
            redaction: Some(redaction.spans.clone()),
            metrics: Some(ConversationMetrics { sentiment, ..measure(&utterances) }),
            submitted_at: work.running.as_ref().map_or(now, |running| running.submitted_at),
            completed_at: Some(now),
        };
        self.0
            .db
            .tenant(grant, "transcribe.record", async |tx| {
                let ((), (), moved) = tokio::try_join!(
                    biased;
                    jobs::finish(tx, lease),
                    store::delete_utterances(tx, call.call_id).err_into(),
                    store::mark_transcribed(tx, call.call_id, now, duration_ms, language).err_into(),
                )?;
                if !moved {
                    return Err(JobError::LeaseLost);
                }
                tokio::try_join!(
                    biased;
                    store::insert_transcription(tx, call, &transcription),
                    store::insert_utterances(tx, call, &utterances, &redaction.texts),
                    enqueue(tx, call.organization_id, call.call_id, Stage::Assess, now),
                    count_audio(tx, call, duration_ms, &utterances, now),
                )?;
                Ok(())
            })
            .await
    }
}

/// Counts what was heard beyond what the recording's header told when it came (nothing, or less than it is); last, because the tenant's other uploads wait for its lock.
async fn count_audio(
    tx: &TenantTx<'_>,
    call: &Call,
    heard_ms: Option<i64>,
    utterances: &[Utterance],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let spoken_ms = || utterances.iter().filter_map(|utterance| utterance.end_ms).max();
    let beyond_ms = heard_ms.or_else(spoken_ms).unwrap_or(0) - call.duration_ms.unwrap_or(0);
    if beyond_ms > 0 { quotas::count_audio(tx, beyond_ms, now).await } else { Ok(()) }
}

/// Whether asking for the same work again can only fail again, so that a retry has to begin anew. Refused
/// credentials leave the work as it is. An empty account does not: the work itself ended with that, however full the account is by then.
fn ends_the_work(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Permanent { kind, .. } if *kind != PermanentKind::Credentials)
}

/// Refuses a transcript that has lost a part of the recording, or in which nobody speaks.
fn whole(call: &Call, transcript: &Transcript) -> Result<(), JobError> {
    if transcript.utterances.iter().all(|utterance| utterance.text.trim().is_empty()) {
        return Err(JobError::Permanent {
            kind: "no_speech",
            reason: "the recogniser heard nobody speak in this recording".to_owned(),
        });
    }
    let heard = transcript.duration_ms.and_then(|ms| i64::try_from(ms).ok());
    match (call.duration_ms, heard) {
        (Some(recorded), Some(heard)) if heard + WHOLE_SLACK_MS < recorded / 100 * WHOLE_PERCENT => {
            Err(JobError::Permanent {
                kind: "incomplete_transcript",
                reason: format!("the recogniser heard {heard} ms of a recording of {recorded} ms"),
            })
        }
        _ => Ok(()),
    }
}

/// A voice is a speaker where that is certain: by the channel. A label is only a guess of who is who, and stays unknown.
fn speaker(voice: &Voice, agent_channel: i16) -> Speaker {
    match voice {
        Voice::Channel(channel) if i32::from(*channel) == i32::from(agent_channel) => Speaker::Agent,
        Voice::Channel(_) => Speaker::Customer,
        Voice::Label(_) | Voice::Single => Speaker::Unknown,
    }
}

/// What the provider found in the words, for their redaction. It is kept nowhere else.
fn entities(transcript: &Transcript) -> Vec<Entity> {
    let entities = transcript.entities.iter();
    entities.map(|entity| Entity { kind: entity.kind.clone(), text: entity.text.clone() }).collect()
}

/// How the speakers sound, where the provider judges sentences.
fn feelings(transcript: &Transcript, agent_channel: i16) -> Vec<SpeakerSentiment> {
    let sentences = transcript.sentiments.iter().map(|judged| Sentence {
        speaker: speaker(&judged.voice, agent_channel),
        start_ms: judged.start_ms,
        sentiment: judged.sentiment,
    });
    let last_word_ms = || transcript.utterances.iter().map(|utterance| utterance.end_ms).max();
    let length_ms = transcript.duration_ms.or_else(last_word_ms).unwrap_or(0);
    sentiment::by_speaker(&sentences.collect::<Vec<_>>(), length_ms)
}

/// The turns of the transcript as utterances.
fn turns(transcript: &Transcript, agent_channel: i16) -> Vec<Utterance> {
    let spoken = transcript.utterances.iter().filter(|utterance| !utterance.text.trim().is_empty());
    (1..)
        .zip(spoken)
        .map(|(n, spoken)| Utterance {
            n,
            speaker: speaker(&spoken.voice, agent_channel),
            start_ms: i64::try_from(spoken.start_ms).ok(),
            end_ms: i64::try_from(spoken.end_ms.max(spoken.start_ms)).ok(),
            text: spoken.text.replace('\0', ""),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refused_credentials_and_bad_moments_leave_the_work_running() {
        let refused = |kind| ProviderError::Permanent {
            provider: "test",
            reason: "refused".to_owned(),
            kind,
            spent: crate::platform::providers::Tokens::default(),
        };
        assert!(ends_the_work(&refused(PermanentKind::Quota)));
        assert!(!ends_the_work(&refused(PermanentKind::Credentials)));
        let later = ProviderError::Temporary { provider: "test", reason: "later".to_owned(), retry_after: None };
        assert!(!ends_the_work(&later));
    }
}
