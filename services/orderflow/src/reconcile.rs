//! `orderflow reconcile`: what the source has, against what each target was given.

use std::collections::BTreeSet;
use std::path::Path;

use events::{Log, Slice, TargetName, Work, now};
use fetcher::survey;
use jiff::tz::TimeZone;
use journal::{Journal, Topology};
use mapping::Outcome;
use operations::backfill::{self, BackfillPlan};
use operations::{Comparison, Listed, Reconciliation, Unlike, runs};
use serde_json::value::RawValue;
use service::{Config, ConfigError};
use tokio_util::sync::CancellationToken;

use crate::backfill::flags::moment;
use crate::cli::{Output, ReconcileArgs};
use crate::columns::padded;
use crate::dead::reason;
use crate::exit::{Exit, print, print_line};
use crate::operations_command::carry_to_its_end;
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;

/// So many orders of each list are shown; `-o json` has all of them.
const SHOWN: usize = 20;

/// A backfill of what is missing reads at least so much in one window, in microseconds.
const DAY: i64 = 86_400_000_000;
/// It has no more windows than this: what is too much for one is split when it is read.
const WINDOWS: i64 = 30;

pub async fn run(args: ReconcileArgs, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config, shutdown).await).await
}

async fn tell(args: &ReconcileArgs, config: &Config, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let range = range(args, config)?;
    let reason = reason(args.execute, args.reason.as_deref())?;
    let plan = transformer::load_mapping(config)?;
    if plan.is_by_element() {
        let message = t!(
            "it makes a record of each element of a list: which records an order has is not known without reading it all"
        );
        return Err(ConfigError::Key { place: "mapping".into(), message: message.into() }.into());
    }
    if config.source.detail.is_some() {
        let message = t!("the mapping reads details, and the list that is compared here does not have them");
        return Err(ConfigError::Key { place: "source.detail".into(), message: message.into() }.into());
    }
    let journal = connect(config, "reconcile").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    // Up to now: what was changed after the range has left it, and is no order that the source does not have.
    let all = Slice { since: range.since, until: now().max(range.until) };
    let listed = survey(config, &journal, all, |row| {
        let Ok(row) = serde_json::from_slice::<&RawValue>(row) else { return Listed::default() };
        let who = plan.identify(row);
        let skipped = matches!(plan.map(row), Ok(Outcome::Skipped(_)));
        Listed { key: who.key, updated_at: who.version, skipped }
    })
    .await?;
    let mut found = Vec::new();
    for target in &config.targets {
        let target = TargetName::new(&target.name);
        found.push(Comparison::of(&journal, &names, &target, range, &listed).await?);
    }
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&found)?)),
        Output::Table => {
            print(&found.iter().map(|found| shown(found, range, &config.zone())).collect::<String>())
        }
    }
    let wrong: u64 = found.iter().map(|found| found.to_repair().count() as u64).sum();
    if wrong > 0 && args.repair {
        let Some(reason) = reason else {
            let would =
                t!("--repair would have %{count} written; --execute --reason \"...\" does it", count = wrong);
            eprintln!("{would}");
            return Ok(Exit::Partial);
        };
        return repair(config, &journal, &names, range, &found, reason, &shutdown).await;
    }
    Ok(match found.iter().all(|found| found.is_even() && found.dead.is_empty()) {
        true => Exit::Ok,
        false => Exit::Partial,
    })
}

fn range(args: &ReconcileArgs, config: &Config) -> Result<Slice, ConfigError> {
    let settle = i64::try_from(config.schedule.settle.get().as_micros()).unwrap_or(i64::MAX);
    // What was changed later may not have been read yet by a flow that does all it should.
    let last = now().saturating_sub(settle);
    let until =
        args.to.as_deref().map(|text| moment("--to", text, config)).transpose()?.unwrap_or(last).min(last);
    let since = moment("--from", &args.from, config)?;
    if since >= until {
        let until = time(until, &config.zone());
        let message =
            t!("found \"%{found}\", expected a time before %{time}", found = args.from, time = until);
        return Err(ConfigError::Key { place: "--from".into(), message: message.into() });
    }
    Ok(Slice { since, until })
}

/// Has exactly what is not there written: what MAPPED holds from there, everything else from the source.
async fn repair(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    range: Slice,
    found: &[Comparison],
    reason: &str,
    shutdown: &CancellationToken,
) -> anyhow::Result<Exit> {
    let (mut exit, mut from_source) = (Exit::Ok, BTreeSet::new());
    // What no repair can mend waits for a person.
    if found.iter().any(|found| !found.dead.is_empty() || !found.extra.is_empty()) {
        exit = Exit::Partial;
    }
    for comparison in found {
        let target = TargetName::new(&comparison.target);
        let logs = Reconciliation::of(journal, names, &target).await?;
        let known = logs.missing.iter().chain(&logs.stale).chain(&logs.unknown);
        let known: std::collections::HashMap<&str, u64> =
            known.map(|order| (order.key.as_str(), order.mapped_seq)).collect();
        let mut messages = Vec::new();
        for unlike in comparison.to_repair() {
            match known.get(unlike.key.as_str()) {
                Some(seq) => messages.push(*seq),
                None => {
                    from_source.insert(&unlike.order);
                }
            }
        }
        if messages.is_empty() {
            continue;
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
            per_second: 1_000,
        };
        let id = operations::begin(journal, names, "repair", text, reason, work).await?;
        exit = exit.max(carry_to_its_end(config, journal, names, &id, shutdown).await?);
    }
    if !from_source.is_empty() {
        let step = ((range.until - range.since) / WINDOWS).max(DAY);
        let plan = BackfillPlan::new(range, step - step % 1_000_000, now())?;
        backfill::request(journal, names, &plan, reason).await?;
        print_line(&t!(
            "%{id}: %{count} orders are read again at the source, by the fetchers that run; `orderflow status` shows how far \
             they are",
            id = plan.id,
            count = from_source.len()
        ));
    }
    Ok(exit)
}

fn shown(found: &Comparison, range: Slice, zone: &TimeZone) -> String {
    let Comparison { target, source, up_to_date, skipped, missing, stale, unknown, dead, discarded, extra } =
        found;
    let (since, until) = (time(range.since, zone), time(range.until, zone));
    let heading = t!("%{target}, %{since} to %{until}", target = target, since = since, until = until);
    let counts = t!(
        "%{source} orders at the source = %{up_to_date} up to date + %{skipped} skipped + %{missing} missing + %{stale} stale \
         + %{unknown} unknown + %{dead} dead + %{discarded} discarded; %{extra} more that the source does not list",
        source = source,
        up_to_date = up_to_date,
        skipped = skipped,
        missing = missing.len(),
        stale = stale.len(),
        unknown = unknown.len(),
        dead = dead.len(),
        discarded = discarded.len(),
        extra = extra.len()
    );
    let mut out = format!("{heading}\n{counts}\n");
    let at = |at: Option<i64>| at.map_or_else(|| "-".to_string(), |at| time(at, zone));
    for (name, list) in [
        (t!("missing"), missing),
        (t!("stale"), stale),
        (t!("unknown"), unknown),
        (t!("dead"), dead),
        (t!("discarded"), discarded),
        (t!("extra"), extra),
    ] {
        let name = padded(&name, 8);
        for Unlike { order, source, target, .. } in list.iter().take(SHOWN) {
            let states = t!(
                "%{order}  source %{source}  target %{target}",
                order = order,
                source = at(*source),
                target = at(*target)
            );
            out.push_str(&format!("  {name} {states}\n"));
        }
        if list.len() > SHOWN {
            let more = t!("and %{count} more; -o json has all", count = list.len() - SHOWN);
            out.push_str(&format!("  {name} {more}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_both;

    #[test]
    fn a_comparison_in_both_languages() {
        const AT: i64 = 1_741_233_600_000_000;
        let unlike = |order: u64, target| Unlike {
            order: order.to_string(),
            key: order.to_string(),
            source: Some(AT),
            target,
        };
        let found = Comparison {
            target: "qeasy".into(),
            source: 130,
            up_to_date: 95,
            skipped: 7,
            missing: (0..23).map(|number| unlike(5203550000 + number, None)).collect(),
            stale: vec![unlike(5203550100, Some(AT - 60_000_000))],
            unknown: vec![unlike(5203550101, Some(AT))],
            dead: vec![unlike(5203550102, None)],
            discarded: vec![unlike(5203550103, None)],
            extra: vec![Unlike { source: None, ..unlike(5203550104, Some(AT)) }],
        };
        let range = Slice { since: AT - 86_400_000_000, until: AT };
        insta::assert_snapshot!(in_both(|| shown(&found, range, &TimeZone::UTC)));
    }
}
