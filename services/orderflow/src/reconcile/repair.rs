//! The repair: what MAPPED holds is sent again from there, what differs at the source is written over what the target holds, and
//! everything else is read again at the source.

use std::collections::{BTreeSet, HashMap};

use events::{Log, MappedOrder, OrderKey, TargetName, Work, now};
use journal::{Journal, JournalError, Stream, Topology};
use operations::backfill::{self, BackfillPlan};
use operations::{
    Cause, Comparison, Reconciliation, SourceReading, Unlike, lifted_version, prepare_rewrite, runs,
};
use service::Config;
use tokio_util::sync::CancellationToken;

use super::todays_rows::TodaysRows;
use crate::cli::Output;
use crate::exit::{Exit, print, say_line};
use crate::operations_command::carry_to_its_end;

/// A backfill of what is missing reads at least so much in one window, in microseconds.
const DAY: i64 = 86_400_000_000;
/// It has no more windows than this: what is too much for one is split when it is read.
const WINDOWS: i64 = 30;
/// Orders a second that are sent to the writers, at most.
const PER_SECOND: u32 = 1_000;

/// Says how many orders a repair would act on.
pub(super) fn say_what_would_be_done(found: &[Comparison]) {
    let settled: u64 = found.iter().map(|found| found.settled.len() as u64).sum();
    let all = found.iter().map(|found| (found.to_resend().count() + found.to_rewrite().count()) as u64);
    let written = all.sum::<u64>() - settled;
    if written > 0 {
        let would =
            t!("--repair would have %{count} written; --execute --reason \"...\" does it", count = written);
        say_line(&would);
    }
    if settled > 0 {
        let would = t!(
            "--repair would note of %{count} that they agree again; --execute --reason \"...\" does it",
            count = settled
        );
        say_line(&would);
    }
}

/// What a repair works with.
pub(super) struct Repair<'a> {
    pub(super) config: &'a Config,
    pub(super) journal: &'a Journal,
    pub(super) names: &'a Topology,
    pub(super) reading: SourceReading<'a>,
    pub(super) rows: &'a TodaysRows<'a>,
    pub(super) reason: &'a str,
    pub(super) output: Output,
}

impl Repair<'_> {
    /// Has exactly what is not there written.
    pub(super) async fn run(
        &self,
        found: &[Comparison],
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Exit> {
        let mut exit = if found.iter().any(has_what_no_repair_mends) { Exit::Partial } else { Exit::Ok };
        let mut from_source = BTreeSet::new();
        for comparison in found {
            exit = exit.max(self.resend(comparison, &mut from_source, shutdown).await?);
            exit = exit.max(self.rewrite(comparison, shutdown).await?);
        }
        if !from_source.is_empty() {
            self.read_again(from_source.len()).await?;
        }
        Ok(exit)
    }

    /// Sends again what MAPPED holds, and notes what it does not hold.
    async fn resend<'f>(
        &self,
        comparison: &'f Comparison,
        from_source: &mut BTreeSet<&'f str>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Exit> {
        let target = TargetName::new(&comparison.target);
        if comparison.to_resend().next().is_none() {
            return Ok(Exit::Ok);
        }
        let logs = Reconciliation::of(self.journal, self.names, &target).await?;
        let known = logs.missing.iter().chain(&logs.stale).chain(&logs.unknown);
        let known: HashMap<&str, u64> = known.map(|order| (order.key.as_str(), order.mapped_seq)).collect();
        let mut messages = Vec::new();
        for unlike in comparison.to_resend() {
            match known.get(unlike.key.as_str()) {
                Some(seq) => messages.push(*seq),
                None => {
                    from_source.insert(&unlike.order);
                }
            }
        }
        if messages.is_empty() {
            return Ok(Exit::Ok);
        }
        messages.sort_unstable();
        let count = messages.len();
        let text = format!("write {count} orders to {target} that it does not hold, from MAPPED");
        let work = Work::Replay {
            log: Log::Mapped,
            messages: runs(messages),
            orders: count as u64,
            key: None,
            target: Some(target),
            // What it was given after all is not sent again.
            force: false,
            mapping: None,
            per_second: PER_SECOND,
        };
        self.carry(text, work, shutdown).await
    }

    /// Writes what the source has now over what the target holds.
    async fn rewrite(&self, comparison: &Comparison, shutdown: &CancellationToken) -> anyhow::Result<Exit> {
        let target = TargetName::new(&comparison.target);
        // Operations begin one after the other in OPS, so a later one makes newer versions.
        let generation = self.journal.size(self.names, Stream::Ops).await?.1 + 1;
        let generation = u32::try_from(generation).unwrap_or(u32::MAX);
        let mut orders = Vec::new();
        let mut changed = 0_u64;
        for unlike in comparison.to_rewrite() {
            match self.order(unlike, generation) {
                Some(order) => orders.push(order),
                None => changed += 1,
            }
        }
        let mut exit = Exit::Ok;
        if changed > 0 {
            exit = Exit::Partial;
            self.tell_line(&t!(
                "%{count} orders were changed or written while they were compared; the same command again repairs them",
                count = changed
            ));
        }
        if orders.is_empty() {
            return Ok(exit);
        }
        let text = plan_text(comparison, orders.len());
        let messages = self.prepare(&target, &orders).await?;
        let work = Work::Rewrite { messages: runs(messages), target, per_second: PER_SECOND };
        Ok(exit.max(self.carry(text, work, shutdown).await?))
    }

    async fn prepare(&self, target: &TargetName, orders: &[MappedOrder]) -> Result<Vec<u64>, JournalError> {
        let run = format!("{}:{}", now(), target.token());
        prepare_rewrite(self.journal, self.names, &run, orders).await
    }

    /// The order as it is written; `None` when what was read of it is not at hand.
    fn order(&self, unlike: &Unlike, generation: u32) -> Option<MappedOrder> {
        let row = self.rows.find(&unlike.key, self.reading.listed.get(&unlike.order)?)?;
        Some(MappedOrder {
            key: OrderKey::new(&unlike.key)?,
            number: row.number,
            version: lifted_version(unlike.held?, self.reading.raw_through, generation),
            origin: unlike.origin.clone()?,
            mapping: self.reading.mapping.to_string(),
            content: row.content,
            record: row.record,
            marks: row.marks,
        })
    }

    async fn carry(&self, text: String, work: Work, shutdown: &CancellationToken) -> anyhow::Result<Exit> {
        let Self { config, journal, names, reason, .. } = self;
        let id = operations::begin(journal, names, "repair", text, reason, work).await?;
        // What it sends is looked at by the next comparison.
        let Some(report) = carry_to_its_end(config, journal, names, &id, None, shutdown).await? else {
            return Ok(Exit::Refused);
        };
        self.tell(&report.text());
        Ok(report.exit())
    }

    /// Tells people what was done; beside the JSON of a comparison, which has stdout for itself.
    fn tell(&self, text: &str) {
        match self.output {
            Output::Json => say_line(text.trim_end()),
            Output::Table => print(text),
        }
    }

    fn tell_line(&self, line: &str) {
        self.tell(&format!("{line}\n"));
    }

    /// Has the range read again at the source.
    async fn read_again(&self, count: usize) -> anyhow::Result<()> {
        let range = self.reading.range;
        let step = ((range.until - range.since) / WINDOWS).max(DAY);
        let plan = BackfillPlan::new(range, step - step % 1_000_000, now())?;
        backfill::request(self.journal, self.names, &plan, self.reason).await?;
        self.tell_line(&t!(
            "%{id}: %{count} orders are read again at the source, by the fetchers that run; `orderflow status` shows how far \
             they are",
            id = plan.id,
            count = count
        ));
        Ok(())
    }
}

/// What waits for a person whatever is repaired.
fn has_what_no_repair_mends(found: &Comparison) -> bool {
    let kept = |unlike: &Unlike| unlike.cause == Some(Cause::Repeat);
    let lists = [&found.dead, &found.extra, &found.unmappable];
    let mut differing = found.other_content.iter().chain(&found.older_stamp);
    lists.into_iter().any(|list| !list.is_empty()) || differing.any(kept)
}

/// What is going to be written, as it is kept with the operation.
fn plan_text(comparison: &Comparison, count: usize) -> String {
    let of = |cause| {
        let differing = comparison.other_content.iter().chain(&comparison.older_stamp);
        differing.filter(|unlike| unlike.cause == Some(cause)).count()
    };
    format!(
        "write {count} orders over what {} holds, as the source has them now: {} with an older update time; {} changed at the \
         source, {} written by another mapping, {} of which that is not known, {} that agree again",
        comparison.target,
        comparison.older_stamp.len(),
        of(Cause::Source),
        of(Cause::Mapping),
        of(Cause::Unknown),
        comparison.settled.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differing(cause: Cause) -> Unlike {
        Unlike {
            order: "1".into(),
            key: "1".into(),
            source: None,
            target: None,
            cause: Some(cause),
            error: None,
            held: None,
            origin: None,
        }
    }

    #[test]
    fn what_the_target_keeps_to_itself_waits_for_a_person_in_either_list() {
        for (cause, waits) in [(Cause::Repeat, true), (Cause::Source, false), (Cause::Unknown, false)] {
            let list = vec![differing(cause)];
            let older = Comparison { older_stamp: list.clone(), ..Comparison::default() };
            let other = Comparison { other_content: list, ..Comparison::default() };
            assert_eq!(has_what_no_repair_mends(&older), waits, "{cause:?} with an older update time");
            assert_eq!(has_what_no_repair_mends(&other), waits, "{cause:?} with other content");
        }
    }
}
