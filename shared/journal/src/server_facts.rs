//! What the server of a flow is like, as far as a client can see it, and what of that is weak. Pure.

use std::fmt;
use std::time::Duration;

/// The least `max_payload` that takes a full page of orders in one message, in bytes.
pub const RECOMMENDED_PAYLOAD: usize = 8 << 20;

/// When the server flushes what it acknowledges to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before each acknowledgement: `sync_interval: always`.
    Always,
    /// Every so often, and after the acknowledgement.
    Every(Duration),
    /// Its monitoring port did not say, and nothing else does.
    Unknown,
}

/// What is known of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFacts {
    /// Its name.
    pub name: String,
    /// Whether it is kept in memory only.
    pub is_in_memory: bool,
    /// How many servers keep it.
    pub replicas: usize,
    /// Whether the stream itself is acknowledged before it is written (`persist_mode: async`).
    pub is_written_late: bool,
    /// The limit after which old messages are deleted, such as `max_age 1d`; `None` keeps them all.
    pub forgets_after: Option<String>,
}

/// What is known of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its version.
    pub version: String,
    /// The largest message it takes, in bytes.
    pub max_payload: usize,
    /// When it flushes to disk.
    pub sync: SyncPolicy,
    /// The streams of the flow that are there.
    pub streams: Vec<StreamFacts>,
}

/// Something of the server that breaks a promise of the flow sooner or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerWeakness {
    /// A full page of orders may not fit into one message.
    SmallPayload {
        /// `max_payload`, in bytes.
        found: usize,
    },
    /// A power cut loses messages that were acknowledged, and no other server has them.
    LateSync {
        /// The interval.
        every: Duration,
    },
    /// A stream is acknowledged before it is written.
    LateWrite {
        /// The stream.
        stream: String,
    },
    /// A stream is gone when the server ends.
    InMemory {
        /// The stream.
        stream: String,
    },
    /// Old messages of a stream are deleted, although they are the only state.
    Forgets {
        /// The stream.
        stream: String,
        /// The limit.
        after: String,
    },
}

impl fmt::Display for ServerWeakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmallPayload { found } => write!(
                f,
                "max_payload: found {found} bytes, expected at least {RECOMMENDED_PAYLOAD} (8MB): a full page of orders may \
                 not fit into one message"
            ),
            Self::LateSync { every } => write!(
                f,
                "sync_interval: found {}, expected always: a power cut loses messages that were acknowledged",
                shown_duration(*every)
            ),
            Self::LateWrite { stream } => write!(
                f,
                "stream {stream}, persist_mode: found async, expected default: a crash loses messages that were acknowledged"
            ),
            Self::InMemory { stream } => write!(
                f,
                "stream {stream}, storage: found memory, expected file: everything is lost when the server ends"
            ),
            Self::Forgets { stream, after } => write!(
                f,
                "stream {stream}: found {after}, expected no limit: old messages are deleted, and the streams are the only \
                 state"
            ),
        }
    }
}

/// What is weak of a server; empty when nothing is known to be. What is not known is not weak.
pub fn weaknesses(facts: &ServerFacts) -> Vec<ServerWeakness> {
    let mut found = Vec::new();
    if facts.max_payload < RECOMMENDED_PAYLOAD {
        found.push(ServerWeakness::SmallPayload { found: facts.max_payload });
    }
    // Streams are made with one replica: before there are any, the server is alone as well.
    let is_alone = facts.streams.is_empty() || facts.streams.iter().any(|stream| stream.replicas < 2);
    if let SyncPolicy::Every(every) = facts.sync
        && is_alone
    {
        found.push(ServerWeakness::LateSync { every });
    }
    for stream in &facts.streams {
        let name = || stream.name.clone();
        if stream.is_in_memory {
            found.push(ServerWeakness::InMemory { stream: name() });
        }
        if stream.is_written_late && stream.replicas < 2 {
            found.push(ServerWeakness::LateWrite { stream: name() });
        }
        if let Some(after) = &stream.forgets_after {
            found.push(ServerWeakness::Forgets { stream: name(), after: after.clone() });
        }
    }
    found
}

/// A length of time as nats-server's configuration writes it: `2m`, `90s`.
pub fn shown_duration(length: Duration) -> String {
    match length.as_secs() {
        0 => format!("{}ms", length.as_millis()),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> StreamFacts {
        StreamFacts {
            name: name.into(),
            is_in_memory: false,
            replicas: 1,
            is_written_late: false,
            forgets_after: None,
        }
    }

    fn facts(sync: SyncPolicy, streams: Vec<StreamFacts>) -> ServerFacts {
        ServerFacts { version: "2.12.1".into(), max_payload: 8 << 20, sync, streams }
    }

    #[test]
    fn a_sound_or_unknown_server_has_no_weakness() {
        for sync in [SyncPolicy::Always, SyncPolicy::Unknown] {
            assert_eq!(weaknesses(&facts(sync, vec![stream("f-RAW")])), []);
        }
    }

    #[test]
    fn late_sync_is_weak_unless_every_stream_has_replicas() {
        let every = Duration::from_secs(120);
        let late = vec![ServerWeakness::LateSync { every }];
        let sync = SyncPolicy::Every(every);
        assert_eq!(weaknesses(&facts(sync, Vec::new())), late, "streams will be made with one replica");
        assert_eq!(weaknesses(&facts(sync, vec![stream("f-RAW")])), late);
        let replicated = StreamFacts { replicas: 3, ..stream("f-RAW") };
        assert_eq!(weaknesses(&facts(sync, vec![replicated.clone()])), []);
        assert_eq!(weaknesses(&facts(sync, vec![replicated, stream("f-DEAD")])), late);
    }

    #[test]
    fn what_loses_messages_is_named_with_its_stream() {
        let weak = StreamFacts {
            is_in_memory: true,
            is_written_late: true,
            forgets_after: Some("max_age 1d".into()),
            ..stream("f-RAW")
        };
        let small = ServerFacts { max_payload: 1 << 20, ..facts(SyncPolicy::Always, vec![weak]) };
        let said: Vec<String> = weaknesses(&small).iter().map(ToString::to_string).collect();
        for (said, begins) in said.iter().zip([
            "max_payload: found 1048576 bytes, expected at least 8388608",
            "stream f-RAW, storage: found memory, expected file",
            "stream f-RAW, persist_mode: found async",
            "stream f-RAW: found max_age 1d, expected no limit",
        ]) {
            assert!(said.starts_with(begins), "{said}");
        }
        assert_eq!(said.len(), 4);
    }

    #[test]
    fn lengths_are_shown_as_the_configuration_writes_them() {
        let shown =
            [(120, "2m"), (90, "90s")].map(|(seconds, _)| shown_duration(Duration::from_secs(seconds)));
        assert_eq!(shown, ["2m", "90s"]);
        assert_eq!(shown_duration(Duration::from_millis(500)), "500ms");
    }
}
