//! Who works on a flow right now, as they say themselves.

use std::time::Duration;

use events::{Instance, Stage, decode};
use journal::{Journal, Topology};

/// How long they have to answer.
const ANSWER: Duration = Duration::from_millis(250);

/// The instances of a stage that answer, the longest running first. What a later build says that this one does not
/// understand is passed over.
pub async fn instances(journal: &Journal, names: &Topology, stage: Stage) -> Vec<Instance> {
    sorted(journal.ask(&names.presence(stage), ANSWER, |_| false).await)
}

/// As [`instances`]; does not wait longer when all that are `expected` have answered.
pub(crate) async fn expected_instances(
    journal: &Journal,
    names: &Topology,
    stage: Stage,
    expected: &[Process],
) -> Vec<Instance> {
    let have_answered = |answers: &[_]| {
        !expected.is_empty() && answers.len() >= expected.len() && {
            let answered: Vec<Process> = read(answers).iter().map(Process::of).collect();
            expected.iter().all(|process| answered.contains(process))
        }
    };
    sorted(journal.ask(&names.presence(stage), ANSWER, have_answered).await)
}

/// A process that runs a stage, for `write` for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) target: Option<String>,
}

impl Process {
    pub(crate) fn of(instance: &Instance) -> Self {
        let target = instance.writing.as_ref().map(|writing| writing.target.to_string());
        Self { host: instance.host.clone(), pid: instance.pid, target }
    }
}

fn read(answers: &[impl AsRef<[u8]>]) -> Vec<Instance> {
    let decoded = answers.iter().filter_map(|answer| decode::<Instance>(answer.as_ref()).ok());
    decoded.map(|decoded| decoded.body).collect()
}

fn sorted(answers: Vec<impl AsRef<[u8]>>) -> Vec<Instance> {
    let mut instances = read(&answers);
    instances.sort_by(|a, b| (a.started_at, &a.member).cmp(&(b.started_at, &b.member)));
    instances
}
