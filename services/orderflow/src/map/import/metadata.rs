//! The metadata of one end of a scheme, read leniently: what we do not know is kept aside, to be reported.

use serde_json::value::RawValue;
use service::ConfigError;

use super::object::{Literal, Object};

/// Which end of a scheme it describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is read from: QUERY.
    Source,
    /// It is written to: EXECUTE.
    Target,
}

/// One end of a scheme.
#[derive(Debug)]
pub(super) struct Metadata {
    /// The file it was read from, as it is named in messages.
    pub(super) file: String,
    pub(super) api: Option<String>,
    pub(super) effect: Option<String>,
    pub(super) method: Option<String>,
    pub(super) number: Option<String>,
    pub(super) id: Option<String>,
    pub(super) id_check: Option<bool>,
    pub(super) page_size: Option<String>,
    pub(super) request: Vec<Entry>,
    /// Keys we do not know, with their values.
    pub(super) unknown: Vec<(String, Literal)>,
}

/// A parameter of the source, or a field of the target.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) field: String,
    pub(super) id: Option<String>,
    pub(super) label: Option<String>,
    pub(super) describe: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) value: Option<Literal>,
    pub(super) parent: Option<String>,
    pub(super) required: bool,
    pub(super) children: Vec<Entry>,
    /// Keys we do not know, with their values.
    pub(super) unknown: Vec<(String, Literal)>,
}

/// Keys that only describe; there is nothing to carry over.
const DESCRIPTIVE: [&str; 4] = ["name", "title", "label", "describe"];

impl Metadata {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, the key, what was found and what is expected.
    pub(super) fn read(file: &str, text: &str, end: End) -> Result<Self, ConfigError> {
        let text = text.trim_start_matches('\u{feff}');
        let place = Place { file, at: String::new() };
        let object: Object<'_> = serde_json::from_str(text)
            .map_err(|error| place.refuse(format!("this is no JSON object of metadata: {error}")))?;
        let mut read = Self {
            file: file.into(),
            api: None,
            effect: None,
            method: None,
            number: None,
            id: None,
            id_check: None,
            page_size: None,
            request: Vec::new(),
            unknown: Vec::new(),
        };
        let mut kind = None;
        for (key, json) in &object.0 {
            let here = place.below(key);
            match key.as_str() {
                "api" => read.api = here.text(json)?,
                "effect" => read.effect = here.text(json)?,
                "type" => kind = here.text(json)?,
                "method" => read.method = here.text(json)?,
                "number" => read.number = here.text(json)?,
                "id" => read.id = here.text(json)?,
                "idCheck" => read.id_check = here.flag(json)?,
                "pagination" => read.pagination(&here, json)?,
                "request" => read.request = here.entries(json)?,
                _ if DESCRIPTIVE.contains(&key.as_str()) => {}
                _ => read.unknown.extend(said(key, json)),
            }
        }
        read.effect = read.effect.or(kind);
        read.check_end(&place.below("effect"), end)?;
        Ok(read)
    }

    fn pagination(&mut self, here: &Place<'_>, json: &RawValue) -> Result<(), ConfigError> {
        for (key, json) in here.object(json)?.0 {
            match key.as_str() {
                "pageSize" => self.page_size = here.below("pageSize").text(json)?,
                _ => self.unknown.extend(said(&format!("pagination.{key}"), json)),
            }
        }
        Ok(())
    }

    /// Files that were given the wrong way round would make a configuration that looks right.
    fn check_end(&self, here: &Place<'_>, end: End) -> Result<(), ConfigError> {
        let (expected, flag) = match end {
            End::Source => ("QUERY", "--target"),
            End::Target => ("EXECUTE", "--source"),
        };
        match &self.effect {
            Some(found) if !found.eq_ignore_ascii_case(expected) => Err(here.refuse(format!(
                "found {found:?}, expected \"{expected}\"; metadata of the other end is given with {flag}"
            ))),
            _ => Ok(()),
        }
    }
}

/// A key we do not know, unless it says nothing.
fn said(key: &str, json: &RawValue) -> Option<(String, Literal)> {
    Literal::of(json).filter(|value| !value.is_empty()).map(|value| (key.to_owned(), value))
}

/// Where in a file we are, for messages.
struct Place<'f> {
    file: &'f str,
    at: String,
}

impl<'f> Place<'f> {
    fn below(&self, key: &str) -> Place<'f> {
        let at = if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) };
        Place { file: self.file, at }
    }

    fn item(&self, index: usize) -> Place<'f> {
        Place { file: self.file, at: format!("{}[{index}]", self.at) }
    }

    fn refuse(&self, message: String) -> ConfigError {
        let dot = if self.at.is_empty() { "" } else { ", " };
        ConfigError::Key { place: format!("{}{dot}{}", self.file, self.at), message }
    }

    fn unexpected(&self, json: &RawValue, expected: &str) -> ConfigError {
        let found = Literal::of(json).map_or_else(|| "null".to_owned(), |value| value.described());
        self.refuse(format!("found {found}, expected {expected}"))
    }

    /// A text; numbers count as their digits, null and blank texts as nothing.
    fn text(&self, json: &RawValue) -> Result<Option<String>, ConfigError> {
        match Literal::of(json) {
            Some(Literal::Other(_)) => Err(self.unexpected(json, "a text")),
            Some(value) if !value.is_empty() => Ok(Some(value.text().trim().to_owned())),
            _ => Ok(None),
        }
    }

    fn flag(&self, json: &RawValue) -> Result<Option<bool>, ConfigError> {
        match self.text(json)?.as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(self.unexpected(json, "true or false")),
        }
    }

    /// An object. PHP writes an empty one as `[]`.
    fn object<'j>(&self, json: &'j RawValue) -> Result<Object<'j>, ConfigError> {
        match Literal::of(json) {
            None => Ok(Object::default()),
            Some(value) if value.is_empty() => Ok(Object::default()),
            _ => serde_json::from_str(json.get()).map_err(|_| self.unexpected(json, "an object")),
        }
    }

    /// The entries of a request: a list of objects with `field`, or one object of names and values.
    fn entries(&self, json: &RawValue) -> Result<Vec<Entry>, ConfigError> {
        match Literal::of(json) {
            None => Ok(Vec::new()),
            Some(value) if value.is_empty() => Ok(Vec::new()),
            Some(Literal::Other(text)) if text.starts_with('{') => {
                let members = self.object(json)?.0;
                members.into_iter().map(|(name, json)| self.below(&name).member(&name, json)).collect()
            }
            Some(Literal::Other(_)) => {
                let items: Vec<&RawValue> = serde_json::from_str(json.get())
                    .map_err(|_| self.unexpected(json, "a list of objects"))?;
                items.into_iter().enumerate().map(|(at, json)| self.item(at).entry(json)).collect()
            }
            Some(_) => Err(self.unexpected(json, "a list of objects with `field`, `type` and `value`")),
        }
    }

    fn member(&self, name: &str, json: &RawValue) -> Result<Entry, ConfigError> {
        let mut entry = Entry { field: name.to_owned(), ..Entry::default() };
        match Literal::of(json) {
            Some(Literal::Other(text)) if text.starts_with('{') => {
                entry.kind = Some("object".into());
                entry.children = self.entries(json)?;
            }
            value => entry.value = value,
        }
        Ok(entry)
    }

    fn entry(&self, json: &RawValue) -> Result<Entry, ConfigError> {
        let object: Object<'_> =
            serde_json::from_str(json.get()).map_err(|_| self.unexpected(json, "an object with `field`"))?;
        let mut entry = Entry::default();
        for (key, json) in object.0 {
            let here = self.below(&key);
            match key.as_str() {
                "field" => entry.field = here.text(json)?.unwrap_or_default(),
                "id" => entry.id = here.text(json)?,
                "label" => entry.label = here.text(json)?,
                "describe" => entry.describe = here.text(json)?,
                "type" => entry.kind = here.text(json)?,
                "value" => entry.value = Literal::of(json),
                "parent" | "parent_id" => entry.parent = here.text(json)?.or(entry.parent.take()),
                "is_required" | "required" => entry.required = here.flag(json)?.unwrap_or(false),
                "children" => entry.children = here.entries(json)?,
                _ => entry.unknown.extend(said(&key, json)),
            }
        }
        if entry.field.is_empty() {
            return Err(self.refuse("found no `field`, expected the name of a parameter or field".into()));
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, end: End) -> String {
        Metadata::read("a.json", text, end).expect_err("refused").to_string()
    }

    #[test]
    fn errors_name_the_file_the_key_what_was_found_and_what_is_expected() {
        insta::assert_snapshot!(error("[1]", End::Source), @"a.json: this is no JSON object of metadata: invalid type: sequence, expected an object at line 1 column 0");
        insta::assert_snapshot!(error("{\"api\": ", End::Source), @"a.json: this is no JSON object of metadata: EOF while parsing a value at line 1 column 8");
        insta::assert_snapshot!(error(r#"{"effect": "EXECUTE"}"#, End::Source), @r#"a.json, effect: found "EXECUTE", expected "QUERY"; metadata of the other end is given with --target"#);
        insta::assert_snapshot!(error(r#"{"method": ["GET"]}"#, End::Source), @"a.json, method: found a list, expected a text");
        insta::assert_snapshot!(error(r#"{"idCheck": "maybe"}"#, End::Target), @r#"a.json, idCheck: found "maybe", expected true or false"#);
        insta::assert_snapshot!(error(r#"{"request": [{"field": "a"}, {"label": "b"}]}"#, End::Target), @"a.json, request[1]: found no `field`, expected the name of a parameter or field");
        insta::assert_snapshot!(error(r#"{"request": [{"field": "a", "children": [7]}]}"#, End::Target), @"a.json, request[0].children[0]: found 7, expected an object with `field`");
    }

    #[test]
    fn numbers_keep_every_digit_and_phps_empties_are_nothing() {
        let text = r#"{"type": "query", "id": "", "pagination": [], "otherRequest": [], "condition": null,
                       "request": [{"field": "a", "value": 12345678901234567890123.4500}]}"#;
        let read = Metadata::read("a.json", text, End::Source).expect("metadata");
        assert_eq!(read.request[0].value, Some(Literal::Number("12345678901234567890123.4500".into())));
        assert_eq!((read.id, read.unknown.len()), (None, 0));
    }

    #[test]
    fn a_request_may_be_an_object_of_names_and_values() {
        let read = Metadata::read("a.json", r#"{"request": {"b": 1, "a": {"c": "x"}}}"#, End::Source);
        let request = read.expect("metadata").request;
        assert_eq!((request[0].field.as_str(), request[1].children[0].field.as_str()), ("b", "c"));
    }
}
