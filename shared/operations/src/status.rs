//! The status of a flow, from its streams and consumers. What is not known is `None`, never 0.

use std::time::Duration;

use events::{Micros, Stage, TargetName, WatermarkMoved, WindowEvent, now};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Lag, Stream, Topology};
use serde::Serialize;

use crate::account::{WindowLine, WindowState};

/// One stage, or one target of the write stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageStatus {
    /// `fetch`, `transform`, `write`.
    pub stage: &'static str,
    /// The target, for `write`.
    pub target: Option<String>,
    /// Messages not delivered yet; `None` when the stage has never run.
    pub lag: Option<u64>,
    /// Messages in hand.
    pub ack_pending: Option<u64>,
    /// Of those, delivered more than once.
    pub redelivered: Option<u64>,
}

/// The watermark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watermark {
    /// Everything at the source up to here is fetched and proved; microseconds since the Unix epoch.
    pub to: Micros,
    /// How long ago that is, in seconds.
    pub age_seconds: i64,
}

/// Open dead letters of one stage and kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetters {
    /// The stage.
    pub stage: String,
    /// The kind.
    pub kind: String,
    /// How many.
    pub letters: u64,
}

/// The status of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The flow.
    pub flow: String,
    /// LAST_SYNC_TIME; `None` before the first window closed.
    pub watermark: Option<Watermark>,
    /// The newest window; `None` before the first.
    pub window: Option<WindowLine>,
    /// The stages.
    pub stages: Vec<StageStatus>,
    /// Dead letters by stage and kind.
    pub dead: Vec<DeadLetters>,
    /// Dead letters that nobody has dealt with.
    pub dead_open: u64,
    /// Orders with a receipt, over all targets.
    pub orders: u64,
}

impl Status {
    /// Reads the status now.
    ///
    /// # Errors
    /// When the server does not answer, or the flow has never run.
    pub async fn read(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
    ) -> Result<Self, JournalError> {
        let watermark = match journal.last(names, Stream::Sync, &names.watermark()).await? {
            None => None,
            Some(entry) => {
                let to = entry.event::<WatermarkMoved>()?.body.to;
                Some(Watermark { to, age_seconds: (now() - to) / 1_000_000 })
            }
        };
        let mut stages = vec![
            stage(journal, names, Stage::Fetch, Stream::Jobs).await?,
            stage(journal, names, Stage::Transform, Stream::Raw).await?,
        ];
        for target in targets {
            stages.push(Self::write_stage(journal, names, target).await?);
        }
        let (dead, dead_open) = dead(journal, names).await?;
        let (_, _, orders) = journal.size(names, Stream::Receipts).await?;
        let window = newest_window(journal, names).await?;
        Ok(Self { flow: names.flow().to_string(), watermark, window, stages, dead, dead_open, orders })
    }

    /// The write stage of one target, summed over its partitions.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn write_stage(
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
    ) -> Result<StageStatus, JournalError> {
        let asked = (0..names.partitions()).map(|partition| async move {
            journal.lag(names, Stream::Mapped, &names.writer(target, partition)).await
        });
        let mut sum = Some(Lag::default());
        for lag in futures::future::join_all(asked).await {
            // A partition that nobody has consumed yet may hold any number of orders: unknown, not 0.
            sum = sum.zip(lag?).map(|(sum, lag)| Lag {
                pending: sum.pending + lag.pending,
                in_hand: sum.in_hand + lag.in_hand,
                redelivered: sum.redelivered + lag.redelivered,
                ..sum
            });
        }
        Ok(StageStatus::new(Stage::Write, Some(target.to_string()), sum))
    }

    /// Whether something waits for a person: a window without proof, or open dead letters.
    pub fn needs_attention(&self) -> bool {
        let failed =
            self.window.as_ref().is_some_and(|window| matches!(window.state, WindowState::Failed { .. }));
        failed || self.dead_open > 0
    }
}

impl StageStatus {
    fn new(stage: Stage, target: Option<String>, lag: Option<Lag>) -> Self {
        Self {
            stage: stage.name(),
            target,
            lag: lag.map(|lag| lag.pending),
            ack_pending: lag.map(|lag| lag.in_hand),
            redelivered: lag.map(|lag| lag.redelivered),
        }
    }

    /// Whether nothing is left to do; `false` when that is not known.
    pub fn is_drained(&self) -> bool {
        self.lag == Some(0) && self.ack_pending == Some(0)
    }

    /// The transform stage alone: what a run waits for.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn transform(journal: &Journal, names: &Topology) -> Result<Self, JournalError> {
        stage(journal, names, Stage::Transform, Stream::Raw).await
    }
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
        while !Status::write_stage(journal, names, target).await?.is_drained() {
            tokio::time::sleep(ASK).await;
        }
    }
    Ok(())
}

async fn stage(
    journal: &Journal,
    names: &Topology,
    stage: Stage,
    stream: Stream,
) -> Result<StageStatus, JournalError> {
    let lag = journal.lag(names, stream, &names.consumer(stage)).await?;
    Ok(StageStatus::new(stage, None, lag))
}

async fn dead(journal: &Journal, names: &Topology) -> Result<(Vec<DeadLetters>, u64), JournalError> {
    let (mut dead, mut resolved) = (Vec::new(), 0);
    let filter = format!("{}.dead.>", names.flow());
    for (subject, letters) in journal.subjects(names, Stream::Dead, &filter).await? {
        match subject.split('.').collect::<Vec<_>>()[..] {
            [_, _, "resolved"] => resolved += letters,
            [_, _, stage, kind] => dead.push(DeadLetters { stage: stage.into(), kind: kind.into(), letters }),
            _ => {}
        }
    }
    dead.sort_by(|a, b| (&a.stage, &a.kind).cmp(&(&b.stage, &b.kind)));
    let all: u64 = dead.iter().map(|group| group.letters).sum();
    Ok((dead, all.saturating_sub(resolved)))
}

async fn newest_window(journal: &Journal, names: &Topology) -> Result<Option<WindowLine>, JournalError> {
    let filter = names.windows();
    let subjects = journal.subjects(names, Stream::Sync, &filter).await?;
    let number =
        |subject: &str| subject.rsplit(['.', '-']).next().and_then(|number| number.parse::<u64>().ok());
    let Some((newest, _)) = subjects.into_iter().max_by_key(|(subject, _)| number(subject)) else {
        return Ok(None);
    };
    let mut log = journal.read(names, Stream::Sync, Some(&newest), From::Start, false).await?;
    let mut line = None::<WindowLine>;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        let event = WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))?;
        match (event, line.as_mut()) {
            (WindowEvent::Opened(opened), _) => {
                line = Some(WindowLine {
                    window: opened.window.to_string(),
                    since: opened.since,
                    until: opened.until,
                    state: WindowState::Open,
                });
            }
            (WindowEvent::Closed(closed), Some(line)) => {
                let proof = closed.proof;
                line.state =
                    WindowState::Closed { total: proof.total, distinct: proof.distinct, passes: proof.pass };
            }
            (WindowEvent::Failed(failed), Some(line)) => {
                line.state = WindowState::Failed { reason: failed.reason }
            }
            _ => {}
        }
    }
    Ok(line)
}
