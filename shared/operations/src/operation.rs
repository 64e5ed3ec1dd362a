//! What people have the pipeline do in steps, as OPS tells it: what it acts on, how far it is, and how it ended.

use std::collections::BTreeMap;

use events::Event;
use events::{
    Actor, CodecError, Command, Failure, Micros, OperationCommanded, OperationFinished, OperationMoved,
    OperationStarted, Work, kind_of, now,
};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on, or would if a process carried it.
    Running,
    /// Somebody has paused it.
    Paused,
    /// Somebody has cancelled it.
    Cancelled,
    /// All of it is done.
    Complete,
    /// It has ended, and something of it was not done.
    Incomplete,
}

/// Something that somebody has said about an operation.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Said {
    /// What.
    pub command: Command,
    /// Who.
    pub actor: Actor,
    /// When, microseconds since the Unix epoch.
    pub at: Micros,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct Operation {
    /// Its name.
    pub id: String,
    /// What is done.
    pub verb: String,
    /// Who asked for it.
    pub actor: Actor,
    /// Why.
    pub reason: String,
    /// What it is going to do, for a person.
    pub plan: String,
    /// When it began, microseconds since the Unix epoch.
    pub began: Micros,
    /// When it was heard of last.
    pub moved: Micros,
    /// Where it is.
    pub state: State,
    /// How much it acts on, for one in steps.
    pub count: Option<u64>,
    /// How many are done.
    pub done: u64,
    /// Which were not, and why.
    pub failures: Vec<Failure>,
    /// What came of it, for a person; `None` before its end.
    pub result: Option<String>,
    /// What was said about it on the way.
    pub said: Vec<Said>,
    /// Everything up to this sequence of what it acts on has been dealt with.
    #[serde(skip)]
    pub through: u64,
    /// What it acts on.
    #[serde(skip)]
    pub work: Option<Work>,
    /// So many a second, at most; 0 for one without steps.
    #[serde(skip)]
    pub per_second: u32,
    /// How many of what is counted a second lie in one of what it acts on: the orders of a page.
    #[serde(skip)]
    pub weight: f64,
    /// When its first event was stored, by the server's clock: what it sent lies behind that.
    #[serde(skip)]
    pub stored_at: Micros,
    /// The sequence in OPS of its first event.
    #[serde(skip)]
    pub first_seq: u64,
    /// The sequence in OPS of its last event.
    #[serde(skip)]
    pub last_seq: u64,
    /// The process that moved it last.
    #[serde(skip)]
    pub by: String,
}

impl Operation {
    /// All that OPS knows of, oldest first.
    ///
    /// # Errors
    /// When OPS cannot be read.
    pub async fn all(journal: &Journal, names: &Topology) -> Result<Vec<Self>, JournalError> {
        Self::read(journal, names, None).await
    }

    /// The operation of this name.
    ///
    /// # Errors
    /// When OPS cannot be read.
    pub async fn named(journal: &Journal, names: &Topology, id: &str) -> Result<Option<Self>, JournalError> {
        // A name is typed by people: one that is no subject names nothing.
        if id.is_empty() || id.contains(['.', '*', '>', ' ']) {
            return Ok(None);
        }
        let filter = names.operation(id);
        Ok(Self::read(journal, names, Some(&filter)).await?.pop())
    }

    async fn read(
        journal: &Journal,
        names: &Topology,
        filter: Option<&str>,
    ) -> Result<Vec<Self>, JournalError> {
        let mut operations: BTreeMap<u64, Self> = BTreeMap::new();
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        let mut log = journal.read(names, Stream::Ops, filter, From::Start, false).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let known = places.get(&entry.subject).and_then(|place| operations.get_mut(place));
            match known {
                Some(operation) => operation.apply(&entry).map_err(|source| entry.unreadable(source))?,
                None => {
                    if let Ok(started) = entry.event::<OperationStarted>() {
                        places.insert(entry.subject.clone(), entry.seq);
                        operations.insert(entry.seq, Self::new(started.body, started.at, &entry));
                    }
                }
            }
        }
        Ok(operations.into_values().collect())
    }

    fn new(started: OperationStarted, at: Micros, entry: &Entry) -> Self {
        let OperationStarted { id, verb, actor, plan, reason, work, .. } = started;
        let per_second = match &work {
            Some(
                Work::Retry { per_second, .. }
                | Work::Discard { per_second, .. }
                | Work::Replay { per_second, .. }
                | Work::Rewrite { per_second, .. },
            ) => *per_second,
            None => 0,
        };
        Self {
            id,
            verb,
            actor,
            reason,
            plan,
            began: at,
            moved: at,
            state: State::Running,
            count: work.as_ref().map(|work| count(messages(work))),
            done: 0,
            failures: Vec::new(),
            result: None,
            said: Vec::new(),
            through: 0,
            weight: work.as_ref().map_or(1.0, weight),
            work,
            per_second,
            stored_at: entry.stored_at,
            first_seq: entry.seq,
            last_seq: entry.seq,
            by: String::new(),
        }
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), CodecError> {
        self.last_seq = entry.seq;
        match kind_of(&entry.payload)?.as_str() {
            OperationMoved::KIND => {
                let moved = events::decode::<OperationMoved>(&entry.payload)?;
                self.moved = moved.at;
                self.through = self.through.max(moved.body.through);
                self.done += moved.body.done;
                self.failures.extend(moved.body.failures);
                self.by = moved.body.by;
            }
            OperationCommanded::KIND => {
                let OperationCommanded { command, actor, at, .. } = events::decode(&entry.payload)?.body;
                match (command, self.state) {
                    (Command::Rate(rate), _) => self.per_second = rate.max(1),
                    (Command::Pause, State::Running) => self.state = State::Paused,
                    (Command::Resume, State::Paused) => self.state = State::Running,
                    (Command::Cancel, State::Running | State::Paused) => self.state = State::Cancelled,
                    _ => {}
                }
                self.said.push(Said { command, actor, at });
            }
            OperationFinished::KIND => {
                let finished = events::decode::<OperationFinished>(&entry.payload)?;
                self.moved = finished.at;
                if self.state != State::Cancelled {
                    self.state = if finished.body.complete { State::Complete } else { State::Incomplete };
                }
                self.result = Some(finished.body.result);
            }
            _ => {} // of a newer build
        }
        Ok(())
    }

    /// What this process has just written down.
    pub(crate) fn moved_on(&mut self, moved: &OperationMoved, seq: u64) {
        self.moved = now();
        self.through = self.through.max(moved.through);
        self.done += moved.done;
        self.failures.extend(moved.failures.iter().cloned());
        self.by.clone_from(&moved.by);
        self.last_seq = seq;
    }

    /// Whether nothing will happen any more.
    pub fn is_over(&self) -> bool {
        !matches!(self.state, State::Running | State::Paused)
    }

    /// Whether it sends orders to targets, in steps.
    pub fn sends(&self) -> bool {
        matches!(&self.work, Some(Work::Retry { .. } | Work::Replay { .. } | Work::Rewrite { .. }))
    }

    /// What it has still to act on, ascending.
    pub fn left(&self) -> impl Iterator<Item = u64> {
        let through = self.through;
        let runs = self.work.as_ref().map(messages).unwrap_or_default().to_vec();
        runs.into_iter()
            .filter(move |(_, last)| *last > through)
            .flat_map(move |(first, last)| first.max(through + 1)..=last)
    }
}

/// The sequences of what is acted on.
fn messages(work: &Work) -> &[(u64, u64)] {
    match work {
        Work::Retry { letters, .. } | Work::Discard { letters, .. } => letters,
        Work::Replay { messages, .. } | Work::Rewrite { messages, .. } => messages,
    }
}

fn weight(work: &Work) -> f64 {
    match work {
        Work::Replay { messages, orders, .. } => (*orders as f64 / count(messages).max(1) as f64).max(1.0),
        Work::Retry { .. } | Work::Discard { .. } | Work::Rewrite { .. } => 1.0,
    }
}

fn count(runs: &[(u64, u64)]) -> u64 {
    runs.iter().map(|(first, last)| last - first + 1).sum()
}

/// Sequences, ascending, as first and last of each run.
pub fn runs(seqs: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seq in seqs {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => runs.push((seq, seq)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_hold_what_went_in(seqs in proptest::collection::btree_set(1_u64..60, 0..40)) {
            let found = runs(seqs.iter().copied());
            prop_assert_eq!(count(&found), seqs.len() as u64);
            let back: Vec<u64> = found.into_iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(back, seqs.into_iter().collect::<Vec<_>>());
        }
    }
}
