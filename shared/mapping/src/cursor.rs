//! A walk over a JSON text that is known to be valid: every row is a `RawValue`,
//! which serde_json has checked. So nothing is checked again, nothing is copied,
//! and what nobody asked for is stepped over at the speed of memchr. A text that
//! is not valid after all gives nonsense, never a panic and never an endless loop.

use std::borrow::Cow;

use memchr::memchr2;

use crate::names::Names;

/// As far as a string is looked at byte by byte.
const NEAR: usize = 24;

/// A position in a JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'r> {
    text: &'r str,
    at: usize,
}

/// The name of a member as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'r> {
    raw: &'r str,
    escaped: bool,
}

impl<'r> Name<'r> {
    /// The number of the name among those that are wanted.
    pub(crate) fn among(self, names: &Names) -> Option<usize> {
        if !self.escaped {
            return names.find(self.raw.as_bytes());
        }
        self.decoded().and_then(|name| names.find(name.as_bytes()))
    }

    /// The name; `None` when it is no valid Unicode (a lone surrogate).
    pub(crate) fn decoded(self) -> Option<Cow<'r, str>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.raw));
        }
        serde_json::from_str::<String>(&format!("\"{}\"", self.raw)).ok().map(Cow::Owned)
    }
}

impl<'r> Cursor<'r> {
    /// At the first value of the text.
    pub(crate) fn new(text: &'r str) -> Cursor<'r> {
        let mut cursor = Cursor { text, at: 0 };
        cursor.blanks();
        cursor
    }

    /// The byte here, 0 at the end.
    pub(crate) fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// The text from an earlier position up to here.
    pub(crate) fn since(&self, start: usize) -> &'r str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn blanks(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Steps into the object or array here; false when it is empty, which is stepped over.
    pub(crate) fn enter(&mut self) -> bool {
        self.at += 1;
        self.blanks();
        if matches!(self.byte(), b'}' | b']') {
            self.at += 1;
            return false;
        }
        true
    }

    /// Behind a value: steps over the comma to the next one, or over the end of the container.
    pub(crate) fn more(&mut self) -> bool {
        self.blanks();
        let more = self.byte() == b',';
        self.at += 1;
        self.blanks();
        more && self.at < self.text.len()
    }

    /// The name of the member here; afterwards we are at its value.
    pub(crate) fn name(&mut self) -> Name<'r> {
        let start = self.at + 1;
        let escaped = self.string();
        let raw = self.text.get(start..self.at.saturating_sub(1)).unwrap_or_default();
        self.blanks();
        self.at += 1; // the colon
        self.blanks();
        Name { raw, escaped }
    }

    /// Steps over the value here and returns its text.
    pub(crate) fn value(&mut self) -> &'r str {
        let start = self.at;
        match self.byte() {
            b'"' => {
                self.string();
            }
            b'{' | b'[' => self.container(),
            _ => self.scalar(),
        }
        self.since(start)
    }

    /// Steps over a string; true when it has escapes.
    fn string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let (mut at, mut escaped) = (self.at + 1, false);
        loop {
            // Most strings end within a few bytes, sooner than a call of memchr pays for itself.
            let near = bytes.get(at..).unwrap_or_default();
            let mark = |byte: &u8| matches!(byte, b'"' | b'\\');
            let found = near.iter().take(NEAR).position(mark).or_else(|| {
                let far = near.get(NEAR..)?;
                memchr2(b'"', b'\\', far).map(|length| NEAR + length)
            });
            match found.map(|length| at + length) {
                Some(quote) if bytes[quote] == b'"' => {
                    self.at = quote + 1;
                    return escaped;
                }
                Some(backslash) => (at, escaped) = (backslash + 2, true),
                None => {
                    self.at = bytes.len();
                    return escaped;
                }
            }
        }
    }

    /// Steps over an object or array, however deep.
    fn container(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.text.len() {
            match self.byte() {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Steps over a number or a literal.
    fn scalar(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
        self.at += end.unwrap_or(rest.len());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every member of an object: its name and the text of its value.
    fn members(json: &str) -> Vec<(Option<String>, &str)> {
        let mut cursor = Cursor::new(json);
        let mut found = Vec::new();
        let mut more = cursor.enter();
        while more {
            let name = cursor.name().decoded().map(Cow::into_owned);
            found.push((name, cursor.value()));
            more = cursor.more();
        }
        found
    }

    #[test]
    fn values_are_the_text_they_were_sent_as() {
        let json = "{ \"a\" : 1.50 ,\"b\":[1, {\"x\":\"]}\\\"\"}],\"\\u0063\": \"x\\\\\",\n\"\\ud800\":null}";
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(
            members(json),
            [
                (name("a"), "1.50"),
                (name("b"), "[1, {\"x\":\"]}\\\"\"}]"),
                (name("c"), "\"x\\\\\""),
                (None, "null"),
            ]
        );
        assert!(members("{ }").is_empty());
    }

    proptest! {
        #[test]
        fn a_text_that_is_no_json_ends_all_the_same(text in "[\\[\\]{}\",:\\\\ a1é]{0,40}") {
            let mut cursor = Cursor::new(&text);
            if cursor.enter() {
                for _ in 0..100 {
                    cursor.name();
                    cursor.value();
                    if !cursor.more() { break; }
                }
            }
            prop_assert!(members(&text).len() <= text.len() + 1);
        }
    }
}
