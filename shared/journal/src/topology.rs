//! The streams of a flow and their subjects, ensured idempotently.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::stream;
use events::{LIVE, OrderKey, Stage, TargetName, WindowId, bounded_token};

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
pub(crate) const PARTITIONS: &str = "orderflow.partitions";

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

    /// The processes that run a stage as a service; for `write`, of one target.
    pub fn service(&self, stage: Stage, target: Option<&TargetName>) -> String {
        self.state_of("service", stage, target)
    }

    /// Whether a person has paused a stage; for `write`, of one target.
    pub fn pause(&self, stage: Stage, target: Option<&TargetName>) -> String {
        self.state_of("pause", stage, target)
    }

    fn state_of(&self, what: &str, stage: Stage, target: Option<&TargetName>) -> String {
        let target = target.map_or_else(String::new, |target| format!(".{}", target.token()));
        format!("{}.state.{what}.{stage}{target}", self.flow)
    }

    /// When the runs of a command that is started again and again ended well.
    pub fn runs(&self, command: &str) -> String {
        format!("{}.state.runs.{command}", self.flow)
    }

    /// What people were told.
    pub fn alerts(&self) -> String {
        format!("{}.state.alerts", self.flow)
    }

    /// Which version of the mapping is in use, and which waits for a person.
    pub fn mapping(&self) -> String {
        format!("{}.state.mapping", self.flow)
    }

    /// How often orders have the fields that the mapping reads.
    pub fn fields(&self) -> String {
        format!("{}.state.fields", self.flow)
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

    /// Orders that a reconciliation prepared to be written over what a target holds: beside the partitions, for no writer.
    pub fn prepared(&self) -> String {
        format!("{}.mapped.prepared", self.flow)
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
        // A star stands for every kind, where letters are read.
        let kind = if kind == "*" { kind.to_string() } else { bounded_token(kind) };
        format!("{}.dead.{stage}.{kind}", self.flow)
    }

    /// What was done about dead letters.
    pub fn dead_resolved(&self) -> String {
        format!("{}.dead.resolved", self.flow)
    }

    /// What says that an order was read later with an older update time than a target holds.
    pub fn older_stamp(&self, target: &TargetName, key: &OrderKey) -> String {
        self.receipt(target, key).replacen(".receipt.", ".dead.older_stamp.", 1)
    }

    /// The same of all orders.
    pub fn older_stamps(&self) -> String {
        format!("{}.dead.older_stamp.>", self.flow)
    }

    /// The receipts of the order that such a subject is about; `None` for any other subject.
    pub fn receipt_of_older_stamp(&self, subject: &str) -> Option<String> {
        let order = subject.strip_prefix(self.older_stamps().trim_end_matches('>'))?;
        Some(format!("{}.receipt.{order}", self.flow))
    }

    /// A subject of every kind that a stage publishes on, each complete: a user that may publish on these can run it.
    pub fn published_by(&self, stage: Stage, targets: &[TargetName]) -> Vec<String> {
        const NAME: &str = "check";
        let mut subjects = match stage {
            Stage::Fetch => {
                let window = format!("{}.sync.window.{NAME}", self.flow);
                let state = [self.budget(NAME), self.token(NAME)];
                [window, self.watermark(), self.jobs(), self.raw(), self.operation(NAME)]
                    .into_iter()
                    .chain(state)
                    .collect()
            }
            Stage::Transform => vec![self.mapped(0), self.skipped(), self.dead_resolved()],
            Stage::Write => targets
                .iter()
                .flat_map(|target| {
                    let receipt = format!("{}.receipt.{}.0.{NAME}", self.flow, target.token());
                    [receipt, self.stop(target), self.budget(&format!("target-{}", target.token()))]
                })
                .collect(),
        };
        subjects.extend([self.dead(stage, NAME), self.alerts()]);
        subjects
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

    pub(crate) fn config(&self, stream: Stream) -> stream::Config {
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
        let older = names.older_stamp(&target, &key);
        assert_eq!(older, "okki-orders.dead.older_stamp.qeasy.11.5203550000");
        assert_eq!(names.receipt_of_older_stamp(&older), Some(names.receipt(&target, &key)));
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
}
