//! Fingerprints are compared with those of letters that were written long ago: what is pinned here never changes.

use orderflow_events::{DeadLetter, LetterOrigin, Listing, Payload, Stage};
use proptest::prelude::*;

fn letter(stage: Stage, kind: &str, message: &str) -> DeadLetter {
    DeadLetter {
        stage,
        kind: kind.into(),
        message: message.into(),
        causes: Vec::new(),
        origin: LetterOrigin {
            stream: "okki-orders-RAW".into(),
            sequence: 7,
            window: None,
            page: None,
            row: None,
            raw_seq: None,
            listing: Listing::Orders,
        },
        target: None,
        key: None,
        number: None,
        payload: Payload::pack(b"{}"),
        answer: None,
        attempts: Vec::new(),
        mapping: None,
        trace_id: None,
        retries: 0,
    }
}

/// Stage, kind, message, its pattern, its fingerprint.
const PINNED: &[(Stage, &str, &str, &str, &str)] = &[
    (
        Stage::Write,
        "refused",
        "the target answered HTTP 200, code 40002: 客户不存在: 5203550123",
        "the target answered HTTP #, code #: 客户不存在: #",
        "e6b118f346c5dc4f",
    ),
    (
        Stage::Write,
        "refused",
        "the target answered HTTP 200, code 40002: 客户【宁波贸易】的订单SO-2025-0001在2025-01-02 03:04:05已审核",
        "the target answered HTTP #, code #: 客户【…】的订单#在#已审核",
        "5f447a60efe142fa",
    ),
    (
        Stage::Write,
        "retryable",
        "the target answered HTTP 503: <html>upstream 10.0.0.7:8080, request 4bf92f3577b34da6a3ce929d0e0e4736</html>",
        "the target answered HTTP #: <html>upstream #, request #</html>",
        "dd1a2fda2c453e65",
    ),
    (
        Stage::Write,
        "uncertain",
        "no answer from https://api-2.example.com:8443/open/v1/execute/5203550123?at=2025-01-02T03%3A04%3A05 within 30 s",
        "no answer from https://api-2.example.com:#/open/#/execute/#?at=# within # s",
        "e0e8e9dee37b86f8",
    ),
    (
        Stage::Transform,
        "bad_element",
        "field `totalAmount` (from items[3].price): found \"many\", expected a number",
        "field `totalAmount` (from items[#].price): found \"…\", expected a number",
        "b3d780ea7015473e",
    ),
    (
        Stage::Transform,
        "wrong_type",
        "field `lines[3].sku` (from items[3].sku): found {\"id\": 7, \"tags\": [\"a]\", \"b\"]}, expected text, a number or a boolean",
        "field `lines[#].sku` (from items[#].sku): found {…}, expected text, a number or a boolean",
        "d7d74bc82a6fe270",
    ),
    (
        Stage::Transform,
        "not_a_date",
        "field `orderDate` (from order_date): found -1.50, expected a date such as 2010-12-01 or 2010-12-01 08:26:00, or a time with an offset",
        "field `orderDate` (from order_date): found #, expected a date such as # or #, or a time with an offset",
        "5ac9659f75d6291c",
    ),
    (
        Stage::Transform,
        "bad_text",
        "field `name` (from company.name): found \"号号号号…",
        "field `name` (from company.name): found \"…\"",
        "79870a3a8ef565d1",
    ),
    (
        Stage::Transform,
        "check_failed",
        "check `total is the sum`: found false, expected `total == sum(items, 'price')` to be true",
        "check `total is the sum`: found false, expected `total == sum(items, '…')` to be true",
        "a1b9ecf3fe0242c7",
    ),
    (
        Stage::Fetch,
        "malformed",
        "page 12 cannot be fetched: the source answered GET /v1/invoices/order/list?start_index=12&count=100 with \"<html>\", expected a JSON object with code and data",
        "page # cannot be fetched: the source answered GET /#/invoices/order/list?start_index=#&count=# with \"…\", expected a JSON object with code and data",
        "d96d69f028e32a00",
    ),
    (
        Stage::Fetch,
        "business",
        "page 1 cannot be fetched: the source answered /list with code 500:\n\t系统繁忙　请 １２３ 秒后重试",
        "page # cannot be fetched: the source answered /list with code #: 系统繁忙 请 # 秒后重试",
        "523467407f7e2652",
    ),
    (
        Stage::Write,
        "refused",
        "the customer's ids 1, 22, 333 aren't known",
        "the customer's ids # aren't known",
        "3ddcd1f584dfc030",
    ),
];

#[test]
fn patterns_and_fingerprints_stay_as_they_are() {
    for (stage, kind, message, pattern, fingerprint) in PINNED {
        let letter = letter(*stage, kind, message);
        assert_eq!(
            (letter.pattern().as_str(), letter.fingerprint().as_str()),
            (*pattern, *fingerprint),
            "{message}"
        );
    }
}

#[test]
fn the_order_s_own_key_and_number_are_no_difference() {
    let of = |key: &str, number: &str| DeadLetter {
        key: Some(key.into()),
        number: Some(number.into()),
        ..letter(Stage::Write, "refused", &format!("order {number} ({key}): keyed twice"))
    };
    let one = of("甲乙丙", "SALES-A");
    assert_eq!(one.pattern(), "order # (#): keyed twice");
    assert_eq!(one.fingerprint(), of("丁戊己", "SALES B").fingerprint());
    assert_eq!(one.fingerprint(), of("5203550123", "SO-1").fingerprint());
    // Within another word it is not the key.
    let part = DeadLetter { key: Some("key".into()), ..letter(Stage::Write, "refused", "keyed, key") };
    assert_eq!(part.pattern(), "keyed, #");
}

#[test]
fn a_pattern_is_bounded() {
    let long = letter(Stage::Write, "refused", &"号".repeat(5_000));
    assert_eq!(long.pattern().chars().count(), 200);
    assert!(long.pattern().ends_with("号…"));
    assert_eq!(letter(Stage::Write, "refused", "  a \u{3000} b\n").pattern(), "a b");
}

#[test]
fn where_it_came_from_and_how_often_it_was_tried_is_no_difference() {
    let one = letter(Stage::Transform, "wrong_type", "row: found nothing");
    let mut other = one.clone();
    (other.origin.sequence, other.mapping, other.causes) =
        (8, Some("another".into()), vec!["a cause".into()]);
    assert_eq!(one.fingerprint(), other.fingerprint());
    assert_ne!(one.fingerprint(), DeadLetter { stage: Stage::Write, ..other }.fingerprint());
}

/// An id as sources and targets write them.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,18}",
        "SO-?20[0-9]{6}-?[0-9]{1,4}",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9a-f]{16,32}",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z",
        "-?[0-9]{1,3},[0-9]{3}\\.[0-9]{2}",
    ]
}

/// Words of a message, without a digit.
fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z_:.,;()\\[\\]/'`\"{}客户不存在订单金额错误：，。【】 -]{0,40}"
}

proptest! {
    #[test]
    fn digits_are_no_difference(text in "[a-z0-9:.,;()\\[\\]/'`\"{}客户不存在：， -]{0,80}", shift in 1_u32..10) {
        let other: String = text
            .chars()
            .map(|c| c.to_digit(10).and_then(|digit| char::from_digit((digit + shift) % 10, 10)).unwrap_or(c))
            .collect();
        let (one, other) = (letter(Stage::Write, "refused", &text), letter(Stage::Write, "refused", &other));
        prop_assert_eq!(one.pattern(), other.pattern());
        prop_assert_eq!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn ids_are_no_difference(before in words(), after in words(), one in id(), other in id()) {
        let of = |id: &str| letter(Stage::Write, "refused", &format!("{before} {id} {after}")).pattern();
        prop_assert_eq!(of(&one), of(&other));
    }

    #[test]
    fn kinds_and_stages_are_a_difference(message in ".{0,60}", one in "[a-z_]{1,12}", other in "[a-z_]{1,12}") {
        prop_assume!(one != other);
        let of = |stage, kind: &str| letter(stage, kind, &message).fingerprint();
        prop_assert_ne!(of(Stage::Write, &one), of(Stage::Write, &other));
        prop_assert_ne!(of(Stage::Write, &one), of(Stage::Transform, &one));
    }

    #[test]
    fn any_message_has_a_pattern(message in "\\PC{0,300}", key in proptest::option::of("\\PC{0,12}")) {
        let letter = DeadLetter { key, ..letter(Stage::Fetch, "malformed", &message) };
        prop_assert!(letter.pattern().chars().count() <= 200);
        prop_assert_eq!(letter.fingerprint().len(), 16);
    }
}
