//! What can happen, and when: drawn from the seed before anything starts, so that a seed is always the same story.

use std::fmt;
use std::time::Duration;

use orderflow_tests::Dice;

/// One thing that is done. Stages are numbered as in [`STAGES`](crate::stage::STAGES).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A process is killed with -9, and started again.
    Kill(usize),
    /// A process is paused with SIGSTOP.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// No byte passes between a process and nats-server.
    Cut(usize),
    /// The connections between a process and nats-server end, and new ones are refused.
    Sever(usize),
    /// The line of a process is whole again.
    Heal(usize),
    /// nats-server is killed with -9.
    KillServer,
    /// It starts again on the same data.
    StartServer,
    /// nats-server is paused with SIGSTOP.
    PauseServer,
    /// It goes on.
    ResumeServer,
    /// The target answers 503 to everything, or does no more.
    Outage(bool),
    /// Both sides answer 429 to most calls, or do no more.
    Storm(bool),
    /// Every third call of the target hangs, or does no more.
    Hangs(bool),
    /// Orders change at the source.
    Change {
        /// So many are edited.
        edits: u64,
        /// So many are new.
        inserts: u64,
        /// So many are deleted.
        removals: u64,
    },
    /// Some more orders are refused by the target from now on.
    Poison,
    /// The orders refused first are not refused any more.
    Antidote,
}

impl Act {
    /// Whether it hurts; what ends a blow and what changes orders is none.
    pub fn is_blow(self) -> bool {
        use Act::{Antidote, Change, Heal, Resume, ResumeServer, StartServer};
        let end = matches!(self, Self::Outage(false) | Self::Storm(false) | Self::Hangs(false));
        !end && !matches!(self, Resume(_) | Heal(_) | StartServer | ResumeServer | Change { .. } | Antidote)
    }

    /// Its kind in one word, for the summary.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Pause(_) | Self::Resume(_) => "pause",
            Self::Cut(_) | Self::Heal(_) => "cut",
            Self::Sever(_) => "sever",
            Self::KillServer | Self::StartServer => "nats kill",
            Self::PauseServer | Self::ResumeServer => "nats pause",
            Self::Outage(_) => "outage",
            Self::Storm(_) => "storm",
            Self::Hangs(_) => "hangs",
            Self::Change { .. } => "change",
            Self::Poison | Self::Antidote => "poison",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |stage: &usize| crate::stage::STAGES[*stage].0;
        match self {
            Self::Kill(stage) => write!(f, "kill -9 {}, and start it again", name(stage)),
            Self::Pause(stage) => write!(f, "pause {}", name(stage)),
            Self::Resume(stage) => write!(f, "resume {}", name(stage)),
            Self::Cut(stage) => write!(f, "cut {} off", name(stage)),
            Self::Sever(stage) => write!(f, "drop the connections of {}", name(stage)),
            Self::Heal(stage) => write!(f, "heal the line of {}", name(stage)),
            Self::KillServer => f.write_str("kill -9 nats-server"),
            Self::StartServer => f.write_str("start nats-server again"),
            Self::PauseServer => f.write_str("pause nats-server"),
            Self::ResumeServer => f.write_str("resume nats-server"),
            Self::Outage(on) => write!(f, "outage of the target: {on}"),
            Self::Storm(on) => write!(f, "storm of 429: {on}"),
            Self::Hangs(on) => write!(f, "calls of the target hang: {on}"),
            Self::Change { edits, inserts, removals } => {
                write!(f, "edit {edits}, insert {inserts}, remove {removals}")
            }
            Self::Poison => f.write_str("some more orders are refused"),
            Self::Antidote => f.write_str("the orders refused first are taken again"),
        }
    }
}

/// Everything that happens, by time: blows every 2 to 5 s, and orders that change all the while.
pub fn plan(dice: &mut Dice, length: Duration) -> Vec<(Duration, Act)> {
    let mut acts = Vec::new();
    let end = length.as_millis() as u64;
    let mut at = dice.between(2_000, 5_000);
    while at < end {
        for (after, act) in blow(dice) {
            acts.push((Duration::from_millis(at + after), act));
        }
        at += dice.between(2_000, 5_000);
    }
    let mut at = 0;
    while at < end {
        let (inserts, removals) = (dice.roll(3), u64::from(dice.roll(4) == 0));
        acts.push((Duration::from_millis(at), Act::Change { edits: dice.between(3, 12), inserts, removals }));
        at += dice.between(200, 600);
    }
    acts.sort_by_key(|(at, _)| *at);
    acts
}

/// One blow with its end, in milliseconds from its beginning.
fn blow(dice: &mut Dice) -> Vec<(u64, Act)> {
    let stages = crate::stage::STAGES.len() as u64;
    // Writers are hit more often than the others: what they do cannot be undone.
    let writers = crate::stage::STAGES.iter().filter(|(name, _)| name.starts_with("write")).count() as u64;
    let stage = match dice.roll(2) {
        0 => dice.roll(stages),
        _ => stages - writers + dice.roll(writers),
    } as usize;
    // Every other pause is longer than the 4 s after which a partition passes to another writer.
    let long = if dice.roll(2) == 0 { dice.between(1_000, 4_000) } else { dice.between(4_000, 15_000) };
    match dice.roll(16) {
        0..3 => vec![(0, Act::Kill(stage))],
        3..6 => vec![(0, Act::Pause(stage)), (long, Act::Resume(stage))],
        6..8 => vec![(0, Act::Cut(stage)), (long, Act::Heal(stage))],
        8 => vec![(0, Act::Sever(stage)), (long, Act::Heal(stage))],
        9 | 10 => vec![(0, Act::KillServer), (dice.between(0, 1_500), Act::StartServer)],
        11 => vec![(0, Act::PauseServer), (dice.between(200, 3_000), Act::ResumeServer)],
        12 => vec![(0, Act::Outage(true)), (dice.between(1_000, 6_000), Act::Outage(false))],
        13 => vec![(0, Act::Storm(true)), (dice.between(2_000, 6_000), Act::Storm(false))],
        14 => vec![(0, Act::Hangs(true)), (dice.between(1_000, 5_000), Act::Hangs(false))],
        _ => vec![(0, Act::Poison), (dice.between(3_000, 20_000), Act::Antidote)],
    }
}
