//! What a later build of the program writes: an added field is passed over, a raised schema is refused.

use orderflow_events::{Micros, PageJob, decode};

/// A fixed moment: 2025-03-06 08:55:25 UTC.
const AT: Micros = 1_741_251_325_000_000;

/// The envelope of a later build: a raised schema and a field this build does not know.
#[derive(serde::Serialize)]
struct Later {
    kind: &'static str,
    schema: u16,
    at: Micros,
    body: LaterJob,
}

#[derive(serde::Serialize)]
struct LaterJob {
    window: &'static str,
    pass: u32,
    page: u32,
    priority: u8,
}

#[test]
fn an_added_field_is_ignored_and_a_newer_schema_refused() {
    let later = |schema| {
        let body = LaterJob { window: "live-000001", pass: 1, page: 2, priority: 9 };
        rmp_serde::to_vec_named(&Later { kind: "PageJob", schema, at: AT, body }).expect("encodes")
    };
    assert_eq!(decode::<PageJob>(&later(1)).expect("decodes").body.page, 2);
    let refused = decode::<PageJob>(&later(2)).expect_err("newer");
    assert_eq!(
        refused.to_string(),
        "PageJob has schema 2, this build reads up to 1: upgrade before reading this stream"
    );
}
