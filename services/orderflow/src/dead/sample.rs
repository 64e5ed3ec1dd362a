//! Dead letters for the snapshots of the screens.

use events::{Answer, Attempt, DeadLetter, LetterOrigin, Listing, Payload, Stage, TargetName, WindowId};
use operations::{LetterLine, Resolution};

/// 2025-03-06 04:00:00 UTC.
pub const AT: i64 = 1_741_233_600_000_000;

/// One that is open, and one that was dealt with.
pub fn lines() -> [LetterLine; 2] {
    let open = LetterLine {
        letter: 5,
        at: AT,
        stage: Stage::Write,
        kind: "refused".into(),
        target: Some("qeasy".into()),
        key: Some("5203550000".into()),
        fingerprint: "e6b118f3c0ffee00".into(),
        mapping: Some("0123456789abcdef".into()),
        retries: 1,
        resolution: None,
    };
    let resolution = Resolution {
        how: "discarded".into(),
        reason: "li@erp: a test order".into(),
        operation: None,
        at: AT + 60_000_000,
    };
    let closed = LetterLine { letter: 6, key: None, resolution: Some(resolution), ..open.clone() };
    [open, closed]
}

/// What such a letter holds.
pub fn letter() -> DeadLetter {
    DeadLetter {
        stage: Stage::Write,
        kind: "refused".into(),
        message: "40001: customer 4711 is not known".into(),
        causes: vec!["HTTP 400".into()],
        origin: LetterOrigin {
            stream: "orders-MAPPED".into(),
            sequence: 41,
            window: Some(WindowId::named("live-000001")),
            page: Some(1),
            row: Some(3),
            raw_seq: Some(7),
            listing: Listing::Orders,
        },
        target: Some(TargetName::new("qeasy")),
        key: Some("5203550000".into()),
        number: Some("SO-1001".into()),
        payload: Payload::pack(br#"{"orderId":"5203550000","customerName":"\u674e\u660e"}"#),
        answer: Some(Answer { status: 400, excerpt: r#"{"code":40001}"#.into() }),
        attempts: vec![Attempt { at: AT - 1_000_000, message: "40001: customer 4711 is not known".into() }],
        mapping: Some("0123456789abcdef".into()),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
        retries: 1,
    }
}
