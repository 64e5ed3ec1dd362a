//! The streams of a flow and their subjects, ensured idempotently.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use events::{LIVE, OrderKey, Stage, TargetName, WindowId};

use crate::{Journal, JournalError};

/// One of the streams a flow is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The fetch history.
    Sync,
    /// Pages to fetch.
    Jobs,
    /// Raw pages.
    Raw,
    /// Mapped orders.
    Mapped,
    /// What became of them.
    Receipts,
    /// What could not be carried.
    Dead,
    /// What people did.
    Ops,
    /// What replicas share: call budgets, tokens. The only one that is no log: the newest message of a subject is kept.
    State,
}

impl Stream {
    /// All streams, in the order of the flow.
    pub const ALL: [Self; 8] =
        [Self::Sync, Self::Jobs, Self::Raw, Self::Mapped, Self::Receipts, Self::Dead, Self::Ops, Self::State];

    /// Its name without the flow.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sync => "SYNC",
            Self::Jobs => "JOBS",
            Self::Raw => "RAW",
            Self::Mapped => "MAPPED",
            Self::Receipts => "RECEIPTS",
            Self::Dead => "DEAD",
            Self::Ops => "OPS",
            Self::State => "STATE",
        }
    }

    fn subjects(self) -> &'static str {
        match self {
            Self::Sync => "sync.>",
            Self::Jobs => "job.>",
            Self::Raw => "raw.>",
            Self::Mapped => "mapped.>",
            Self::Receipts => "receipt.>",
            Self::Dead => "dead.>",
            Self::Ops => "op.>",
            Self::State => "state.>",
        }
    }
}

/// The key under which MAPPED and RECEIPTS remember how many partitions they were written with.
const PARTITIONS: &str = "orderflow.partitions";

/// The names of one flow: its streams and subjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    flow: String,
    partitions: u16,
}

impl Topology {
    /// The names of a flow whose orders are spread over `partitions`.
    pub fn new(flow: impl Into<String>, partitions: u16) -> Self {
        Self { flow: flow.into(), partitions: partitions.max(1) }
    }

    /// The flow's name.
    pub fn flow(&self) -> &str {
        &self.flow
    }

    /// How many partitions its orders are spread over.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The name of a stream.
    pub fn stream(&self, stream: Stream) -> String {
        format!("{}-{}", self.flow, stream.name())
    }

    /// The events of one window.
    pub fn window(&self, window: &WindowId) -> String {
        format!("{}.sync.window.{window}", self.flow)
    }

    /// The events of every window.
    pub fn windows(&self) -> String {
        format!("{}.sync.window.*", self.flow)
    }

    /// The watermark of the live windows: LAST_SYNC_TIME.
    pub fn watermark(&self) -> String {
        self.watermark_of(LIVE)
    }

    /// The watermark of a lane of windows.
    pub fn watermark_of(&self, lane: &str) -> String {
        match lane {
            LIVE => format!("{}.sync.watermark", self.flow),
            lane => format!("{}.sync.watermark.{lane}", self.flow),
        }
    }

    /// The watermarks of all lanes but the live one.
    pub fn other_watermarks(&self) -> String {
        format!("{}.sync.watermark.*", self.flow)
    }

    /// What is known of a backfill: its request, its end.
    pub fn backfill(&self, id: &str) -> String {
        format!("{}.sync.backfill.{id}", self.flow)
    }

    /// What is known of all backfills.
    pub fn backfills(&self) -> String {
        self.backfill("*")
    }

    /// Pages to fetch for the timed windows.
    pub fn jobs(&self) -> String {
        format!("{}.job.fetch", self.flow)
    }

    /// Pages to fetch for sweeps and backfills, which are not to hold the timed windows up.
    pub fn background_jobs(&self) -> String {
        format!("{}.job.background", self.flow)
    }

    /// How much of a call budget is spent, over all replicas.
    pub fn budget(&self, name: &str) -> String {
        format!("{}.state.budget.{name}", self.flow)
    }

    /// The access token that all replicas use.
    pub fn token(&self, name: &str) -> String {
        format!("{}.state.token.{name}", self.flow)
    }

    /// Whether the writers of a target have stopped.
    pub fn stop(&self, target: &TargetName) -> String {
        format!("{}.state.stop.{}", self.flow, target.token())
    }

    /// What people were told.
    pub fn alerts(&self) -> String {
        format!("{}.state.alerts", self.flow)
    }

    /// Raw pages.
    pub fn raw(&self) -> String {
        format!("{}.raw.page", self.flow)
    }

    /// The mapped orders of one partition.
    pub fn mapped(&self, partition: u16) -> String {
        format!("{}.mapped.{partition}", self.flow)
    }

    /// The mapped orders' subject for one order.
    pub fn mapped_of(&self, key: &OrderKey) -> String {
        self.mapped(key.partition(self.partitions))
    }

    /// What the mapping's filters keep from being sent: beside the partitions, for no writer.
    pub fn skipped(&self) -> String {
        format!("{}.mapped.skipped", self.flow)
    }

    /// Which numbers belong to which keys: beside the partitions, for no writer.
    pub fn numbers(&self) -> String {
        format!("{}.mapped.numbers", self.flow)
    }

    /// The receipts of one order at one target.
    pub fn receipt(&self, target: &TargetName, key: &OrderKey) -> String {
        let partition = key.partition(self.partitions);
        format!("{}.receipt.{}.{partition}.{}", self.flow, target.token(), key.token())
    }

    /// The receipts of one partition at one target: what a writer reads when it takes the partition over.
    pub fn receipts(&self, target: &TargetName, partition: u16) -> String {
        format!("{}.receipt.{}.{partition}.*", self.flow, target.token())
    }

    /// All receipts of one target.
    pub fn receipts_of(&self, target: &TargetName) -> String {
        format!("{}.receipt.{}.>", self.flow, target.token())
    }

    /// The dead letters of one stage and kind.
    pub fn dead(&self, stage: Stage, kind: &str) -> String {
        format!("{}.dead.{stage}.{kind}", self.flow)
    }

    /// What was done about dead letters.
    pub fn dead_resolved(&self) -> String {
        format!("{}.dead.resolved", self.flow)
    }

    /// The events of one operation.
    pub fn operation(&self, id: &str) -> String {
        format!("{}.op.{id}", self.flow)
    }

    /// Where the running instances of a stage are asked who they are. In no stream: nothing of it is stored.
    pub fn presence(&self, stage: Stage) -> String {
        format!("{}.here.{stage}", self.flow)
    }

    /// The durable consumer of a stage: `fetch`, `transform`, or for a writer one per target and partition.
    pub fn consumer(&self, stage: Stage) -> String {
        stage.name().into()
    }

    /// The durable consumer of the pages of sweeps and backfills.
    pub fn background_consumer(&self) -> String {
        "fetch-background".into()
    }

    /// The durable consumer of one partition of one target.
    pub fn writer(&self, target: &TargetName, partition: u16) -> String {
        format!("write-{}-{partition:02}", target.token().replace('=', "_"))
    }

    fn config(&self, stream: Stream) -> stream::Config {
        let metadata = match stream {
            Stream::Mapped | Stream::Receipts => {
                HashMap::from([(PARTITIONS.to_string(), self.partitions.to_string())])
            }
            _ => HashMap::new(),
        };
        stream::Config {
            name: self.stream(stream),
            subjects: vec![format!("{}.{}", self.flow, stream.subjects())],
            retention: stream::RetentionPolicy::Limits,
            storage: stream::StorageType::File,
            allow_direct: true,
            allow_atomic_publish: true,
            metadata,
            max_messages_per_subject: match stream {
                Stream::State => 1,
                _ => -1,
            },
            duplicate_window: match stream {
                // Few messages, and a letter that is written again by a redelivered page should not count twice.
                Stream::Dead => Duration::from_secs(24 * 3_600),
                _ => Duration::from_secs(120),
            },
            ..stream::Config::default()
        }
    }
}

impl Journal {
    /// Creates what is missing and checks what is there, comparing the configuration that the server echoes: an older
    /// server accepts settings it does not know and drops them. Safe to call from any number of replicas.
    ///
    /// # Errors
    /// [`JournalError::Topology`] when a stream exists with other partitions or without atomic batches.
    pub async fn ensure(&self, topology: &Topology) -> Result<(), JournalError> {
        for stream in Stream::ALL {
            let wanted = topology.config(stream);
            let what = format!("set up stream {}", wanted.name);
            let found = match self.jetstream().get_stream(&wanted.name).await {
                Ok(existing) => existing.cached_info().config.clone(),
                Err(_) => self.create(&wanted, &what).await?,
            };
            check(&wanted, &found)?;
        }
        Ok(())
    }

    async fn create(&self, wanted: &stream::Config, what: &str) -> Result<stream::Config, JournalError> {
        match self.jetstream().create_stream(wanted.clone()).await {
            Ok(created) => Ok(created.cached_info().config.clone()),
            // Another replica may have created it between our question and our request.
            Err(error) => match self.jetstream().get_stream(&wanted.name).await {
                Ok(existing) => Ok(existing.cached_info().config.clone()),
                Err(_) => Err(refusal(what, error)),
            },
        }
    }
}

fn refusal(what: &str, error: jetstream::context::CreateStreamError) -> JournalError {
    use jetstream::context::CreateStreamErrorKind::JetStream;
    match error.kind() {
        JetStream(inner) => {
            JournalError::Refused { what: what.into(), code: inner.error_code().0, source: Box::new(error) }
        }
        _ => JournalError::unavailable(what, error),
    }
}

fn check(wanted: &stream::Config, found: &stream::Config) -> Result<(), JournalError> {
    let differs = |what, found: String, expected: String| {
        if found == expected {
            Ok(())
        } else {
            Err(JournalError::Topology { stream: wanted.name.clone(), what, found, expected })
        }
    };
    differs("subjects", found.subjects.join(","), wanted.subjects.join(","))?;
    differs("retention", format!("{:?}", found.retention), format!("{:?}", wanted.retention))?;
    differs(
        "messages a subject",
        found.max_messages_per_subject.to_string(),
        wanted.max_messages_per_subject.to_string(),
    )?;
    differs("allow_atomic", found.allow_atomic_publish.to_string(), "true".into())?;
    if let Some(partitions) = wanted.metadata.get(PARTITIONS) {
        let found = found.metadata.get(PARTITIONS).cloned().unwrap_or_else(|| "not recorded".into());
        differs("writer.partitions", found, partitions.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_follow_the_design() {
        let names = Topology::new("okki-orders", 16);
        let (target, key) = (TargetName::new("qeasy"), OrderKey::new("5203550000").expect("not empty"));
        assert_eq!(names.stream(Stream::Raw), "okki-orders-RAW");
        assert_eq!(names.mapped_of(&key), "okki-orders.mapped.11");
        // Neither is a partition, so no writer is given them.
        assert_eq!(names.skipped(), "okki-orders.mapped.skipped");
        assert_eq!(names.numbers(), "okki-orders.mapped.numbers");
        assert_eq!(names.receipt(&target, &key), "okki-orders.receipt.qeasy.11.5203550000");
        assert_eq!(names.receipts(&target, 11), "okki-orders.receipt.qeasy.11.*");
        assert_eq!(names.dead(Stage::Write, "refused"), "okki-orders.dead.write.refused");
        assert_eq!(names.writer(&TargetName::new("轻易云"), 3), "write-_E8_BD_BB_E6_98_93_E4_BA_91-03");
    }

    #[test]
    fn questions_about_who_is_there_are_not_stored() {
        let names = Topology::new("okki-orders", 16);
        let subject = names.presence(Stage::Transform);
        assert_eq!(subject, "okki-orders.here.transform");
        for stream in Stream::ALL {
            for stored in names.config(stream).subjects {
                let below = stored.strip_suffix('>').expect("all that begins so");
                assert!(!subject.starts_with(below), "{stored} would store {subject}");
            }
        }
    }

    #[test]
    fn other_partitions_are_refused() {
        let (sixteen, eight) = (Topology::new("f", 16), Topology::new("f", 8));
        let error =
            check(&eight.config(Stream::Mapped), &sixteen.config(Stream::Mapped)).expect_err("differs");
        assert_eq!(
            error.to_string(),
            "stream f-MAPPED: writer.partitions is 16, expected 8; it is fixed once the flow has run, so set it back"
        );
    }
}
