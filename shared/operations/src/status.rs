//! The status of a flow, from its streams and consumers. What is not known is `None`, never 0.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use events::{
    Instance, LIVE, Micros, Stage, TargetName, WatermarkMoved, WindowEvent, WindowId, WindowOpened, now,
};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{WindowLine, WindowState};
use crate::instances::expected_instances;
use crate::limits::{LimitNear, disk, limits};
use crate::mapping_watch::{MappingWatch, mapping_watch};
use crate::older_stamps;
use crate::pause::{Paused, paused_stages};
use crate::resume::{self, Stopped};
use crate::schedule::{OverdueRun, overdue_runs};
use crate::services::{ExpectedService, expected_services};
use crate::stages::StageStatus;

/// The watermark.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Watermark {
    /// Everything at the source up to here is fetched and proved; microseconds since the Unix epoch.
    pub to: Micros,
    /// How long ago that is, in seconds.
    pub age_seconds: i64,
}

/// Open dead letters of one stage and kind.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct DeadLetters {
    /// The stage.
    pub stage: String,
    /// The kind.
    pub kind: String,
    /// How many.
    pub letters: u64,
}

/// The status of a flow.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
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
    /// The fetchers, transformers and writers that answer right now, within a quarter of a second.
    pub instances: Vec<Instance>,
    /// The stages that are expected to have a process: one ran as a service in the last 24 hours, and did not end
    /// because it was asked to.
    pub expected: Vec<ExpectedService>,
    /// Commands like `up --once` that have not ended well for more than twice as long as usual.
    pub overdue: Vec<OverdueRun>,
    /// The stages that a person has paused.
    pub paused: Vec<Paused>,
    /// What is wrong with the mapping although every order is mapped.
    pub mapping: MappingWatch,
    /// Limits of the streams and of the account, and of the disk of a server of our own, of which some is used.
    pub limits: Vec<LimitNear>,
    /// The targets whose writers have stopped because too much was refused.
    pub stopped: Vec<Stopped>,
    /// Dead letters by stage and kind.
    pub dead: Vec<DeadLetters>,
    /// Dead letters that nobody has dealt with.
    pub dead_open: u64,
    /// Orders that were read later than what a target holds, differ from it and carry an older update time, as long as the
    /// target has not been given anything since.
    pub older_stamps: u64,
    /// Orders with a receipt, over all targets.
    pub orders: u64,
    /// How far each log is: the sequence of its last message. The difference of two looks is a rate.
    pub positions: BTreeMap<&'static str, u64>,
    /// How many messages came into each log in the last minute.
    pub last_minute: BTreeMap<&'static str, u64>,
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
        let present = async {
            let expected = expected_services(journal, names, targets).await?;
            let asked = [Stage::Fetch, Stage::Transform, Stage::Write].map(|stage| {
                let of = expected.iter().filter(move |service| service.stage == stage);
                let processes: Vec<_> = of.flat_map(|service| service.processes.clone()).collect();
                async move { expected_instances(journal, names, stage, &processes).await }
            });
            Ok::<_, JournalError>((futures::future::join_all(asked).await.concat(), expected))
        };
        let ((instances, expected), status) =
            futures::try_join!(present, Self::stored(journal, names, targets))?;
        Ok(Self { instances, expected, ..status })
    }

    /// Adds how full the disk is that holds the folder of a server of our own, when little of it is free. A folder that cannot be asked for is passed over:
    /// what cannot be stored there shows by itself.
    pub fn look_at_disk(&mut self, folder: Option<&Path>) {
        let found = folder.map(|folder| disk(folder, SOME));
        match found {
            Some(Ok(found)) => self.limits.extend(found.filter(|disk| disk.limit - disk.used < PLENTY)),
            Some(Err(error)) => tracing::debug!(%error, "how full the disk is cannot be told"),
            None => {}
        }
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
        let stages = StageStatus::all(journal, names, targets).await?;
        let mut stopped = Vec::new();
        for target in targets {
            stopped.extend(resume::stopped(journal, names, target).await?);
        }
        let (dead, dead_open) = dead(journal, names).await?;
        let older_stamps = older_stamps::count(journal, names, targets).await?;
        let paused = paused_stages(journal, names, targets).await?;
        let overdue = overdue_runs(journal, names).await?;
        let mapping = mapping_watch(journal, names).await?;
        let limits = limits(journal, names, SOME).await?;
        let (mut positions, mut last_minute, mut orders) = (BTreeMap::new(), BTreeMap::new(), 0);
        for stream in [Stream::Raw, Stream::Mapped, Stream::Receipts, Stream::Dead] {
            let (_, last, subjects) = journal.size(names, stream).await?;
            positions.insert(stream.name(), last);
            let mut lately = journal.read(names, stream, None, From::Time(now() - MINUTE), true).await?;
            let first = lately.next().await.transpose()?.map(|entry| entry.seq);
            last_minute.insert(stream.name(), first.map_or(0, |first| (last + 1).saturating_sub(first)));
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
            expected: Vec::new(),
            overdue,
            paused,
            mapping,
            limits,
            stopped,
            dead,
            dead_open,
            older_stamps,
            orders,
            positions,
            last_minute,
        })
    }

    /// Whether the watermark, or the end of a window, lies in the future: a clock that was ahead wrote it.
    pub fn is_in_the_future(&self) -> bool {
        let watermark = self.watermark.as_ref().is_some_and(|watermark| watermark.age_seconds < -AHEAD);
        let end = now() + AHEAD * 1_000_000;
        watermark || self.window.iter().chain(&self.lanes).any(|line| line.until > end)
    }
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

/// Limits of which fewer percent are used are left out.
const SOME: u8 = 1;

/// With so many bytes free a disk is not nearly full, whatever share of it is used: 10 GiB.
const PLENTY: u64 = 10 << 30;

/// A minute, in microseconds.
const MINUTE: Micros = 60_000_000;

/// Clocks may be so many seconds apart without anybody being told.
const AHEAD: i64 = 60;

/// Windows further back are not looked for, unless nothing was proved since.
const LATELY: Micros = 2 * 86_400_000_000;

/// The newest window of each lane. Reads the subjects of two days of SYNC, not its events.
async fn newest_windows(journal: &Journal, names: &Topology) -> Result<Vec<WindowLine>, JournalError> {
    let watermark = journal.last(names, Stream::Sync, &names.watermark()).await?;
    let lately = From::Time(now() - LATELY);
    let mut log = journal.read(names, Stream::Sync, Some(&names.windows()), lately, true).await?;
    let mut newest = BTreeMap::<String, WindowId>::new();
    let mut seen = BTreeSet::new();
    // The one that was opened last, which is not that of the highest number: those of sweeps are times, and a clock that was
    // ahead opens one of the future.
    let mut note = |id: WindowId| {
        if seen.insert(id.clone()) {
            newest.insert(id.lane().to_string(), id);
        }
    };
    while let Some(entry) = log.next().await {
        entry?.subject.rsplit('.').next().into_iter().map(WindowId::named).for_each(&mut note);
    }
    if let Some(entry) = watermark {
        let id = entry.event::<WatermarkMoved>()?.body.window;
        newest.entry(id.lane().to_string()).or_insert(id);
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
        WindowEvent::Failed(failed) => WindowState::failed(&failed.reason),
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
            WindowEvent::Failed(failed) => return Ok(WindowState::failed(&failed.reason)),
            _ => {}
        }
    }
    Ok(WindowState::Open)
}
