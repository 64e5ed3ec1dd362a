//! Any answer of both APIs: what the source and the target can do to those who read them at worst.
//!
//! The input is one byte for what was asked, one for the status, and the bytes of the answer. An
//! error is an answer; a panic, a quotation without an end, a page larger than its bytes, and two
//! answers to one question are not.
#![no_main]

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::Answer;
use jiff::tz::TimeZone;
use libfuzzer_sys::{Corpus, fuzz_target};
use okki::Reader;
use qeasy::Verdict;

const STATUSES: [u16; 8] = [200, 201, 302, 400, 403, 413, 429, 503];

/// The most that an error says, in characters, with everything that caused it.
const SAID: usize = 8_192;

fuzz_target!(|input: &[u8]| -> Corpus {
    let [asked, status, body @ ..] = input else {
        return Corpus::Reject;
    };
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let body = Bytes::copy_from_slice(body);
    let zone = TimeZone::UTC;
    let reader =
        Reader { request: "/v1/list?start_index=1", status, retry_after: None, id: "order_id", zone: &zone };
    match asked % 4 {
        0 => page(&reader, &body),
        1 => twice(|| reader.detail(&body).map(|detail| format!("{detail:?}"))),
        2 => token(&answer(status, &body)),
        _ => written(&answer(status, &body), usize::from(asked / 4)),
    }
    Corpus::Keep
});

fn page(reader: &Reader<'_>, body: &Bytes) {
    let page = match reader.page(body) {
        Ok(page) => page,
        Err(error) => {
            shown(&error);
            return;
        }
    };
    assert_eq!(page.ids.len(), page.rows.len(), "a row, an id");
    for row in &page.rows {
        assert!(row.start <= row.end && row.end <= page.body.len(), "{row:?} of {}", page.body.len());
    }
    twice(|| reader.page(body).map(|page| format!("{} {:?} {:?}", page.total, page.ids, page.rows)));
}

fn token(answer: &Answer) {
    match okki::read_token(answer) {
        Ok(token) => assert!(token.good_for() <= Duration::from_secs(1 << 32), "{:?}", token.good_for()),
        Err(error) => _ = shown(&error),
    }
}

fn answer(status: u16, body: &Bytes) -> Answer {
    let (content_type, body) = ("application/json".into(), body.clone());
    Answer { status, content_type, retry_after: None, date: None, location: None, body }
}

fn written(answer: &Answer, rows: usize) {
    for trust_status in [false, true] {
        let judged = || qeasy::judge(answer, trust_status, rows.max(1));
        if let Ok(Verdict::Written) = judged() {
            assert!(answer.status < 300, "{} is no success", answer.status);
        }
        twice(|| judged().map(|verdict| format!("{verdict:?}")));
    }
}

/// That a question has one answer, whichever it is.
fn twice<E: Error>(ask: impl Fn() -> Result<String, E>) {
    let said = || ask().unwrap_or_else(|error| shown(&error));
    assert_eq!(said(), said(), "asked twice");
}

/// All that an error says, with what caused it.
fn shown(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    let length = text.chars().count();
    assert!(
        length <= SAID,
        "an error of {length} characters: {}",
        text.chars().take(200).collect::<String>()
    );
    text
}
