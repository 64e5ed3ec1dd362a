//! A page of which some rows are no JSON: half a character of UTF-8, a number that is `NaN`, a text with a raw line break.
//! Such a row must not keep the others from arriving.
//!
//! The rows are found by their brackets and quotes alone. Each that is no JSON is covered with a `null` of the same length,
//! so that every other row stays at its place in the bytes.

use std::ops::Range;

use serde::de::IgnoredAny;

/// A body that can be read, and the rows that were covered to make it so.
pub(crate) struct Covered {
    /// As long as the body.
    pub(crate) body: Vec<u8>,
    /// Where the covered rows lie, ascending.
    pub(crate) rows: Vec<Range<usize>>,
}

/// Covers the rows of `data.list` (or the order in `data`, if there is no list) that are no JSON. `None` if that does not
/// make the body readable: the damage is elsewhere.
pub(crate) fn cover_damage(body: &[u8]) -> Option<Covered> {
    let data = value_of(body, skip_blank(body, 0), "data")?;
    let rows = match value_of(body, data.start, "list") {
        Some(list) => elements_of(body, list.start)?,
        None => vec![data],
    };
    let mut covered = Covered { body: body.to_vec(), rows: Vec::new() };
    for row in rows {
        if explain_damage(&body[row.clone()]).is_some() {
            cover(&mut covered.body[row.clone()]);
            covered.rows.push(row);
        }
    }
    let readable = serde_json::from_slice::<IgnoredAny>(&covered.body).is_ok()
        && std::str::from_utf8(&covered.body).is_ok();
    (readable && !covered.rows.is_empty()).then_some(covered)
}

/// Why some bytes are no JSON value; `None` if they are one.
pub(crate) fn explain_damage(row: &[u8]) -> Option<String> {
    match std::str::from_utf8(row) {
        Err(error) => {
            let at = error.valid_up_to();
            Some(format!("byte {at} of the row, 0x{:02X}, is not UTF-8", row[at]))
        }
        Ok(text) => {
            let read = serde_json::from_str::<IgnoredAny>(text);
            read.err().map(|error| format!("the row is not JSON: {error}"))
        }
    }
}

/// The row as text, with `?` in place of each byte that is not UTF-8: for finding out which order it is.
pub(crate) fn legible_text(row: &[u8]) -> String {
    let mut text = String::with_capacity(row.len());
    for chunk in row.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

fn cover(row: &mut [u8]) {
    row.fill(b' ');
    if let Some(start) = row.get_mut(..4) {
        start.copy_from_slice(b"null");
    } else if let Some(first) = row.first_mut() {
        *first = b'0';
    }
}

fn skip_blank(bytes: &[u8], from: usize) -> usize {
    let blank = bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_whitespace());
    from + blank.count()
}

/// Where the value of `name` lies in the object that begins at `from`; of several the last.
fn value_of(bytes: &[u8], from: usize, name: &str) -> Option<Range<usize>> {
    if bytes.get(from) != Some(&b'{') {
        return None;
    }
    let mut at = skip_blank(bytes, from + 1);
    let mut found = None;
    while bytes.get(at) == Some(&b'"') {
        let end = end_of_text(bytes, at)?;
        let is_wanted = &bytes[at + 1..end - 1] == name.as_bytes();
        at = skip_blank(bytes, end);
        if bytes.get(at) != Some(&b':') {
            break;
        }
        let start = skip_blank(bytes, at + 1);
        let end = end_of_value(bytes, start)?;
        if is_wanted {
            // Nothing between the colon and what ends it: there is no value.
            found = (start < end).then_some(start..end);
        }
        at = skip_blank(bytes, end);
        if bytes.get(at) != Some(&b',') {
            break;
        }
        at = skip_blank(bytes, at + 1);
    }
    found
}

/// Where the elements of the list that begins at `from` lie, or the values of a list that PHP wrote as an object.
fn elements_of(bytes: &[u8], from: usize) -> Option<Vec<Range<usize>>> {
    let is_object = match bytes.get(from)? {
        b'[' => false,
        b'{' => true,
        _ => return None,
    };
    let mut elements = Vec::new();
    let mut at = skip_blank(bytes, from + 1);
    while !matches!(bytes.get(at)?, b']' | b'}') {
        if is_object {
            at = skip_blank(bytes, end_of_text(bytes, at)?);
            at = skip_blank(bytes, at + 1); // the colon
        }
        let end = end_of_value(bytes, at)?;
        if end == at {
            return None; // nothing between two commas: not a row
        }
        elements.push(at..end);
        at = skip_blank(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_blank(bytes, at + 1);
        }
    }
    Some(elements)
}

/// The end of the value that begins at `from`, by brackets and quotes; blanks at its end do not belong to it.
fn end_of_value(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = end_of_text(bytes, at)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => break,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' if depth == 0 => break,
            _ => {}
        }
        at += 1;
    }
    let blank = bytes[from..at].iter().rev().take_while(|byte| byte.is_ascii_whitespace());
    Some(at - blank.count())
}

/// The end of the text whose quote stands at `from`.
fn end_of_text(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from) != Some(&b'"') {
        return None;
    }
    let mut at = from + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"order_id":1,"name":"订单 \"a\" ]}","lines":[{"a":[1,{}]}]}"#;

    fn page_of(rows: &[&[u8]]) -> Vec<u8> {
        let list = rows.join(&b" ,\n"[..]);
        [br#"{"code":200, "x":{"data":1}, "data" : {"count":3,"list":[ "#, &list[..], br#" ]} }"#].concat()
    }

    #[test]
    fn only_the_damaged_rows_are_covered() {
        for damaged in [
            &b"{\"order_id\":2,\"name\":\"half \xE8\xAE\"}"[..],
            b"{\"order_id\":2,\"amount\":NaN}",
            b"{\"order_id\":2,\"name\":\"a\nb\"}",
            b"{\"order_id\":2,\"amount\":01}",
            b"{\"order_id\":2,\"amount\":}",
            b"{\"order_id\":2,}",
            b"Inf",
        ] {
            let body = page_of(&[GOOD.as_bytes(), damaged, b"{\"order_id\":3}"]);
            let covered = cover_damage(&body).expect("readable");
            assert_eq!(covered.body.len(), body.len());
            let rows: Vec<&[u8]> = covered.rows.iter().map(|row| &body[row.clone()]).collect();
            assert_eq!(rows, [damaged]);
            let text = String::from_utf8(covered.body).expect("UTF-8");
            assert!(text.contains(GOOD) && text.contains("{\"order_id\":3}"), "{text}");
        }
    }

    #[test]
    fn damage_elsewhere_is_not_hidden() {
        for body in [
            &b"{\"code\":200,\"data\":{\"count\":1,\"list\":[{\"order_id\":1"[..],
            b"{\"code\":200 \"data\":{\"count\":1,\"list\":[{\"a\":NaN}]}}",
            b"{\"code\":NaN,\"data\":{\"count\":1,\"list\":[{\"a\":1}]}}",
            b"{\"data\":{\"list\":[{\"a\":NaN},,{\"a\":1}]}}",
            b"<html>",
            b"",
            b"{}",
            b"{\"code\":200,\"data\":}",
            b"{\"data\":,\"x\":1}",
            b"{\"data\":{\"list\":[{\"a\":1}]}}",
        ] {
            assert!(cover_damage(body).is_none(), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn an_order_that_is_alone_is_covered_whole() {
        let body = b"{\"code\":200,\"data\":{\"order_id\":1,\"name\":\"\xFF\"}}";
        let covered = cover_damage(body).expect("readable");
        assert_eq!(&body[covered.rows[0].clone()], &b"{\"order_id\":1,\"name\":\"\xFF\"}"[..]);
    }

    #[test]
    fn damage_is_explained_with_its_place() {
        assert_eq!(explain_damage(b"{\"a\":1}"), None);
        let half = explain_damage(b"{\"a\":\"\xE8\"}").expect("damaged");
        assert_eq!(half, "byte 6 of the row, 0xE8, is not UTF-8");
        let nan = explain_damage(b"{\"a\":NaN}").expect("damaged");
        assert!(nan.starts_with("the row is not JSON: "), "{nan}");
        assert_eq!(legible_text(b"a\xE8\xAEb"), "a??b");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let wrapped = [&b"{\"data\":{\"list\":["[..], &bytes, b"]}}"].concat();
            let alone = [&b"{\"data\":"[..], &bytes, b"}"].concat();
            for body in [&bytes, &wrapped, &alone] {
                if let Some(covered) = cover_damage(body) {
                    proptest::prop_assert_eq!(covered.body.len(), body.len());
                }
            }
        }
    }
}
