//! Operations in steps, as OPS tells of them.

use orderflow_events::*;

use crate::{AT, key, started};

pub fn retry() -> OperationStarted {
    let work = Some(Work::Retry { letters: vec![(3, 5), (9, 9)], max_replays: 5, per_second: 200 });
    OperationStarted { reason: "customers were added".into(), work, ..started() }
}

pub fn discard() -> OperationStarted {
    OperationStarted { work: Some(Work::Discard { letters: vec![(3, 3)], per_second: 200 }), ..started() }
}

pub fn replay() -> OperationStarted {
    let work = Work::Replay {
        log: Log::Raw,
        messages: vec![(3, 5)],
        orders: 300,
        key: Some(key()),
        target: Some(TargetName::new("qeasy")),
        force: true,
        mapping: Some("0123456789abcdef".into()),
        per_second: 2,
    };
    OperationStarted { work: Some(work), ..started() }
}

pub fn rewrite() -> OperationStarted {
    let target = TargetName::new("qeasy");
    let work = Some(Work::Rewrite { messages: vec![(12, 13)], target, per_second: 1_000 });
    OperationStarted { reason: "corrected in the database".into(), work, ..started() }
}

pub fn moved() -> OperationMoved {
    OperationMoved {
        id: "retry-1".into(),
        by: "aBcD".into(),
        through: 5,
        done: 2,
        failures: vec![Failure { seq: 4, why: "discarded meanwhile".into() }],
    }
}

pub fn commanded() -> OperationCommanded {
    OperationCommanded { id: "retry-1".into(), command: Command::Rate(10), actor: started().actor, at: AT }
}
