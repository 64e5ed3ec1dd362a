//! What an operation came to, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};

use events::{Log, Work};
use operations::{Carried, FailedAgain, Hindrance, HindranceKind, Operation, SentResult, State};
use schemars::JsonSchema;
use serde::Serialize;

use super::show::failures;
use super::wait::{Awaited, WaitEnd};
use crate::exit::Exit;
use crate::summary::{grouped, listed};
use crate::words;

/// So many groups of what failed again are listed.
const GROUPS: usize = 10;
/// So many letters are named with each.
const LETTERS: usize = 5;

/// How far an operation was carried, and what the targets made of what it sent.
#[derive(Debug, JsonSchema, Serialize)]
pub struct OperationReport {
    /// The operation.
    pub operation: Operation,
    /// How carrying it ended.
    pub carried: Carried,
    /// What the targets made of it; `null` when nothing was sent, or nobody waited.
    pub outcome: Option<SentResult>,
    /// How waiting for that ended; `null` when nobody waited.
    pub waited: Option<WaitEnd>,
    /// What keeps from the targets what is still under way.
    pub hindrances: Vec<Hindrance>,
}

impl OperationReport {
    pub fn new(operation: Operation, carried: Carried, awaited: Option<Awaited>) -> Self {
        let mut report = Self { operation, carried, outcome: None, waited: None, hindrances: Vec::new() };
        if let Some(Awaited { result, ended, hindrances }) = awaited {
            report.outcome = Some(result);
            report.waited = Some(ended);
            report.hindrances = hindrances;
        }
        report
    }

    /// The exit status: 4 when something was not done, failed again, or is not known yet.
    pub fn exit(&self) -> Exit {
        let settled = self.outcome.as_ref().is_none_or(SentResult::is_settled);
        // A correction that the target did not take for its own is none.
        let refused = self.outcome.as_ref().is_some_and(|outcome| outcome.outcomes.contains_key("repeat"));
        match self.operation.state == State::Complete && settled {
            true if self.operation.verb == "edit" && refused => Exit::Partial,
            true => Exit::Ok,
            false => Exit::Partial,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!("{}: {}\n{}", self.operation.id, self.headline(), failures(&self.operation));
        if let Some(outcome) = &self.outcome {
            out.push_str(&details(outcome));
        }
        for hindrance in &self.hindrances {
            out.push_str(&format!("  {}\n", held_up(hindrance)));
        }
        if self.outcome.as_ref().is_some_and(|outcome| outcome.under_way > 0) {
            let later =
                t!("`orderflow ops show %{id}` shows later what came of them", id = self.operation.id);
            out.push_str(&format!("  {later}\n"));
        }
        out
    }

    fn headline(&self) -> String {
        let operation = &self.operation;
        let done = grouped(operation.done);
        match self.carried {
            Carried::ToItsEnd => {}
            Carried::Cancelled => return t!("cancelled after %{count}", count = done).into(),
            Carried::ByAnother => return t!("another process carries it on").into(),
            Carried::Stopped => {
                return t!(
                    "interrupted after %{done} of %{count}; `orderflow ops resume %{id}` goes on",
                    done = done,
                    count = operation.count.unwrap_or_default(),
                    id = operation.id
                )
                .into();
            }
        }
        let mut said = match (&self.outcome, &operation.work) {
            (_, Some(Work::Discard { .. })) => t!("%{count} discarded", count = done),
            (Some(outcome), Some(_)) => {
                t!(
                    "%{count} sent again: %{results}",
                    count = grouped(outcome.sent),
                    results = results(outcome)
                )
            }
            (Some(outcome), None) => t!("the correction is sent: %{results}", results = results(outcome)),
            (None, Some(Work::Replay { log: Log::Raw, .. })) => t!(
                "%{count} pages mapped again; `orderflow ops show %{id}` shows what came of them",
                count = done,
                id = operation.id
            ),
            (None, Some(_)) => t!(
                "%{count} sent again; `orderflow ops show %{id}` shows what came of them",
                count = done,
                id = operation.id
            ),
            (None, None) => t!(
                "the correction is sent; `orderflow ops show %{id}` shows what came of it",
                id = operation.id
            ),
        }
        .into_owned();
        if !operation.failures.is_empty() {
            said.push_str(&t!("; %{count} not done", count = grouped(operation.failures.len() as u64)));
        }
        said
    }
}

/// How many have which result: those that succeeded and those that were refused always, the others when there are any.
pub(super) fn results(outcome: &SentResult) -> String {
    let refused = outcome.failures.iter().filter(|failed| failed.kind == "refused").count() as u64;
    let mut succeeded = t!("%{count} succeeded", count = grouped(outcome.succeeded)).into_owned();
    let not_written = outcome.succeeded - outcome.outcomes.get("written").copied().unwrap_or_default();
    if not_written > 0 {
        let of = events::Outcome::ALL.into_iter().filter_map(|kind| {
            let count = outcome.outcomes.get(kind.name()).filter(|_| is_success(kind))?;
            Some(
                t!("%{count} %{outcome}", count = grouped(*count), outcome = words::outcome(kind))
                    .into_owned(),
            )
        });
        succeeded.push_str(&t!(" (%{list})", list = listed(of.collect())));
    }
    let mut parts = vec![succeeded, t!("%{count} refused again", count = grouped(refused)).into_owned()];
    let others = [
        (outcome.failed - refused, t!("%{count} failed again", count = grouped(outcome.failed - refused))),
        (outcome.unknown, t!("%{count} with an unknown outcome", count = grouped(outcome.unknown))),
        (
            outcome.older_stamp,
            t!("%{count} not written for an older update time", count = grouped(outcome.older_stamp)),
        ),
        (outcome.under_way, t!("%{count} still under way", count = grouped(outcome.under_way))),
    ];
    parts.extend(others.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text.into_owned()));
    listed(parts)
}

fn is_success(kind: events::Outcome) -> bool {
    !matches!(kind, events::Outcome::Unknown | events::Outcome::OlderStamp)
}

/// Why orders failed again: each group once, with an example and its new letters.
pub(super) fn details(outcome: &SentResult) -> String {
    let mut groups: BTreeMap<(&str, &str), (&FailedAgain, BTreeSet<u64>)> = BTreeMap::new();
    for failed in &outcome.failures {
        let group = groups.entry((&failed.target, &failed.fingerprint));
        group.or_insert_with(|| (failed, BTreeSet::new())).1.insert(failed.letter);
    }
    let mut groups: Vec<(&FailedAgain, BTreeSet<u64>)> = groups.into_values().collect();
    groups.sort_by_key(|(_, letters)| std::cmp::Reverse(letters.len()));
    let mut out = String::new();
    for (failed, letters) in groups.iter().take(GROUPS) {
        let named: Vec<String> = letters.iter().take(LETTERS).map(u64::to_string).collect();
        let mut named = named.join(" ");
        if letters.len() > LETTERS {
            named.push_str(" …");
        }
        let line = t!(
            "%{count} %{kind} by %{target} (group %{group}, letters %{letters}), for example: %{message}",
            count = grouped(letters.len() as u64),
            kind = words::kind(&failed.kind),
            target = failed.target,
            group = failed.fingerprint.get(..8).unwrap_or(&failed.fingerprint),
            letters = named,
            message = failed.message
        );
        out.push_str(&format!("  {line}\n"));
    }
    if groups.len() > GROUPS {
        let more =
            t!("and %{count} more groups; `orderflow dead groups` shows all", count = groups.len() - GROUPS);
        out.push_str(&format!("  {more}\n"));
    }
    if outcome.older_stamp > 0 {
        let repair = t!("`orderflow reconcile --repair` writes those with an older update time");
        out.push_str(&format!("  {repair}\n"));
    }
    out
}

/// What keeps orders from a target, and what helps.
pub fn held_up(hindrance: &Hindrance) -> String {
    let target = &hindrance.target;
    match &hindrance.kind {
        HindranceKind::NoWriter => t!(
            "no writer of %{target} answers: `orderflow up` or `orderflow write` sends what waits",
            target = target
        ),
        HindranceKind::Stopped { reason } => t!(
            "the writers of %{target} have stopped: %{reason}; `orderflow resume --target %{target}` lets them go on",
            target = target,
            reason = reason
        ),
        HindranceKind::LeftAlone { reason } => {
            t!("%{target} is left alone at the moment: %{reason}", target = target, reason = reason)
        }
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_both;
    use crate::operations_command::show::sample;

    fn failed(letter: u64, kind: &str, message: &str) -> FailedAgain {
        FailedAgain {
            letter,
            of_letter: Some(letter - 10),
            target: "qeasy".into(),
            key: Some(letter.to_string()),
            number: None,
            kind: kind.into(),
            message: message.into(),
            fingerprint: if kind == "refused" { "e6b118f3c0ffee00" } else { "0123456789abcdef" }.into(),
        }
    }

    fn report(outcome: Option<SentResult>) -> OperationReport {
        let mut operation = sample("retry-1", State::Complete);
        (operation.done, operation.failures) = (9, Vec::new());
        let (letters, max_replays, per_second) = (vec![(1, 9)], 5, 200);
        operation.work = Some(Work::Retry { letters, max_replays, per_second });
        OperationReport { outcome, ..OperationReport::new(operation, Carried::ToItsEnd, None) }
    }

    #[test]
    fn what_came_of_a_retry_in_both_languages() {
        let well =
            SentResult { sent: 9, succeeded: 9, outcomes: [("written", 9)].into(), ..SentResult::default() };
        let mut failures: Vec<FailedAgain> = (11..18)
            .map(|letter| failed(letter, "refused", &format!("40001: 客户不存在: {letter}")))
            .collect();
        failures.push(failed(18, "failed", "50001: database busy"));
        let badly = SentResult {
            sent: 1_020,
            succeeded: 1_007,
            outcomes: [("written", 1_000), ("unchanged", 7), ("unknown", 1), ("older_stamp", 2)].into(),
            failed: 8,
            failures,
            unknown: 1,
            older_stamp: 2,
            under_way: 2,
        };
        let kinds = [
            HindranceKind::NoWriter,
            HindranceKind::Stopped { reason: "100 of the last 200 orders were refused".into() },
            HindranceKind::LeftAlone { reason: "HTTP 503".into() },
        ];
        let hindrances: Vec<Hindrance> = kinds.map(|kind| Hindrance { target: "qeasy".into(), kind }).into();
        let said = || {
            let badly = OperationReport { hindrances: hindrances.clone(), ..report(Some(badly.clone())) };
            format!("{}{}{}", report(Some(well.clone())).text(), badly.text(), report(None).text())
        };
        insta::assert_snapshot!(in_both(said));
    }

    #[test]
    fn the_exit_status_says_whether_anything_is_left() {
        let of = |outcome| report(Some(outcome)).exit();
        let sent = SentResult { sent: 1, ..SentResult::default() };
        assert_eq!(of(SentResult { succeeded: 1, ..sent.clone() }), Exit::Ok);
        assert_eq!(of(SentResult { failed: 1, ..sent.clone() }), Exit::Partial);
        assert_eq!(of(SentResult { unknown: 1, ..sent.clone() }), Exit::Partial);
        assert_eq!(of(SentResult { older_stamp: 1, ..sent.clone() }), Exit::Partial);
        assert_eq!(of(SentResult { under_way: 1, ..sent }), Exit::Partial);
        assert_eq!(report(None).exit(), Exit::Ok, "nobody waited");
        let mut incomplete = report(None);
        incomplete.operation.state = State::Incomplete;
        assert_eq!(incomplete.exit(), Exit::Partial);
    }

    #[test]
    fn a_correction_that_the_target_kept_out_is_not_done() {
        let kept_out =
            SentResult { sent: 1, succeeded: 1, outcomes: [("repeat", 1)].into(), ..SentResult::default() };
        let mut edit = report(Some(kept_out));
        assert_eq!(edit.exit(), Exit::Ok, "of a retry it is there");
        edit.operation.verb = "edit".into();
        assert_eq!(edit.exit(), Exit::Partial);
    }
}
