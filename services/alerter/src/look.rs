//! Looking at the flow: one process does it for all.

use std::collections::BTreeSet;

use events::{AlertState, Finding, Micros, TargetName, now};
use journal::{Cell, Journal, JournalError, Stream, Topology};
use operations::alerts::{Look, Pace, SummaryDay, due_summary, fold, sum_up};
use operations::{DayTally, DeadGroup, Mask, Status};
use service::Config;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// What ended and is back is told no sooner than so long after the last time: ten minutes.
const CALM: Micros = 600_000_000;

/// What holds right now.
///
/// # Errors
/// When the server does not answer, or the flow has never run.
pub async fn looked(config: &Config, journal: &Journal, names: &Topology) -> Result<Look, JournalError> {
    let mut status = Status::read(journal, names, &targets(config)).await?;
    status.look_at_disk(config.nats.own_folder.as_deref());
    let groups = DeadGroup::all(journal, names, &Mask::of(config)).await?;
    Ok(Look::of(&status, &groups, &crate::state(journal, names).await?, config))
}

fn targets(config: &Config) -> Vec<TargetName> {
    config.targets.iter().map(|target| TargetName::new(&target.name)).collect()
}

pub(crate) struct Looker<'a> {
    config: &'a Config,
    journal: &'a Journal,
    names: Topology,
    cell: Cell,
    targets: Vec<TargetName>,
    webhooks: BTreeSet<String>,
    /// The groups of dead letters, and how far DEAD was: it is read again when it has moved.
    groups: (Option<u64>, Vec<DeadGroup>),
}

impl<'a> Looker<'a> {
    pub(crate) fn new(config: &'a Config, journal: &'a Journal, names: Topology, cell: Cell) -> Self {
        let webhooks = config.alerts.webhooks.iter().map(|webhook| webhook.name.clone()).collect();
        Self { config, journal, names, cell, targets: targets(config), webhooks, groups: (None, Vec::new()) }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.config.alerts.every.get());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await; // the first is at once: let the stages begin
        loop {
            let looking = async {
                tick.tick().await;
                Box::pin(self.look()).await
            };
            match stop.run_until_cancelled(looking).await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    let why = service::chain(&error);
                    tracing::warn!(why, "cannot look whether there is something to tell; trying again");
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), JournalError> {
        let (every, repeat) = (self.config.alerts.every.micros(), self.config.alerts.repeat.micros());
        let pace = Pace { repeat, calm: CALM.min(repeat) };
        let (state, _) = self.cell.get::<AlertState>().await?;
        // Another process has looked not long ago. Clocks differ: what is in the future says nothing.
        if (0..every - every / 10).contains(&(now() - state.looked_at)) {
            return Ok(());
        }
        let at = now();
        let mut status = Status::read(self.journal, &self.names, &self.targets).await?;
        let config = self.config;
        status.look_at_disk(config.nats.own_folder.as_deref());
        let look = Look::of(&status, self.groups(&status).await?, &state, config);
        let summary = self.summary(&state, &status, &look, at).await?;
        loop {
            let (state, seq) = self.cell.get::<AlertState>().await?;
            if (at..=now()).contains(&state.looked_at) {
                return Ok(()); // who looked at the same time was faster
            }
            let mut next = fold(&state, &look, &self.webhooks, at, pace);
            if let Some((day, finding)) = &summary {
                next = sum_up(&next, *day, finding.clone(), &self.webhooks, at);
            }
            match self.cell.set(&next, seq).await {
                Err(JournalError::Conflict { .. }) => {}
                other => return other.map(drop),
            }
        }
    }

    /// The daily summary, when one is due.
    async fn summary(
        &self,
        state: &AlertState,
        status: &Status,
        look: &Look,
        at: Micros,
    ) -> Result<Option<(SummaryDay, Finding)>, JournalError> {
        let Some(time) = self.config.alerts.summary else { return Ok(None) };
        let Some(day) = due_summary(state, time.get(), &self.config.zone(), at) else { return Ok(None) };
        let counted = (day.since, day.until);
        let tally = DayTally::count(self.journal, &self.names, &self.targets, counted).await?;
        let mut targets = tally.targets;
        for summary in &mut targets {
            let stage = status.stages.iter().find(|stage| stage.target.as_ref() == Some(&summary.target));
            summary.waiting = stage.and_then(|stage| stage.waiting);
        }
        let firing = look.holding.iter().map(|condition| condition.id.clone()).collect();
        let finding = Finding::Summary {
            since: day.since,
            until: day.until,
            read: tally.read,
            targets,
            dead_open: status.dead_open,
            watermark_age_seconds: status.watermark.as_ref().map(|watermark| watermark.age_seconds),
            firing,
        };
        Ok(Some((day, finding)))
    }

    async fn groups(&mut self, status: &Status) -> Result<&[DeadGroup], JournalError> {
        let position = status.positions.get(Stream::Dead.name()).copied();
        if self.groups.0 != position || position.is_none() {
            self.groups =
                (position, DeadGroup::all(self.journal, &self.names, &Mask::of(self.config)).await?);
        }
        Ok(&self.groups.1)
    }
}
