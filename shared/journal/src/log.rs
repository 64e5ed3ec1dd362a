//! Reading a log: everything up to now, or everything for ever.

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{self, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetError, DirectGetErrorKind, Stream as Handle};
use bytes::Bytes;
use events::{Decoded, Event, Micros, decode};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::record::check_subject;
use crate::{Journal, JournalError, Label, Stream, Topology, TraceParent};

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the oldest message.
    Start,
    /// With this sequence.
    Seq(u64),
    /// With the first message stored at or after this time, by the server's clock.
    Time(Micros),
    /// The last message of each subject.
    LastPerSubject,
}

/// A stored message as a fold sees it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The stream it lies in.
    pub stream: String,
    /// Its sequence there.
    pub seq: u64,
    /// When it was stored, by the server's clock.
    pub stored_at: Micros,
    /// Its subject.
    pub subject: String,
    /// The encoded event; empty when only headers were asked for.
    pub payload: Bytes,
    headers: Option<HeaderMap>,
}

impl Entry {
    /// The event.
    ///
    /// # Errors
    /// [`JournalError::Codec`] when the message holds something else.
    pub fn event<E: Event>(&self) -> Result<Decoded<E>, JournalError> {
        decode(&self.payload).map_err(|source| self.unreadable(source))
    }

    /// Turns a codec error into one that says which message it was.
    pub fn unreadable(&self, source: events::CodecError) -> JournalError {
        JournalError::Codec { stream: self.stream.clone(), seq: self.seq, source }
    }

    /// A fact from the headers.
    pub fn label(&self, label: Label) -> Option<&str> {
        Some(self.headers.as_ref()?.get(label.header())?.as_str())
    }

    /// The trace the message belongs to.
    pub fn trace(&self) -> Option<TraceParent> {
        crate::delivery::trace_of(self.headers.as_ref())
    }
}

/// What a direct read came to; `None` when there is no such message.
fn got(
    journal: &Journal,
    stream: String,
    what: String,
    got: Result<StreamMessage, DirectGetError>,
) -> Result<Option<Entry>, JournalError> {
    match got {
        Ok(found) => Ok(Some(Entry {
            stream,
            seq: found.sequence,
            stored_at: micros(found.time),
            subject: found.subject.to_string(),
            payload: found.payload,
            headers: Some(found.headers),
        })),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(journal.unavailable(what, error)),
    }
}

/// What a consumer has still to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages not delivered yet.
    pub pending: u64,
    /// Messages delivered and not settled.
    pub in_hand: u64,
    /// Of those, delivered more than once.
    pub redelivered: u64,
    /// Messages settled: the stream sequence below which everything is.
    pub ack_floor: u64,
}

impl Lag {
    /// Whether nothing is left to do.
    pub fn is_drained(&self) -> bool {
        self.pending == 0 && self.in_hand == 0
    }
}

impl Journal {
    /// A handle to ask a stream by; asks nothing itself.
    pub(crate) async fn handle(&self, stream: &str, what: &str) -> Result<Handle<()>, JournalError> {
        let handle = self.jetstream().get_stream_no_info(stream).await;
        handle.map_err(|error| self.unavailable(what, error))
    }

    /// Reads what is stored now, in order, and ends.
    ///
    /// # Errors
    /// When the stream cannot be read; also as an item, when that happens on the way.
    pub async fn read(
        &self,
        topology: &Topology,
        stream: Stream,
        filter: Option<&str>,
        from: From,
        headers_only: bool,
    ) -> Result<BoxStream<'static, Result<Entry, JournalError>>, JournalError> {
        let before = self.size(topology, stream).await?.1;
        let (messages, pending) = self.ordered(topology, stream, filter, from, headers_only).await?;
        // Of each subject only the last is read, as of now: one that came meanwhile hides the one before it.
        let end = match from {
            From::LastPerSubject => self.size(topology, stream).await?.1,
            _ => before,
        };
        if pending == 0 {
            return Ok(futures::stream::empty().boxed());
        }
        // Each message says how many are behind it. The one that says none ends the reading, and so does the first
        // one that was stored after we began, or a busy stream would never be read to its end.
        let entries = futures::stream::unfold(Some(messages), move |messages| async move {
            let mut messages = messages?;
            match messages.next().await? {
                Ok((entry, _)) if entry.seq > end => None,
                Ok((entry, behind)) => {
                    let more = behind > 0 && entry.seq < end;
                    Some((Ok(entry), more.then_some(messages)))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(entries.boxed())
    }

    /// Reads what is stored now and what is stored later, in order, for ever. Survives a restart of the server.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn follow(
        &self,
        topology: &Topology,
        stream: Stream,
        filter: Option<&str>,
        from: From,
    ) -> Result<BoxStream<'static, Result<Entry, JournalError>>, JournalError> {
        let (messages, _) = self.ordered(topology, stream, filter, from, false).await?;
        Ok(messages.map(|item| item.map(|(entry, _)| entry)).boxed())
    }

    async fn ordered(
        &self,
        topology: &Topology,
        stream: Stream,
        filter: Option<&str>,
        from: From,
        headers_only: bool,
    ) -> Result<(BoxStream<'static, Result<(Entry, u64), JournalError>>, u64), JournalError> {
        let name = topology.stream(stream);
        let what = format!("read {name}");
        check_subject(filter.unwrap_or_default())?;
        let config = OrderedConfig {
            deliver_policy: match from {
                From::Start => DeliverPolicy::All,
                From::Seq(seq) => DeliverPolicy::ByStartSequence { start_sequence: seq.max(1) },
                From::Time(at) => DeliverPolicy::ByStartTime { start_time: server_time(at) },
                From::LastPerSubject => DeliverPolicy::LastPerSubject,
            },
            // "The last message of each subject" is refused without a filter.
            filter_subject: filter.unwrap_or(">").to_string(),
            replay_policy: ReplayPolicy::Instant,
            headers_only,
            ..OrderedConfig::default()
        };
        let mut consumer = self
            .jetstream()
            .create_consumer_on_stream(config, name.clone())
            .await
            .map_err(|error| self.unavailable(what.as_str(), error))?;
        let info = consumer.info().await.map_err(|error| self.unavailable(what.as_str(), error))?;
        // The first pull may already be under way for an ordered consumer: count what it was given as well.
        let pending = info.num_pending + info.delivered.consumer_sequence;
        let messages = consumer.messages().await.map_err(|error| self.unavailable(what.as_str(), error))?;
        let entries = messages.map(move |message| match message {
            Ok(message) => entry(&name, message),
            Err(error) => Err(JournalError::unavailable(what.as_str(), error)),
        });
        Ok((entries.boxed(), pending))
    }

    /// The last message of a subject, or `None`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn last(
        &self,
        topology: &Topology,
        stream: Stream,
        subject: &str,
    ) -> Result<Option<Entry>, JournalError> {
        let name = topology.stream(stream);
        check_subject(subject)?;
        let what = format!("read the last message of {subject}");
        let handle = self.handle(&name, &what).await?;
        got(self, name, what, handle.direct_get_last_for_subject(subject.to_string()).await)
    }

    /// The first message of a subject from `seq` on, or `None`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn next(
        &self,
        topology: &Topology,
        stream: Stream,
        subject: &str,
        seq: u64,
    ) -> Result<Option<Entry>, JournalError> {
        let name = topology.stream(stream);
        check_subject(subject)?;
        let what = format!("look for a message of {subject} from {seq} on");
        let handle = self.handle(&name, &what).await?;
        got(self, name, what, handle.direct_get_next_for_subject(subject.to_string(), Some(seq)).await)
    }

    /// The message with this sequence.
    ///
    /// # Errors
    /// When it is not there, or the server does not answer.
    pub async fn get(&self, topology: &Topology, stream: Stream, seq: u64) -> Result<Entry, JournalError> {
        self.find(topology, stream, seq).await?.ok_or_else(|| {
            let what = format!("read message {seq} of {}", topology.stream(stream));
            JournalError::unavailable(what, std::io::Error::from(std::io::ErrorKind::NotFound))
        })
    }

    /// The message with this sequence, or `None`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn find(
        &self,
        topology: &Topology,
        stream: Stream,
        seq: u64,
    ) -> Result<Option<Entry>, JournalError> {
        let name = topology.stream(stream);
        let what = format!("read message {seq} of {name}");
        let handle = self.handle(&name, &what).await?;
        got(self, name, what, handle.direct_get(seq).await)
    }

    /// What a durable consumer has still to do; `None` when it does not exist (its stage has never run).
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn lag(
        &self,
        topology: &Topology,
        stream: Stream,
        durable: &str,
    ) -> Result<Option<Lag>, JournalError> {
        let name = topology.stream(stream);
        let what = format!("tell the state of consumer {durable}");
        match self.jetstream().get_consumer_from_stream::<pull::Config, _, _>(durable, &name).await {
            Ok(consumer) => {
                let info = consumer.cached_info();
                Ok(Some(Lag {
                    pending: info.num_pending,
                    in_hand: info.num_ack_pending as u64,
                    redelivered: info.num_redelivered as u64,
                    ack_floor: info.ack_floor.stream_sequence,
                }))
            }
            Err(error) if error.to_string().contains("not found") => Ok(None),
            Err(error) => Err(self.unavailable(what, error)),
        }
    }

    /// The subjects of a stream that match `filter`, each with how many messages it has.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn subjects(
        &self,
        topology: &Topology,
        stream: Stream,
        filter: &str,
    ) -> Result<Vec<(String, u64)>, JournalError> {
        let name = topology.stream(stream);
        let what = format!("list the subjects of {name}");
        let handle = self.handle(&name, &what).await?;
        let mut listed = handle
            .info_with_subjects(filter)
            .await
            .map_err(|error| self.unavailable(what.as_str(), error))?;
        let mut subjects = Vec::new();
        while let Some(subject) = listed.next().await {
            let (subject, count) = subject.map_err(|error| self.unavailable(what.as_str(), error))?;
            subjects.push((subject, count as u64));
        }
        Ok(subjects)
    }

    /// How many messages a stream holds, its last sequence, and how many subjects it has.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn size(&self, topology: &Topology, stream: Stream) -> Result<(u64, u64, u64), JournalError> {
        let name = topology.stream(stream);
        let found = self
            .jetstream()
            .get_stream(&name)
            .await
            .map_err(|error| self.unavailable(format!("tell the size of {name}"), error))?;
        let state = &found.cached_info().state;
        Ok((state.messages, state.last_sequence, state.subjects_count))
    }
}

/// The client library counts in another crate's type.
fn server_time(at: Micros) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

pub(crate) fn micros(at: time::OffsetDateTime) -> Micros {
    Micros::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(Micros::MAX)
}

fn entry(stream: &str, message: Message) -> Result<(Entry, u64), JournalError> {
    let (seq, stored_at, pending) = {
        let info =
            message.info().map_err(|error| JournalError::unavailable(format!("read {stream}"), error))?;
        (info.stream_sequence, micros(info.published), info.pending)
    };
    let message = message.message;
    let entry = Entry {
        stream: stream.to_string(),
        seq,
        stored_at,
        subject: message.subject.to_string(),
        payload: message.payload,
        headers: message.headers,
    };
    Ok((entry, pending))
}
