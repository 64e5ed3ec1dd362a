//! Any mapping over any page: what a mapping's author, and what the source, can do to the transformer at worst.
//!
//! The input is a mapping, a line `---`, and the bytes of a page. Errors are an answer; a panic, a record that is not a JSON
//! object, and two answers to one question are not.
#![no_main]

use std::error::Error;
use std::ops::Range;
use std::sync::LazyLock;

use jiff::tz::TimeZone;
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target, fuzzer_mutate};
use mapping::{Outcome, Plan, RowError};
use serde_json::value::RawValue;

/// TOML has no such line outside of a text, and a page that has it is not cut there: the first one counts.
const SEPARATOR: &[u8] = b"\n---\n";

/// The most that an error quotes of the source, in characters.
const QUOTED: usize = 80;

/// With hours that are there twice and hours that are not, and the same on every machine.
static ZONE: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("the zone is well formed"));

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((mapping, page)) = halves(input) else {
        return Corpus::Reject;
    };
    let (mapping, page) = (&input[mapping], &input[page]);
    let Ok(mapping) = str::from_utf8(mapping) else {
        return Corpus::Reject;
    };
    let plan = match Plan::compile("mapping.toml", mapping, &ZONE) {
        Ok(plan) => plan,
        Err(error) => {
            shown(&error);
            return Corpus::Keep;
        }
    };
    match okki::rows(page) {
        Ok(rows) => rows.iter().filter_map(|row| row.whole()).for_each(|row| check(&plan, row)),
        Err(error) => _ = shown(&error),
    }
    Corpus::Keep
});

fn halves(input: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let at = input.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)?;
    Some((0..at, at + SEPARATOR.len()..input.len()))
}

// Left alone, libFuzzer breaks the mapping or the page almost every time, and what reads both is hardly reached. Mostly one
// word of one half is changed, which can still be anything.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let seed = seed as usize;
    let span = match (halves(&data[..size]), seed % 4) {
        (None, _) | (_, 0) => 0..size,
        (Some((mapping, page)), way) => {
            let half = if (seed / 4).is_multiple_of(3) { mapping } else { page };
            if way == 1 { half } else { word(data, half, seed / 12) }
        }
    };
    let after = data[span.end..size].to_vec();
    let room = max_size - span.start - after.len();
    if room == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut part = data[span.clone()].to_vec();
    part.resize(room, 0);
    let length = fuzzer_mutate(&mut part, span.len(), room);
    let end = span.start + length;
    data[span.start..end].copy_from_slice(&part[..length]);
    data[end..end + after.len()].copy_from_slice(&after);
    end + after.len()
});

/// One of the words of a half: what stands between the marks of TOML, of JSON and of an expression.
fn word(data: &[u8], half: Range<usize>, number: usize) -> Range<usize> {
    let is_mark = |byte: &u8| b" \n\"',:=()[]{}".contains(byte);
    let mut words = Vec::new();
    let mut start = half.start;
    for word in data[half].split(is_mark) {
        if !word.is_empty() {
            words.push(start..start + word.len());
        }
        start += word.len() + 1;
    }
    // Without a word there is a place for one.
    if words.is_empty() { start - 1..start - 1 } else { words.swap_remove(number % words.len()) }
}

/// The records of a row and the values that could not be converted, or why it has none.
type Answer = Result<(Vec<Vec<u8>>, Vec<RowError>), RowError>;

fn map(plan: &Plan, row: &RawValue) -> Answer {
    let (mut records, mut problems) = (Vec::new(), Vec::new());
    if let Outcome::Records(all) = plan.map(row)? {
        assert!(!all.is_empty(), "a row that is not skipped has a record");
        for mapped in all {
            assert!(mapped.identity.key.is_some(), "every record has a key");
            records.push(mapped.record);
            problems.extend(mapped.dropped.into_iter().map(|problem| problem.error));
        }
    }
    // To explain a row is to map it.
    let (_, explained) = plan.explain(row);
    assert!(explained.is_ok(), "a row that can be mapped can be explained");
    Ok((records, problems))
}

fn map_deleted(plan: &Plan, row: &RawValue) -> Answer {
    plan.map_deleted(row).map(|mapped| {
        let problems = mapped.dropped.into_iter().map(|problem| problem.error);
        (mapped.record.into_iter().collect(), problems.collect())
    })
}

fn check(plan: &Plan, row: &RawValue) {
    for map in [map, map_deleted] {
        assert_eq!(judged(map(plan, row)), judged(map(plan, row)), "the same row, mapped twice");
    }
    assert_eq!(plan.identify(row), plan.identify(row), "the same row, identified twice");
}

/// The records and the errors of an answer as they are compared, each found to be what it must be.
fn judged(answer: Answer) -> (Vec<Vec<u8>>, Vec<String>) {
    let (records, errors) = match answer {
        Ok((records, problems)) => (records, problems),
        Err(error) => (Vec::new(), vec![error]),
    };
    for record in &records {
        let shown = String::from_utf8_lossy(record);
        let json: &RawValue =
            serde_json::from_slice(record).unwrap_or_else(|error| panic!("a record: {error}: {shown}"));
        assert!(json.get().starts_with('{'), "a record is no object: {shown}");
    }
    for error in &errors {
        let quoted = error.found().chars().count();
        assert!(quoted <= QUOTED, "an error quotes {quoted} characters: {error}");
    }
    (records, errors.iter().map(|error| shown(error)).collect())
}

/// All that an error says, with what caused it.
fn shown(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
