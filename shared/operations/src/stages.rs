//! What each stage has still to do, from its consumers. What is not known is `None`, never 0.

use std::collections::HashSet;
use std::time::Duration;

use events::{Micros, Stage, TargetName, now};
use journal::{Journal, JournalError, Lag, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

/// One stage, or one target of the write stage.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct StageStatus {
    /// `fetch`, `fetch background` (the pages of sweeps and backfills), `transform`, `write`.
    pub stage: &'static str,
    /// The target, for `write`.
    pub target: Option<String>,
    /// Messages not delivered yet; `None` when the stage has never run.
    pub lag: Option<u64>,
    /// Messages in hand.
    pub ack_pending: Option<u64>,
    /// Messages that wait: not delivered yet, or in hand and not settled.
    pub waiting: Option<u64>,
    /// Of those, delivered more than once.
    pub redelivered: Option<u64>,
    /// For how many seconds the oldest message that is not settled has been there; `None` when there is none.
    pub oldest_seconds: Option<i64>,
}

/// What a consumer has to do, and since when its oldest message waits.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    lag: Lag,
    oldest: Option<Micros>,
}

impl Open {
    async fn of(
        journal: &Journal,
        names: &Topology,
        stream: Stream,
        durable: &str,
        filter: &str,
        ages: bool,
    ) -> Result<Option<Self>, JournalError> {
        let Some(lag) = journal.lag(names, stream, durable).await? else { return Ok(None) };
        let oldest = match lag.is_drained() || !ages {
            true => None,
            // All of the message is read for it.
            false => {
                journal.next(names, stream, filter, lag.ack_floor + 1).await?.map(|entry| entry.stored_at)
            }
        };
        Ok(Some(Self { lag, oldest }))
    }

    fn and(self, other: Self) -> Self {
        let lag = Lag {
            pending: self.lag.pending + other.lag.pending,
            in_hand: self.lag.in_hand + other.lag.in_hand,
            redelivered: self.lag.redelivered + other.lag.redelivered,
            ..self.lag
        };
        Self { lag, oldest: self.oldest.into_iter().chain(other.oldest).min() }
    }
}

impl StageStatus {
    fn new(stage: &'static str, target: Option<String>, open: Option<Open>) -> Self {
        Self {
            stage,
            target,
            lag: open.map(|open| open.lag.pending),
            ack_pending: open.map(|open| open.lag.in_hand),
            waiting: open.map(|open| open.lag.pending + open.lag.in_hand),
            redelivered: open.map(|open| open.lag.redelivered),
            // The clock of the server may be ahead of ours.
            oldest_seconds: open.and_then(|open| open.oldest).map(|at| ((now() - at) / 1_000_000).max(0)),
        }
    }

    /// All stages, with the age of what waits longest: `fetch`, `fetch background` once a fetcher has run that knows it, `transform`,
    /// and `write` for each target.
    ///
    /// # Errors
    /// When the server does not answer; so for all that follow.
    pub async fn all(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
    ) -> Result<Vec<Self>, JournalError> {
        let (durable, filter) = (names.consumer(Stage::Fetch), names.jobs());
        let live = Open::of(journal, names, Stream::Jobs, &durable, &filter, true).await?;
        let (durable, filter) = (names.background_consumer(), names.background_jobs());
        let background = Open::of(journal, names, Stream::Jobs, &durable, &filter, true).await?;
        let mut stages = vec![Self::new(Stage::Fetch.name(), None, live)];
        stages.extend(background.map(|open| Self::new("fetch background", None, Some(open))));
        stages.push(Self::transforming(journal, names, true).await?);
        for target in targets {
            stages.push(Self::writing(journal, names, target, true).await?);
        }
        Ok(stages)
    }

    /// The transform stage, without the age of what waits.
    pub async fn transform(journal: &Journal, names: &Topology) -> Result<Self, JournalError> {
        Self::transforming(journal, names, false).await
    }

    /// The write stage of one target, summed over its partitions, without the age of what waits.
    pub async fn write(
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
    ) -> Result<Self, JournalError> {
        Self::writing(journal, names, target, false).await
    }

    async fn transforming(journal: &Journal, names: &Topology, ages: bool) -> Result<Self, JournalError> {
        let durable = names.consumer(Stage::Transform);
        let open = Open::of(journal, names, Stream::Raw, &durable, &names.raw(), ages).await?;
        Ok(Self::new(Stage::Transform.name(), None, open))
    }

    async fn writing(
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
        ages: bool,
    ) -> Result<Self, JournalError> {
        let asked = (0..names.partitions()).map(|partition| async move {
            let (durable, filter) = (names.writer(target, partition), names.mapped(partition));
            Open::of(journal, names, Stream::Mapped, &durable, &filter, ages).await
        });
        let mut sum = Some(Open::default());
        for open in futures::future::join_all(asked).await {
            // A partition that nobody has consumed yet may hold any number of orders: unknown, not 0.
            sum = sum.zip(open?).map(|(sum, open)| sum.and(open));
        }
        Ok(Self::new(Stage::Write.name(), Some(target.to_string()), sum))
    }

    /// Whether nothing is left to do; `false` when that is not known.
    pub fn is_drained(&self) -> bool {
        self.lag == Some(0) && self.ack_pending == Some(0)
    }
}

/// How many messages MAPPED holds for writers: orders and deletions, each as often as it was mapped or sent again. It holds others as
/// well, for the account and for `trace`.
///
/// # Errors
/// When the server does not answer.
pub async fn mapped(journal: &Journal, names: &Topology) -> Result<u64, JournalError> {
    let partitions: HashSet<String> =
        (0..names.partitions()).map(|partition| names.mapped(partition)).collect();
    let filter = format!("{}.mapped.*", names.flow());
    let subjects = journal.subjects(names, Stream::Mapped, &filter).await?;
    Ok(subjects.iter().filter(|(subject, _)| partitions.contains(subject)).map(|(_, count)| count).sum())
}

/// How often [`drained`] asks.
const ASK: Duration = Duration::from_millis(20);

/// Waits until the transform stage, and then every write stage, has nothing left to do.
///
/// # Errors
/// When the server does not answer.
pub async fn drained(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
) -> Result<(), JournalError> {
    while !StageStatus::transform(journal, names).await?.is_drained() {
        tokio::time::sleep(ASK).await;
    }
    for target in targets {
        while !StageStatus::write(journal, names, target).await?.is_drained() {
            tokio::time::sleep(ASK).await;
        }
    }
    Ok(())
}
