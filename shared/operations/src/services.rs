//! Which processes run a stage as a service, noted in STATE, so that others can say when nobody does.

use std::time::Duration;

use events::{Instance, Micros, ServiceMember, ServiceState, Stage, TargetName, now};
use journal::{Cell, Journal, JournalError, Topology};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::instances::{Process, instances};

/// How often a process notes that it runs.
const NOTE: Duration = Duration::from_secs(300);

/// After a failure to note it, and until our own answer is heard.
const AGAIN: Duration = Duration::from_secs(1);

/// How long noting the end may take.
const LAST: Duration = Duration::from_secs(3);

/// For so long after it was seen last a process is expected, unless it was asked to end.
const EXPECTED: Micros = 24 * 3_600 * 1_000_000;

/// A process that has not noted anything for so long, and does not answer, is forgotten as soon as another one runs.
const FORGOTTEN: Micros = 3 * 300 * 1_000_000;

/// A stage that is expected to have a process.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct ExpectedService {
    /// The stage.
    pub stage: Stage,
    /// The target, for `write`.
    pub target: Option<String>,
    /// The machine on which it was seen last.
    pub host: String,
    /// When it was seen last, in microseconds since the Unix epoch.
    pub seen_at: Micros,
    #[serde(skip)]
    pub(crate) processes: Vec<Process>,
}

/// The stages that are expected to have a process: one ran as a service in the last 24 hours, and did not end because
/// it was asked to.
///
/// # Errors
/// When the server does not answer.
pub async fn expected_services(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
) -> Result<Vec<ExpectedService>, JournalError> {
    let stages = [(Stage::Fetch, None), (Stage::Transform, None)];
    let stages = stages.into_iter().chain(targets.iter().map(|target| (Stage::Write, Some(target))));
    let read = stages.map(|(stage, target)| async move {
        let (state, _) = cell(journal, names, stage, target).get::<ServiceState>().await?;
        Ok::<_, JournalError>(expected(stage, target, &state, now()))
    });
    let all = futures::future::try_join_all(read).await?;
    Ok(all.into_iter().flatten().collect())
}

fn expected(
    stage: Stage,
    target: Option<&TargetName>,
    state: &ServiceState,
    now: Micros,
) -> Option<ExpectedService> {
    let target = target.map(ToString::to_string);
    let members = state.members.values().filter(|member| member.seen_at > now - EXPECTED);
    let newest = members.clone().max_by_key(|member| member.seen_at)?;
    let processes = members
        .map(|ServiceMember { host, pid, .. }| Process {
            host: host.clone(),
            pid: *pid,
            target: target.clone(),
        })
        .collect();
    let (host, seen_at) = (newest.host.clone(), newest.seen_at);
    Some(ExpectedService { stage, target, host, seen_at, processes })
}

/// Runs a stage as a service until it ends, and notes meanwhile that it does. An end without a `stop` before it is not
/// noted: then somebody has to know that nobody runs it any more.
pub async fn serve<T, E>(
    journal: &Journal,
    names: &Topology,
    (stage, target): (Stage, Option<&TargetName>),
    stop: &CancellationToken,
    run: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let service = Service {
        cell: cell(journal, names, stage, target),
        journal,
        names,
        process: Process {
            host: service::host(),
            pid: std::process::id(),
            target: target.map(ToString::to_string),
        },
        stage,
    };
    let ended = tokio::select! {
        ended = run => ended,
        never = service.keep_noting() => match never {},
    };
    if ended.is_ok() && stop.is_cancelled() {
        match tokio::time::timeout(LAST, service.change(leave)).await {
            Ok(Ok(())) => {}
            // Then somebody is told that nobody runs it, which is so.
            Ok(Err(error)) => tracing::warn!(%error, "that this stage ended by request is not noted"),
            Err(_) => tracing::warn!("that this stage ended by request is not noted: NATS does not answer"),
        }
    }
    ended
}

struct Service<'a> {
    cell: Cell,
    journal: &'a Journal,
    names: &'a Topology,
    process: Process,
    stage: Stage,
}

impl Service<'_> {
    async fn keep_noting(&self) -> std::convert::Infallible {
        // Who is noted before it answers would be missed by whoever asks meanwhile.
        while !self.others_and_we().await.contains(&self.process) {
            tokio::time::sleep(AGAIN).await;
        }
        let mut is_said = false;
        loop {
            let noted = self.change(enter).await;
            if let Err(error) = &noted
                && !std::mem::replace(&mut is_said, true)
            {
                tracing::warn!(%error, stage = %self.stage, "that this stage runs is not noted, so nobody would be told of its end");
            }
            tokio::time::sleep(if noted.is_ok() { NOTE } else { AGAIN }).await;
        }
    }

    async fn others_and_we(&self) -> Vec<Process> {
        let here: Vec<Instance> = instances(self.journal, self.names, self.stage).await;
        let ours = here.iter().map(Process::of).filter(|process| process.target == self.process.target);
        ours.collect()
    }

    /// Changes the state, however often somebody else does at the same time.
    async fn change(
        &self,
        change: fn(ServiceState, &Process, &[Process], Micros) -> ServiceState,
    ) -> Result<(), JournalError> {
        let here = self.others_and_we().await;
        loop {
            let (state, seq) = self.cell.get::<ServiceState>().await?;
            let next = change(state.clone(), &self.process, &here, now());
            if next == state {
                return Ok(());
            }
            match self.cell.set(&next, seq).await {
                Err(JournalError::Conflict { .. }) => {}
                set => return set.map(drop),
            }
        }
    }
}

/// The state when a process runs, and `here` answer.
fn enter(mut state: ServiceState, process: &Process, here: &[Process], now: Micros) -> ServiceState {
    state.members.retain(|_, member| {
        let answers = here.iter().any(|one| one.host == member.host && one.pid == member.pid);
        answers || member.seen_at > now - FORGOTTEN
    });
    let Process { host, pid, .. } = process;
    let member = ServiceMember { host: host.clone(), pid: *pid, seen_at: now };
    state.members.insert(name(process), member);
    state
}

/// The state when a process has ended by request. When nobody else answers, what ended before it without having been asked
/// is not expected either: it had a successor, which this one was.
fn leave(mut state: ServiceState, process: &Process, here: &[Process], _: Micros) -> ServiceState {
    state.members.remove(&name(process));
    if here.iter().all(|one| one == process) {
        state.members.clear();
    }
    state
}

fn name(process: &Process) -> String {
    format!("{}:{}", process.host, process.pid)
}

fn cell(journal: &Journal, names: &Topology, stage: Stage, target: Option<&TargetName>) -> Cell {
    Cell::new(journal.clone(), names.clone(), names.service(stage, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> Process {
        Process { host: "erp-1".into(), pid, target: None }
    }

    fn pids(state: &ServiceState) -> Vec<u32> {
        state.members.values().map(|member| member.pid).collect()
    }

    fn is_expected(state: &ServiceState, now: Micros) -> bool {
        expected(Stage::Fetch, None, state, now).is_some()
    }

    #[test]
    fn what_ends_by_request_is_not_expected_and_what_does_not_is() {
        let (first, second) = (process(1), process(2));
        let state = enter(ServiceState::default(), &first, std::slice::from_ref(&first), 0);
        assert!(is_expected(&state, 1), "it is killed");
        assert!(!is_expected(&leave(state.clone(), &first, &[], 1), 1));
        let both = enter(state, &second, &[first.clone(), second.clone()], 1);
        let left = leave(both.clone(), &second, std::slice::from_ref(&first), 2);
        assert_eq!(pids(&left), [1], "another one goes on");
        let left = leave(both, &second, &[], 2);
        assert!(!is_expected(&left, 2), "the first was killed, and the second was there instead");
    }

    #[test]
    fn what_is_gone_for_long_is_forgotten() {
        let state = enter(ServiceState::default(), &process(1), &[], 0);
        assert_eq!(pids(&enter(state.clone(), &process(2), &[], FORGOTTEN - 1)), [1, 2]);
        assert_eq!(pids(&enter(state.clone(), &process(2), &[], FORGOTTEN + 1)), [2]);
        assert_eq!(pids(&enter(state.clone(), &process(2), &[process(1)], FORGOTTEN + 1)), [1, 2]);
        assert!(is_expected(&state, EXPECTED - 1) && !is_expected(&state, EXPECTED));
    }
}
