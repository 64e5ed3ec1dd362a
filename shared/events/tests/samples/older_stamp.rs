//! A state that was read later with an older update time, as its receipt and the list of such orders tell of it.

use orderflow_events::*;

use crate::{AT, key, version};

pub fn found() -> OlderStampFound {
    OlderStampFound {
        target: TargetName::new("qeasy"),
        key: key(),
        mapped_seq: 12,
        version: Version { updated_at: Some(AT - 120_000_000), raw_seq: 9, generation: 0 },
        held: version(),
    }
}

pub fn receipt() -> Receipt {
    let found = found();
    Receipt {
        outcome: Outcome::OlderStamp,
        mapped_seq: found.mapped_seq,
        version: found.version,
        status: None,
        attempts: 0,
        idempotency_key: String::new(),
        older_stamp: Some(found.version),
        ..crate::receipt()
    }
}
