//! Every event, encoded once and kept: an old message must decode for ever, and today's encoding must not drift.
//!
//! `cargo test -p orderflow-events -- --ignored write_missing_fixtures` writes those that do not exist yet.

use std::fmt::Debug;
use std::path::PathBuf;

use orderflow_events::*;

/// A fixed moment: 2025-03-06 08:55:25 UTC.
const AT: Micros = 1_741_251_325_000_000;

fn version() -> Version {
    Version { updated_at: Some(AT), raw_seq: 7, generation: 0 }
}

fn key() -> OrderKey {
    OrderKey::new("5203550000").expect("not empty")
}

fn opened() -> WindowOpened {
    WindowOpened {
        window: WindowId::live(1),
        since: AT - 60_000_000,
        until: AT,
        page_size: 100,
        max_passes: 5,
        listing: Listing::Orders,
        news: News::Changed,
    }
}

fn page() -> PageFetched {
    PageFetched {
        window: WindowId::live(1),
        pass: 1,
        page: 2,
        raw_seq: 7,
        total: 2,
        ids: vec!["1".into(), "2".into()],
        slice: None,
        contents: Vec::new(),
        details: Vec::new(),
        gone: Vec::new(),
        living: Vec::new(),
        source_now: None,
        read_at: None,
    }
}

fn closed() -> WindowClosed {
    let proof = Proof { pass: 1, pages: 1, total: 2, distinct: 2, slices: Vec::new(), pages_read: 0 };
    WindowClosed { window: WindowId::live(1), since: AT - 60_000_000, until: AT, proof }
}

fn failed() -> WindowFailed {
    WindowFailed {
        window: WindowId::live(1),
        reason: "rows moved".into(),
        passes: 5,
        total: Some(2),
        distinct: 1,
    }
}

fn raw() -> RawPage {
    RawPage {
        window: WindowId::live(1),
        pass: 1,
        page: 2,
        part: 0,
        parts: 1,
        request: "/v1/invoices/order/list?start_index=2".into(),
        status: 200,
        fetched_at: AT,
        rows: 2,
        body: Payload { encoding: Encoding::Plain, size: 2, bytes: b"{}".to_vec() },
        listing: Listing::Orders,
        news: None,
        details: None,
    }
}

fn mapped() -> MappedOrder {
    MappedOrder {
        key: key(),
        number: Some("536365".into()),
        version: version(),
        origin: Origin { window: WindowId::live(1), page: 2, row: 0, raw_seq: 7 },
        mapping: "0123456789abcdef".into(),
        content: ContentHash::of(b"{}"),
        record: b"{}".to_vec(),
        marks: Vec::new(),
    }
}

fn receipt() -> Receipt {
    Receipt {
        target: TargetName::new("qeasy"),
        key: key(),
        number: None,
        outcome: Outcome::Written,
        mapped_seq: 9,
        version: version(),
        held: version(),
        content: ContentHash::of(b"{}"),
        known: true,
        status: Some(200),
        attempts: 1,
        last_write: 4,
        idempotency_key: "5203550000-4-cf83e1357eefb8bd".into(),
        at: AT,
        older_stamp: None,
    }
}

fn dead() -> DeadLetter {
    DeadLetter {
        stage: Stage::Write,
        kind: "refused".into(),
        message: "the target refused the order".into(),
        causes: vec!["code 40002".into()],
        origin: LetterOrigin {
            stream: "okki-orders-MAPPED".into(),
            sequence: 9,
            window: Some(WindowId::live(1)),
            page: Some(2),
            row: Some(0),
            raw_seq: Some(7),
            listing: Listing::Orders,
        },
        target: Some(TargetName::new("qeasy")),
        key: Some("5203550000".into()),
        number: None,
        payload: Payload { encoding: Encoding::Plain, size: 2, bytes: b"{}".to_vec() },
        answer: Some(Answer { status: 200, excerpt: "客户不存在".into() }),
        attempts: vec![Attempt { at: AT, message: "code 40002".into() }],
        mapping: Some("0123456789abcdef".into()),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        retries: 0,
    }
}

fn resolved() -> DeadResolved {
    let (how, reason) = ("retried".into(), "customer created".into());
    DeadResolved { letter: 3, how, reason, operation: None }
}

fn started() -> OperationStarted {
    let actor = Actor { user: "li".into(), host: "erp-1".into() };
    OperationStarted {
        id: "sync-1".into(),
        verb: "sync".into(),
        actor,
        plan: "sync up to now".into(),
        from_sync: 3,
        reason: String::new(),
        work: None,
    }
}

fn instance() -> Instance {
    Instance {
        stage: Stage::Transform,
        member: "aBcD".into(),
        host: "erp-1".into(),
        pid: 4_711,
        started_at: AT,
        mapping: Some("0123456789abcdef".into()),
        mapping_rejected: Some("mapping.toml:3: `form` is no key of a field".into()),
        writing: None,
        trouble: None,
        storage: None,
        trouble_since: None,
        next_attempt: None,
    }
}

fn stop() -> StopState {
    let reason = "20 of the last 40 orders were refused".into();
    StopState { stopped: true, reason, by: "aBcD".into(), at: AT }
}

#[path = "samples/alerts.rs"]
mod alerts;
#[path = "samples/fields.rs"]
mod fields;
#[path = "samples/older_stamp.rs"]
mod older_stamp;
#[path = "samples/operations.rs"]
mod operations;
#[path = "samples/shared.rs"]
mod shared;

/// The events whose later fields are all in use.
mod full {
    use super::*;

    pub fn slice() -> Slice {
        Slice { since: AT - 30_000_000, until: AT }
    }

    pub fn opened() -> WindowOpened {
        WindowOpened { listing: Listing::Deleted, news: News::Details, ..super::opened() }
    }

    pub fn page() -> PageFetched {
        PageFetched {
            slice: Some(slice()),
            contents: vec![u64::MAX, 1],
            details: vec![0, 2],
            gone: vec![0],
            source_now: Some(AT),
            read_at: Some(AT + 1),
            ..super::page()
        }
    }

    pub fn part() -> PagePartFetched {
        PagePartFetched {
            window: WindowId::live(1),
            pass: 1,
            page: 2,
            slice: Some(slice()),
            raw_seq: 7,
            ids: vec!["1".into()],
            contents: vec![u64::MAX],
            details: vec![2],
        }
    }

    pub fn refused() -> PageRefused {
        let reason = "page 6 cannot be fetched: HTTP 400".into();
        PageRefused { window: WindowId::live(1), pass: 1, page: 6, slice: Some(slice()), reason }
    }

    pub fn closed() -> WindowClosed {
        let proved = |slice, pass, confirmed_by| SliceProof {
            slice,
            pass,
            confirmed_by,
            pages: 1,
            total: 1,
            distinct: 1,
        };
        let first = Slice { since: AT - 60_000_000, until: AT - 31_000_000 };
        let slices = vec![proved(first, 1, None), proved(slice(), 2, Some(3))];
        let proof = Proof { pass: 2, pages: 2, total: 2, distinct: 2, slices, pages_read: 9 };
        WindowClosed { proof, ..super::closed() }
    }

    pub fn mapped() -> MappedOrder {
        MappedOrder { marks: vec!["lines add up".into()], ..super::mapped() }
    }

    pub fn dead() -> DeadLetter {
        let letter = super::dead();
        let origin = LetterOrigin { listing: Listing::Deleted, ..letter.origin };
        DeadLetter { origin, ..letter }
    }

    pub fn instance() -> Instance {
        let partitions = vec![
            HeldPartition { partition: 3, orders: Some(700), unknown: Some(1) },
            HeldPartition { partition: 4, orders: None, unknown: None },
        ];
        let (target, trouble) = (TargetName::new("qeasy"), Some("HTTP 503".into()));
        let writing = Some(Writing {
            target,
            partitions,
            trouble,
            concurrency: 16,
            trouble_since: None,
            next_attempt: None,
        });
        Instance { stage: Stage::Write, writing, ..super::instance() }
    }

    pub fn raw() -> RawPage {
        let details = Payload { encoding: Encoding::Plain, size: 1, bytes: vec![0x90] };
        RawPage { listing: Listing::Deleted, news: Some(vec![1]), details: Some(details), ..super::raw() }
    }
}

fn path<E: Event>(variant: &str) -> PathBuf {
    let folder = format!("tests/fixtures/v{}", E::SCHEMA);
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{}{variant}.msgpack", E::KIND))
}

fn write_if_missing<E: Event>(event: E, variant: &str) {
    if !path::<E>(variant).exists() {
        std::fs::write(path::<E>(variant), encode(&event, AT).expect("encodes")).expect("writes");
    }
}

fn holds<E: Event + PartialEq + Debug>(event: E, variant: &str) {
    let path = path::<E>(variant);
    let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let decoded = decode::<E>(&kept).expect("a kept event decodes");
    assert_eq!(decoded, Decoded { schema: E::SCHEMA, at: AT, body: event });
    let again = encode(&decoded.body, AT).expect("encodes");
    assert_eq!(again, kept, "{} is encoded in another way than before: raise its schema", E::KIND);
}

macro_rules! each_event {
    ($check:ident) => {
        $check(opened(), "");
        $check(page(), "");
        $check(closed(), "");
        $check(failed(), "");
        $check(WatermarkMoved { to: AT, window: WindowId::live(1) }, "");
        $check(PageJob { window: WindowId::live(1), pass: 1, page: 2, slice: None }, "");
        $check(raw(), "");
        $check(mapped(), "");
        $check(receipt(), "");
        $check(older_stamp::receipt(), "-full");
        $check(older_stamp::found(), "");
        $check(dead(), "");
        $check(resolved(), "");
        $check(DeadResolved { operation: Some("retry-1".into()), ..resolved() }, "-full");
        $check(DeadLetter { retries: 2, ..dead() }, "-retried");
        $check(operations::retry(), "-retry");
        $check(operations::discard(), "-discard");
        $check(operations::replay(), "-replay");
        $check(operations::rewrite(), "-rewrite");
        $check(operations::moved(), "");
        $check(operations::commanded(), "");
        $check(started(), "");
        $check(
            OperationFinished { id: "sync-1".into(), complete: true, result: "2 orders written".into() },
            "",
        );
        $check(full::opened(), "-full");
        $check(full::page(), "-full");
        $check(full::refused(), "-full");
        $check(PageRefused { slice: None, ..full::refused() }, "");
        $check(PageFetched { living: vec![0], ..page() }, "-living");
        $check(full::closed(), "-full");
        $check(full::raw(), "-full");
        $check(full::mapped(), "-full");
        $check(full::dead(), "-full");
        $check(shared::skipped(), "");
        $check(shared::numbers(), "");
        $check(PageJob { window: WindowId::live(1), pass: 1, page: 2, slice: Some(full::slice()) }, "-full");
        $check(OrderDeleted(mapped()), "");
        $check(BackfillRequested { id: "backfill-1".into(), range: full::slice(), step: 86_400_000_000 }, "");
        $check(BackfillEnded { id: "backfill-1".into(), complete: true, result: "2 orders".into() }, "");
        $check(instance(), "");
        $check(full::instance(), "-full");
        $check(Instance { trouble: Some("HTTP 503".into()), ..instance() }, "-troubled");
        $check(shared::troubled(), "-troubled-since");
        $check(shared::service(), "");
        $check(RunsState { ended_well: vec![AT, AT + 1] }, "");
        $check(shared::pause(), "");
        $check(stop(), "");
        $check(alerts::state(), "");
        $check(fields::seen(), "");
        $check(MappingState::default(), "");
        $check(fields::held(), "-held");
        $check(alerts::full(), "-full");
        $check(full::part(), "-full");
        $check(PagePartFetched { slice: None, ..full::part() }, "");
        $check(BudgetState { next: AT, paused_until: AT - 1 }, "");
        $check(
            TokenState { sealed: vec![1, 2], renew_at: AT, asking_until: 0, refused: Some("no".into()) },
            "",
        );
    };
}

#[test]
fn every_kept_event_decodes_and_encodes_the_same() {
    each_event!(holds);
}

#[test]
#[ignore = "writes files; run by hand when an event is added"]
fn write_missing_fixtures() {
    each_event!(write_if_missing);
}

#[test]
fn window_events_are_told_apart() {
    let bytes = encode(&closed(), AT).expect("encodes");
    assert_eq!(WindowEvent::decode(&bytes).expect("decodes"), WindowEvent::Closed(closed()));
    let other = encode(&raw(), AT).expect("encodes");
    assert!(matches!(WindowEvent::decode(&other), Err(CodecError::Kind { found, .. }) if found == "RawPage"));
}

#[test]
fn rubbish_is_an_error_not_a_panic() {
    for bytes in [&b""[..], b"{}", b"\xc1", &[0x93, 1, 2], &[0xff; 64]] {
        assert!(decode::<Receipt>(bytes).is_err() && kind_of(bytes).is_err());
    }
    let other = encode(&raw(), AT).expect("encodes");
    assert!(matches!(decode::<Receipt>(&other), Err(CodecError::Kind { expected: "Receipt", .. })));
}
