//! What `orderflow ops` tells a person.

use std::borrow::Cow;

use comfy_table::{CellAlignment, Table, presets};
use events::{Actor, Command};
use jiff::tz::TimeZone;
use operations::{Operation, SentResult, State};

use super::report::{details, results};
use crate::columns::{cells, padded};
use crate::status::time;
use crate::summary::grouped;

/// So many columns are for what a line is about.
const LABEL: usize = 11;

pub(super) fn failures(operation: &Operation) -> String {
    let lines = operation
        .failures
        .iter()
        .map(|failure| format!("  {}\n", t!("not %{seq}: %{why}", seq = failure.seq, why = failure.why)));
    lines.collect()
}

fn state(operation: &Operation) -> Cow<'static, str> {
    match operation.state {
        State::Running => t!("under way"),
        State::Paused => t!("paused"),
        State::Cancelled => t!("cancelled"),
        State::Complete => t!("complete"),
        State::Incomplete => t!("incomplete"),
    }
}

fn who(actor: &Actor) -> String {
    format!("{}@{}", actor.user, actor.host)
}

fn progress(operation: &Operation) -> String {
    match operation.count {
        None => "-".into(),
        Some(count) => format!("{}/{count}", operation.done),
    }
}

pub(super) fn list(all: &[Operation], zone: &TimeZone) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        t!("operation"),
        t!("began"),
        t!("who"),
        t!("state"),
        t!("done"),
        t!("reason"),
    ]);
    for operation in all {
        table.add_row(cells([
            operation.id.clone(),
            time(operation.began, zone),
            who(&operation.actor),
            state(operation).into(),
            progress(operation),
            if operation.reason.is_empty() { operation.plan.clone() } else { operation.reason.clone() },
        ]));
    }
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// All there is to say of one; `outcome` is what the targets made of what it sent.
pub(super) fn whole(operation: &Operation, outcome: Option<&SentResult>, zone: &TimeZone) -> String {
    let mut out = String::new();
    let mut tell = |what: &str, text: &str| {
        out.push_str(&format!("{}{}\n", padded(what, LABEL), service::escape_value(text)));
    };
    tell(&t!("operation"), &operation.id);
    tell(&t!("plan"), &operation.plan);
    tell(&t!("who"), &who(&operation.actor));
    tell(&t!("reason"), if operation.reason.is_empty() { "-" } else { &operation.reason });
    tell(&t!("began"), &time(operation.began, zone));
    tell(&t!("state"), &t!("%{state}, %{done} done", state = state(operation), done = progress(operation)));
    for said in &operation.said {
        let what = match said.command {
            // As they are typed.
            Command::Pause => "pause".into(),
            Command::Resume => "resume".into(),
            Command::Cancel => "cancel".into(),
            Command::Rate(rate) => t!("at most %{rate} a second", rate = rate),
        };
        tell(&t!("said"), &format!("{}  {}: {what}", time(said.at, zone), who(&said.actor)));
    }
    if let Some(result) = &operation.result {
        tell(&t!("result"), &format!("{}  {result}", time(operation.moved, zone)));
    }
    if let Some(outcome) = outcome {
        tell(
            &t!("outcome"),
            &t!("%{count} sent: %{results}", count = grouped(outcome.sent), results = results(outcome)),
        );
    }
    let details = outcome.map(details).unwrap_or_default();
    out + failures(operation).as_str() + details.as_str()
}

/// An operation for snapshots.
#[cfg(test)]
pub(super) fn sample(id: &str, state: State) -> Operation {
    use events::Failure;
    use operations::Said;

    const AT: i64 = 1_741_233_600_000_000;
    let actor = Actor { user: "li".into(), host: "erp".into() };
    let said = [(Command::Pause, 1), (Command::Rate(50), 2), (Command::Resume, 3)];
    Operation {
        id: id.into(),
        verb: "retry".into(),
        actor: actor.clone(),
        reason: "the customer is known now".into(),
        plan: "retry 7 dead letters, at most 200 a second".into(),
        began: AT,
        moved: AT + 60_000_000,
        state,
        count: Some(7),
        done: 6,
        failures: vec![Failure { seq: 12, why: "it cannot be read".into() }],
        result: Some("6 done, 1 not".into()),
        said: said
            .map(|(command, at)| Said { command, actor: actor.clone(), at: AT + at * 1_000_000 })
            .into(),
        through: 12,
        work: None,
        per_second: 50,
        weight: 1.0,
        stored_at: AT,
        first_seq: 1,
        last_seq: 9,
        by: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::language::in_both;

    #[test]
    fn operations_and_one_of_them_in_both_languages() {
        let states = [State::Running, State::Paused, State::Cancelled, State::Complete, State::Incomplete];
        let mut all: Vec<_> =
            (1..).zip(states).map(|(at, state)| sample(&format!("retry-{at}"), state)).collect();
        (all[3].count, all[3].reason) = (None, String::new());
        let outcome =
            SentResult { sent: 6, succeeded: 6, outcomes: [("written", 6)].into(), ..SentResult::default() };
        insta::assert_snapshot!(in_both(|| {
            let (list, whole) = (list(&all, &TimeZone::UTC), whole(&all[4], Some(&outcome), &TimeZone::UTC));
            format!("{list}\n{whole}")
        }));
    }
}
