//! The status of a flow, from its streams and consumers. What is not known is `None`, never 0.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{
    Instance, LIVE, Micros, Stage, TargetName, WatermarkMoved, WindowEvent, WindowId, WindowOpened, now,
};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Lag, Stream, Topology};
use serde::Serialize;

use crate::account::{WindowLine, WindowState};
use crate::instances::instances;
use crate::resume::{self, Stopped};

/// One stage, or one target of the write stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageStatus {
    /// `fetch`, `fetch background` (the pages of sweeps and backfills), `transform`, `write`.
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
    /// The newest live window; `None` before the first.
    pub window: Option<WindowLine>,
    /// The newest window of every other lane that had one lately: deletions, sweeps, backfills.
    pub lanes: Vec<WindowLine>,
    /// The stages.
    pub stages: Vec<StageStatus>,
    /// The transformers and writers that answer right now.
    pub instances: Vec<Instance>,
    /// The targets whose writers have stopped because too much was refused.
    pub stopped: Vec<Stopped>,
    /// Dead letters by stage and kind.
    pub dead: Vec<DeadLetters>,
    /// Dead letters that nobody has dealt with.
    pub dead_open: u64,
    /// Orders with a receipt, over all targets.
    pub orders: u64,
    /// How far each log is: the sequence of its last message. The difference of two looks is a rate.
    pub positions: BTreeMap<&'static str, u64>,
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
        // Those who are asked answer while the streams are read.
        let (mut here, writers, status) = futures::join!(
            instances(journal, names, Stage::Transform),
            instances(journal, names, Stage::Write),
            Self::stored(journal, names, targets)
        );
        here.extend(writers);
        Ok(Self { instances: here, ..status? })
    }

    /// All of it that the streams and consumers say.
    async fn stored(
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
        let mut stages = vec![stage(journal, names, Stage::Fetch, Stream::Jobs).await?];
        stages.extend(StageStatus::background(journal, names).await?);
        stages.push(stage(journal, names, Stage::Transform, Stream::Raw).await?);
        let mut stopped = Vec::new();
        for target in targets {
            stages.push(Self::write_stage(journal, names, target).await?);
            stopped.extend(resume::stopped(journal, names, target).await?);
        }
        let (dead, dead_open) = dead(journal, names).await?;
        let (mut positions, mut orders) = (BTreeMap::new(), 0);
        for stream in [Stream::Raw, Stream::Mapped, Stream::Receipts, Stream::Dead] {
            let (_, last, subjects) = journal.size(names, stream).await?;
            positions.insert(stream.name(), last);
            if stream == Stream::Receipts {
                orders = subjects;
            }
        }
        let (live, lanes) = newest_windows(journal, names)
            .await?
            .into_iter()
            .partition::<Vec<_>, _>(|line| WindowId::named(&line.window).lane() == LIVE);
        let window = live.into_iter().next();
        let (flow, instances) = (names.flow().to_string(), Vec::new());
        Ok(Self {
            flow,
            watermark,
            window,
            lanes,
            stages,
            instances,
            stopped,
            dead,
            dead_open,
            orders,
            positions,
        })
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

    /// Whether something waits for a person: a window without proof, open dead letters, a target whose writers have
    /// stopped, orders of which the target's state is not known, a mapping that was changed and cannot be used, or
    /// transformers with different mappings.
    pub fn needs_attention(&self) -> bool {
        let failed = |line: &WindowLine| matches!(line.state, WindowState::Failed { .. });
        let rejecting = |instance: &Instance| instance.mapping_rejected.is_some();
        let mut mappings = self.instances.iter().filter_map(|instance| instance.mapping.as_ref());
        let first = mappings.next();
        let differing = mappings.any(|mapping| Some(mapping) != first);
        let unknown = self.instances.iter().filter_map(|instance| instance.writing.as_ref());
        let unknown = unknown.flat_map(|writing| &writing.partitions).any(|held| held.unknown > Some(0));
        self.window.iter().chain(&self.lanes).any(failed)
            || self.dead_open > 0
            || self.instances.iter().any(rejecting)
            || differing
            || unknown
            || !self.stopped.is_empty()
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

    /// The pages of sweeps and backfills; `None` while no fetcher has run that knows them.
    async fn background(journal: &Journal, names: &Topology) -> Result<Option<Self>, JournalError> {
        let lag = journal.lag(names, Stream::Jobs, &names.background_consumer()).await?;
        Ok(lag.map(|lag| Self { stage: "fetch background", ..Self::new(Stage::Fetch, None, Some(lag)) }))
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

/// Windows further back are not looked for, unless nothing was proved since.
const LATELY: Micros = 2 * 86_400_000_000;

/// The newest window of each lane. Reads the subjects of two days of SYNC, not its events.
async fn newest_windows(journal: &Journal, names: &Topology) -> Result<Vec<WindowLine>, JournalError> {
    let watermark = journal.last(names, Stream::Sync, &names.watermark()).await?;
    let lately = From::Time(now() - LATELY);
    let mut log = journal.read(names, Stream::Sync, Some(&names.windows()), lately, true).await?;
    let mut newest = BTreeMap::<String, WindowId>::new();
    let mut note = |id: WindowId| {
        let known = newest.entry(id.lane().to_string()).or_insert_with(|| id.clone());
        *known = known.clone().max(id);
    };
    if let Some(entry) = watermark {
        note(entry.event::<WatermarkMoved>()?.body.window);
    }
    while let Some(entry) = log.next().await {
        entry?.subject.rsplit('.').next().into_iter().map(WindowId::named).for_each(&mut note);
    }
    let mut lines = Vec::new();
    for id in newest.values() {
        lines.extend(line(journal, names, id).await?);
    }
    Ok(lines)
}

async fn line(
    journal: &Journal,
    names: &Topology,
    id: &WindowId,
) -> Result<Option<WindowLine>, JournalError> {
    let subject = names.window(id);
    let mut log = journal.read(names, Stream::Sync, Some(&subject), From::Start, false).await?;
    let Some(first) = log.next().await.transpose()? else { return Ok(None) };
    let Some(last) = journal.last(names, Stream::Sync, &subject).await? else { return Ok(None) };
    let WindowOpened { since, until, .. } = first.event::<WindowOpened>()?.body;
    let state = match WindowEvent::decode(&last.payload).map_err(|source| last.unreadable(source))? {
        WindowEvent::Closed(closed) => WindowState::closed(&closed.proof),
        WindowEvent::Failed(failed) => WindowState::Failed { reason: failed.reason },
        // The pages of the last requests may still come in after the end.
        _ => ended(journal, names, &subject, first.seq).await?,
    };
    Ok(Some(WindowLine { window: id.to_string(), since, until, state }))
}

/// The state of a window whose last event is a page.
async fn ended(
    journal: &Journal,
    names: &Topology,
    subject: &str,
    from: u64,
) -> Result<WindowState, JournalError> {
    let mut log = journal.read(names, Stream::Sync, Some(subject), From::Seq(from), false).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        match WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))? {
            WindowEvent::Closed(closed) => return Ok(WindowState::closed(&closed.proof)),
            WindowEvent::Failed(failed) => return Ok(WindowState::Failed { reason: failed.reason }),
            _ => {}
        }
    }
    Ok(WindowState::Open)
}
