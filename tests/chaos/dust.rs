//! Waiting until the dust has settled: a window of each lane has closed that began to be read after the last edit, and every
//! stage is drained.

use std::time::{Duration, Instant};

use events::{DELETED, LIVE, Micros, WatermarkMoved, now};
use journal::{JournalError, Stream};
use operations::StageStatus;

use crate::run::Stand;
use crate::story::Story;
use crate::verdict;

/// Windows, workers and pins that a blow left behind time out within seconds; two minutes are generous on a slow machine.
const DEADLINE: Duration = Duration::from_secs(150);
/// How long everything has to look settled in vain before it counts as that: an ack that was lost is delivered again.
const GRACE: Duration = Duration::from_secs(30);
const ASK: Duration = Duration::from_millis(200);

/// Waits; returns what did not settle.
pub async fn settles(stand: &mut Stand, story: &mut Story) -> Vec<String> {
    // The source stamps whole seconds; a window up to here has seen everything that was ever changed.
    let last = now() + 2_000_000;
    let began = Instant::now();
    let mut faults = Vec::new();
    for lane in [LIVE, DELETED] {
        if !wait(stand, story, began, Sign::Closed { lane, upto: last }).await {
            faults.push(format!("no window of {lane} closed within {DEADLINE:?} after the last edit"));
        }
    }
    story.tell("the last windows have closed");
    if !wait(stand, story, began, Sign::Drained).await {
        faults.push(format!("not drained within {DEADLINE:?}: {}", left(stand).await));
    }
    story.tell("everything is drained");
    let began = Instant::now();
    while began.elapsed() < GRACE && !verdict::is_settled(&stand.world).await {
        stand.look_until(Instant::now() + ASK, story).await;
    }
    faults
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// A lane has a proof up to this moment.
    Closed { lane: &'static str, upto: Micros },
    /// No stage has anything left to do.
    Drained,
}

impl Sign {
    async fn is_there(self, stand: &Stand) -> Result<bool, JournalError> {
        let names = stand.names();
        match self {
            Self::Closed { lane, upto } => {
                let subject = names.watermark_of(lane);
                let entry = stand.world.journal.last(&names, Stream::Sync, &subject).await?;
                let moved = entry.map(|entry| entry.event::<WatermarkMoved>()).transpose()?;
                Ok(moved.is_some_and(|moved| moved.body.to >= upto))
            }
            Self::Drained => Ok(stages(stand).await?.iter().all(StageStatus::is_drained)),
        }
    }
}

async fn wait(stand: &mut Stand, story: &mut Story, began: Instant, sign: Sign) -> bool {
    while began.elapsed() < DEADLINE {
        // Trouble with the server is part of the dust.
        if sign.is_there(stand).await.unwrap_or(false) {
            return true;
        }
        stand.look_until(Instant::now() + ASK, story).await;
    }
    false
}

async fn stages(stand: &Stand) -> Result<Vec<StageStatus>, JournalError> {
    let (journal, names) = (&stand.world.journal, stand.names());
    let mut stages = vec![StageStatus::transform(journal, &names).await?];
    for target in stand.world.targets() {
        stages.push(StageStatus::write(journal, &names, &target).await?);
    }
    Ok(stages)
}

async fn left(stand: &Stand) -> String {
    match stages(stand).await {
        Ok(stages) => stages
            .iter()
            .map(|stage| format!("{} lag {:?}, in hand {:?}", stage.stage, stage.lag, stage.ack_pending))
            .collect::<Vec<_>>()
            .join("; "),
        Err(error) => error.to_string(),
    }
}
