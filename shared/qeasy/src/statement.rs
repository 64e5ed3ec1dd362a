//! What an answer of the target says, read field by field. Whatever cannot be understood is neither a yes nor a no.

use http::foreign::{
    Code, Count, Fields, Flag, is_empty, read_count, read_error, read_failures, read_fields, read_flag,
    read_message, read_scalar, shorten,
};
use serde_json::value::RawValue;

/// The names, beside those that begin with `fail`, under which targets say how many orders failed, or which. Compared in
/// lower case, without `_`.
const FAILURES: [&str; 7] =
    ["errors", "errorcount", "errorlist", "errorids", "rejected", "rejectedcount", "rejectedlist"];

/// The names under which an object holds what became of each order.
const LISTS: [&str; 7] = ["list", "data", "items", "results", "result", "rows", "records"];

/// JSON that is packed into a text is unpacked so often.
const PACKED: u32 = 2;

/// Whether an answer says yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saying {
    /// Success.
    Yes,
    /// A refusal.
    No,
    /// Neither; why not.
    Unclear(String),
}

/// What the answer counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Nothing failed, as far as it counts anything.
    NoFailures,
    /// So many failed, and so many are said to have been inserted.
    Failures {
        /// How many failed, at least 1.
        failed: u64,
        /// How many were inserted; updates are not among them.
        inserted: u64,
    },
    /// It counts something that cannot be understood; what.
    Unclear(String),
}

/// An answer that is a JSON object.
pub(crate) struct Statement<'a> {
    success: Flag,
    pub(crate) code: Code,
    error: Option<String>,
    pub(crate) message: String,
    /// Whether its message, as it was received, says that the order is there already.
    pub(crate) says_repeat: bool,
    fields: Fields<'a>,
}

impl<'a> Statement<'a> {
    /// Reads the body of an answer; `None` if it is no JSON object.
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let fields = read_fields(body)?;
        let field = |name: &str| fields.get(name).copied();
        let error = read_error(field("error"));
        let message = read_message(field("message")).or_else(|| read_message(field("msg")));
        let says = |name: &str| field(name).filter(|value| read_message(Some(value)).is_some());
        let told = says("message").or_else(|| says("msg")).or_else(|| says("error"));
        let says_repeat = told.is_some_and(|value| value.get().to_ascii_uppercase().contains("REPEAT"));
        Some(Self {
            says_repeat,
            success: read_flag(field("success")),
            code: Code::read(field("code")),
            message: message.or_else(|| error.clone()).unwrap_or_default(),
            error,
            fields,
        })
    }

    /// A field of the answer.
    pub(crate) fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.get(name).copied()
    }

    /// Whether it says yes, by everything but its content.
    pub(crate) fn saying(&self) -> Saying {
        if self.success == Flag::No || self.code.is_success() == Some(false) || self.error.is_some() {
            return Saying::No;
        }
        match (self.success, self.code.is_success()) {
            (Flag::Unreadable, _) => Saying::Unclear("its success is neither yes nor no".into()),
            (Flag::Yes, _) | (_, Some(true)) => Saying::Yes,
            _ => Saying::Unclear("it has neither success nor code".into()),
        }
    }

    /// What it counts of a request with `rows` orders.
    pub(crate) fn tally(&self, rows: usize) -> Tally {
        let content = self.field("content");
        let content = if is_empty(content) { self.field("data").or(self.field("result")) } else { content };
        match tally_fields(&self.fields) {
            Tally::NoFailures => tally_content(content, rows, PACKED),
            failures => failures,
        }
    }
}

/// What the content of an answer counts.
fn tally_content(content: Option<&RawValue>, rows: usize, packed: u32) -> Tally {
    let Some(raw) = content.filter(|_| !is_empty(content)) else { return Tally::NoFailures };
    if let Some(fields) = read_fields(raw.get().as_bytes()) {
        return tally_object(&fields, raw);
    }
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        return match tally_entries(&list) {
            Tally::NoFailures if list.len() != rows => {
                Tally::Unclear(format!("its content has {} entries for {rows} orders", list.len()))
            }
            tally => tally,
        };
    }
    let text = read_scalar(content).unwrap_or_default();
    if text.starts_with(['{', '[']) && packed > 0 {
        let inner = serde_json::from_str::<Box<RawValue>>(&text);
        return inner
            .map_or_else(|_| unclear("content", raw), |inner| tally_content(Some(&inner), rows, packed - 1));
    }
    let is_all = read_count(content) == Count::Number(rows as u64);
    if is_all || read_flag(content) == Flag::Yes { Tally::NoFailures } else { unclear("content", raw) }
}

/// What an object in the content says: counts, what became of each order, or an answer of its own.
fn tally_object(fields: &Fields<'_>, raw: &RawValue) -> Tally {
    if is_refusal(fields) {
        return unclear("content", raw);
    }
    let lists = fields.iter().filter(|(name, _)| LISTS.contains(&name.as_str()));
    let tallies = lists.filter_map(|(_, value)| serde_json::from_str::<Vec<&RawValue>>(value.get()).ok());
    let of_lists = tallies.map(|list| tally_entries(&list)).find(|tally| *tally != Tally::NoFailures);
    match (tally_fields(fields), of_lists) {
        (Tally::NoFailures, Some(tally)) => tally,
        (tally, _) => tally,
    }
}

/// Whether an object says of itself that it failed. A `code` alone may be that of a product.
fn is_refusal(fields: &Fields<'_>) -> bool {
    let field = |name: &str| fields.get(name).copied();
    let is_answer = ["success", "message", "msg"].iter().any(|name| fields.contains_key(*name));
    let code = Code::read(field("code"));
    matches!(read_flag(field("success")), Flag::No | Flag::Unreadable)
        || read_error(field("error")).is_some()
        || (is_answer && code.is_success() == Some(false))
}

/// One entry an order: what became of each. Entries that say nothing of success are the orders that were taken.
fn tally_entries(list: &[&RawValue]) -> Tally {
    let mut failed = 0;
    for entry in list {
        match read_fields(entry.get().as_bytes()) {
            Some(fields) => {
                let is_failed = is_refusal(&fields)
                    || !matches!(tally_fields(&fields), Tally::NoFailures | Tally::Unclear(_));
                failed += u64::from(is_failed);
            }
            None if is_empty(Some(entry)) => return unclear("content", entry),
            None => failed += u64::from(read_flag(Some(entry)) == Flag::No),
        }
    }
    if failed == 0 {
        return Tally::NoFailures;
    }
    Tally::Failures { failed, inserted: (list.len() as u64).saturating_sub(failed) }
}

fn tally_fields(fields: &Fields<'_>) -> Tally {
    let mut failed = 0_u64;
    for (name, value) in fields {
        let plain = name.replace('_', "").to_ascii_lowercase();
        if !plain.starts_with("fail") && !FAILURES.contains(&plain.as_str()) {
            continue;
        }
        match read_failures(Some(value)) {
            Count::Absent => {}
            // Two names for the same failures do not make them more.
            Count::Number(number) => failed = failed.max(number),
            Count::Unreadable => return unclear(name, value),
        }
    }
    let inserted = match fields.get("inserted").map(|value| (read_count(Some(value)), value)) {
        None | Some((Count::Absent, _)) => 0,
        Some((Count::Number(number), _)) => number,
        Some((Count::Unreadable, value)) => return unclear("inserted", value),
    };
    if failed == 0 { Tally::NoFailures } else { Tally::Failures { failed, inserted } }
}

fn unclear(name: &str, value: &RawValue) -> Tally {
    let shown = shorten(value.get());
    Tally::Unclear(format!("its {name} cannot be understood: {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying(body: &str) -> Saying {
        Statement::read(body.as_bytes()).expect(body).saying()
    }

    fn tally(content: &str, rows: usize) -> Tally {
        let body = format!(r#"{{"success":true,"code":0,"content":{content}}}"#);
        Statement::read(body.as_bytes()).expect(&body).tally(rows)
    }

    #[test]
    fn success_and_code_are_read_in_every_spelling() {
        for yes in [
            r#"{"success":1}"#,
            r#"{"success":"true","code":"0"}"#,
            r#"{"code":"200"}"#,
            r#"{"code":0.0}"#,
            r#"{"success":true,"error":[]}"#,
            r#"{"success":true,"code":"SUCCESS"}"#,
            r#"{"success":false,"success":true}"#,
        ] {
            assert_eq!(saying(yes), Saying::Yes, "{yes}");
        }
        for no in [
            r#"{"success":0}"#,
            r#"{"success":"false","code":0}"#,
            r#"{"success":true,"code":"40001"}"#,
            r#"{"code":"E7"}"#,
            r#"{"code":0,"error":"busy"}"#,
            r#"{"success":true,"code":500}"#,
            r#"{"success":false,"code":40001,"message":["customer missing"]}"#,
        ] {
            assert_eq!(saying(no), Saying::No, "{no}");
        }
        for unclear in ["{}", r#"{"success":null}"#, r#"{"success":2,"code":0}"#, r#"{"message":"ok"}"#] {
            assert!(matches!(saying(unclear), Saying::Unclear(_)), "{unclear}");
        }
    }

    #[test]
    fn failures_are_found_however_they_are_counted() {
        for (content, failed) in [
            (r#"{"inserted":"0","failed":"1"}"#, 1),
            (r#"{"inserted":null,"failed":1.0}"#, 1),
            (r#"{"failed":[{"id":1},{"id":2}]}"#, 2),
            (r#"{"failed":{"0":1,"3":1}}"#, 2),
            (r#"{"failCount":1}"#, 1),
            (r#"{"errors":["a"],"failed":0}"#, 1),
            (r#"[{"success":true},{"success":0},{"success":"1"}]"#, 1),
            (r#"[{"id":1},{"id":2,"error":"no"},{"id":3}]"#, 1),
            (r#"[{"id":1,"code":0},{"id":2,"code":40001,"message":"no"},{"id":3,"code":"C7"}]"#, 1),
            (r#"[true,false,true]"#, 1),
            (r#"["ok","failed","ok"]"#, 1),
            (r#"[1,0,1]"#, 1),
            (r#"{"list":[{"success":false},{"success":true}]}"#, 1),
            (r#"{"successList":[1,2],"failList":[3]}"#, 1),
            (r#"{"failed_ids":[3,4]}"#, 2),
            (r#""{\"inserted\":2,\"failed\":1}""#, 1),
        ] {
            assert!(
                matches!(tally(content, 3), Tally::Failures { failed: found, .. } if found == failed),
                "{content}"
            );
        }
        let body = r#"{"success":true,"failed":1}"#;
        let beside = Statement::read(body.as_bytes()).expect("an object").tally(3);
        assert_eq!(beside, Tally::Failures { failed: 1, inserted: 0 });
    }

    #[test]
    fn content_without_failures_is_none() {
        for content in [
            "null",
            "[]",
            "{}",
            r#""""#,
            r#"{"inserted":3,"failed":0}"#,
            r#"{"inserted":"1","failed":"0"}"#,
            r#"{"inserted":1,"failed":[]}"#,
            r#"{"inserted":1,"failed":false}"#,
            r#"{"id":"5f2a"}"#,
            r#"{"code":"C001","name":"a"}"#,
            "[7,8,9]",
            "3",
            r#""3""#,
            "true",
            r#""success""#,
        ] {
            assert_eq!(tally(content, 3), Tally::NoFailures, "{content}");
        }
    }

    #[test]
    fn content_that_cannot_be_understood_is_not_success() {
        for content in [
            r#"{"inserted":3,"failed":"some"}"#,
            r#"{"inserted":3,"failed":-1}"#,
            r#"{"inserted":3,"failed":0.5}"#,
            r#"{"inserted":3,"failed":true}"#,
            r#"{"inserted":"all","failed":0}"#,
            "[7,8]",
            "[7,null,9]",
            r#"{"success":false}"#,
            r#"{"code":40001,"message":"no"}"#,
            r#"{"error":"x"}"#,
            "2",
            r#""partly""#,
            "false",
            r#""{\"inserted\":""#,
        ] {
            assert!(matches!(tally(content, 3), Tally::Unclear(_)), "{content}");
        }
    }
}
