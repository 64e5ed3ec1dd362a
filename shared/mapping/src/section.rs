//! One table of a mapping file, read key by key, every refusal naming its place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::mapping_error::{MappingError, Place, one_of};

/// Keys of the top of a mapping that are no keys of anything below it.
const AT_THE_TOP: [&str; 7] = ["key", "number", "version", "deleted_at", "on_delete", "marks", "case"];

/// A TOML table with all that an error about it has to say.
pub(crate) struct Section<'t> {
    pub(crate) source_name: &'t str,
    /// The whole file, to find lines in.
    pub(crate) text: &'t str,
    pub(crate) table: &'t DeTable<'t>,
    /// Where the table itself stands.
    pub(crate) span: Range<usize>,
    /// Which table it is, e.g. ``field 3 (`lines`): field 1 (`sku`)``; empty for the top of the file.
    pub(crate) title: String,
}

impl<'t> Section<'t> {
    /// The top of a file.
    pub(crate) fn top(source_name: &'t str, text: &'t str, table: &'t DeTable<'t>) -> Section<'t> {
        Section { source_name, text, table, span: 0..0, title: String::new() }
    }

    /// The tables of an array of tables below this one, none when it is absent.
    pub(crate) fn tables(&self, array: &str) -> Result<Vec<Section<'t>>, MappingError> {
        let refused = |found| self.refuse(array, found, format!("at least one [[{array}]]"));
        let rows = match self.get(array).map(Spanned::get_ref) {
            None => return Ok(Vec::new()),
            Some(DeValue::Array(rows)) if !rows.is_empty() => rows,
            Some(DeValue::Array(_)) => return Err(refused("an empty array".to_owned())),
            Some(other) => return Err(refused(described(other))),
        };
        let mut sections = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let DeValue::Table(table) = row.get_ref() else {
                return Err(refused(described(row.get_ref())));
            };
            let name = ["to", "name", "reason"].iter().find_map(|key| table.get(*key)?.get_ref().as_str());
            let name = name.map_or_else(String::new, |name| format!(" (`{name}`)"));
            let above = if self.title.is_empty() { String::new() } else { format!("{}: ", self.title) };
            let title = format!("{above}{array} {}{name}", index + 1);
            sections.push(Section { table, span: row.span(), title, ..*self });
        }
        Ok(sections)
    }

    /// The texts of a key that holds one or several.
    pub(crate) fn strings(&self, key: &str) -> Result<Vec<&'t str>, MappingError> {
        let several = match self.get(key).map(Spanned::get_ref) {
            None => return Ok(Vec::new()),
            Some(DeValue::Array(several)) => several,
            Some(_) => return Ok(self.string(key)?.into_iter().collect()),
        };
        let texts = several.iter().map(|one| one.get_ref().as_str());
        match texts.collect::<Option<Vec<_>>>() {
            Some(texts) if !texts.is_empty() => Ok(texts),
            _ => Err(self.refuse(key, described_array(several), "a string or several strings")),
        }
    }

    /// What is wrong with the keys that are not known, one error each.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<MappingError> {
        let unknown = self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        unknown
            .map(|key| {
                let name = key.get_ref();
                let expected = match !self.title.is_empty() && AT_THE_TOP.contains(&name.as_ref()) {
                    true => format!("`{name}` above the first [[...]] of the file, where it belongs"),
                    false => one_of(known, name),
                };
                self.refuse_at(key.span(), name, "an unknown key", expected)
            })
            .collect()
    }

    /// Refuses the first key that is not known.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), MappingError> {
        let first = self.unknown(known).into_iter().min_by_key(MappingError::line);
        first.map_or(Ok(()), Err)
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.table.get(key)
    }

    /// The text of a key that must be a string.
    pub(crate) fn string(&self, key: &str) -> Result<Option<&'t str>, MappingError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(self.refuse(key, described(value.get_ref()), "a string")),
        }
    }

    /// The text of a key that must be there.
    pub(crate) fn required(&self, key: &str, expected: &str) -> Result<&'t str, MappingError> {
        match self.string(key)? {
            None => Err(self.refuse(key, "nothing", expected)),
            Some("") => Err(self.refuse(key, "\"\"", expected)),
            Some(text) => Ok(text),
        }
    }

    /// The truth of a key, false when it is absent.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, MappingError> {
        match self.get(key).map(|value| value.get_ref()) {
            None => Ok(false),
            Some(DeValue::Boolean(flag)) => Ok(*flag),
            Some(other) => Err(self.refuse(key, described(other), "true or false")),
        }
    }

    /// The error of a key: at its value, or at the table when it is absent.
    pub(crate) fn refuse(
        &self,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> MappingError {
        self.refuse_at(self.span_of(key), key, found, expected)
    }

    fn refuse_at(
        &self,
        span: Range<usize>,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> MappingError {
        MappingError::Key {
            place: Box::new(self.place(span)),
            key: key.to_owned(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    pub(crate) fn span_of(&self, key: &str) -> Range<usize> {
        self.get(key).map_or_else(|| self.span.clone(), |value| value.span())
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        Place {
            source_name: self.source_name.into(),
            line: Some(line(self.text, span.start)),
            title: self.title.as_str().into(),
        }
    }
}

/// The line of a byte offset, from 1.
pub(crate) fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// A TOML value as an error shows it.
pub(crate) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let mut shown: String = text.chars().take(60).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            format!("{shown:?}")
        }
        DeValue::Integer(number) => format!("the integer {number}"),
        DeValue::Float(number) => format!("the float {number}"),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn described_array(values: &DeArray<'_>) -> String {
    let other = values.iter().map(Spanned::get_ref).find(|value| value.as_str().is_none());
    other.map_or_else(|| "an empty array".to_owned(), |other| format!("{} in the array", described(other)))
}
