//! Who works on a flow right now, as they say themselves.

use std::time::Duration;

use events::{Instance, Stage, decode};
use journal::{Journal, Topology};

/// How long they have to answer.
const ANSWER: Duration = Duration::from_millis(250);

/// The instances of a stage that answer, the longest running first. What a later build says that this one does not
/// understand is passed over.
pub async fn instances(journal: &Journal, names: &Topology, stage: Stage) -> Vec<Instance> {
    let answers = journal.ask(&names.presence(stage), ANSWER).await;
    let read = answers.iter().filter_map(|answer| decode::<Instance>(answer).ok());
    let mut instances: Vec<Instance> = read.map(|decoded| decoded.body).collect();
    instances.sort_by(|a, b| (a.started_at, &a.member).cmp(&(b.started_at, &b.member)));
    instances
}
