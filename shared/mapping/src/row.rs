//! A row as borrowed text: the values a plan wants, each the JSON it was sent
//! as, and nothing else parsed.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A set of member names, each with a slot. Looked up once for every member of
/// every row, so by length first: most foreign names end there.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    by_length: [Vec<usize>; 32],
}

impl Names {
    /// The slot of a name, a new one if the name is new.
    pub(crate) fn slot(&mut self, name: &str) -> usize {
        if let Some(slot) = self.find(name.as_bytes()) {
            return slot;
        }
        let slot = self.names.len();
        self.names.push(name.into());
        self.by_length[name.len() % 32].push(slot);
        slot
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.by_length[name.len() % 32].iter().copied().find(|slot| self.names[*slot].as_bytes() == name)
    }

    /// The names in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// Fills the slots with the members of one object; of repeated names the last
/// wins. The slots must be empty beforehand.
pub(crate) struct Members<'p, 's, 'row> {
    pub(crate) names: &'p Names,
    pub(crate) slots: &'s mut [Option<&'row str>],
}

impl<'row> DeserializeSeed<'row> for Members<'_, '_, 'row> {
    type Value = ();

    fn deserialize<D: Deserializer<'row>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'row> Visitor<'row> for Members<'_, '_, 'row> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'row>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(slot) = map.next_key_seed(Name(self.names))? {
            match slot {
                Some(slot) => self.slots[slot] = Some(map.next_value::<&RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads a member name as bytes: a name that is no valid Unicode (a lone
/// surrogate) is merely a name nobody asked for, not a reason to lose the row.
struct Name<'p>(&'p Names);

impl<'row> DeserializeSeed<'row> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'row>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.find(name))
    }
}

/// The wanted members of a JSON text, or `None` if it is not an object.
pub(crate) fn members<'row>(names: &Names, json: &'row str) -> Option<Vec<Option<&'row str>>> {
    let mut slots = vec![None; names.len()];
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = Members { names, slots: &mut slots };
    members.deserialize(&mut deserializer).ok()?;
    Some(slots)
}

/// A path to a value: a member of the row, then members of the objects below.
#[derive(Debug)]
pub(crate) struct Path {
    /// As written in the mapping.
    pub(crate) text: String,
    slot: usize,
    below: Vec<Names>,
}

impl Path {
    /// The path written as `text`, its first name given a slot in `names`.
    /// `None` when a name is empty.
    pub(crate) fn new(text: &str, names: &mut Names) -> Option<Path> {
        if text.split('.').any(str::is_empty) {
            return None;
        }
        let mut parts = text.split('.');
        let slot = names.slot(parts.next()?);
        let below = parts.map(|part| {
            let mut names = Names::default();
            names.slot(part);
            names
        });
        Some(Path { text: text.to_owned(), slot, below: below.collect() })
    }

    /// The JSON at the end of the path. `Ok(None)` when it leads nowhere, an
    /// error with the offending JSON when it leads through something that is
    /// not an object. PHP writes an empty object as `[]` and an absent one
    /// sometimes as `""`; both lead nowhere.
    pub(crate) fn find<'row>(&self, slots: &[Option<&'row str>]) -> Result<Option<&'row str>, &'row str> {
        let mut here = slots[self.slot];
        for names in &self.below {
            let Some(json) = here else { return Ok(None) };
            if matches!(json, "null" | "\"\"") || is_empty_array(json) {
                return Ok(None);
            }
            let mut found = members(names, json).ok_or(json)?;
            here = found.pop().flatten();
        }
        Ok(here)
    }
}

/// Whether a JSON text is an array without elements.
pub(crate) fn is_empty_array(json: &str) -> bool {
    json.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| inside.trim_ascii().is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at<'row>(path: &str, row: &'row str) -> Result<Option<&'row str>, &'row str> {
        let mut names = Names::default();
        let path = Path::new(path, &mut names).unwrap();
        path.find(&members(&names, row).unwrap())
    }

    #[test]
    fn values_are_the_text_they_were_sent_as() {
        let row = r#"{"a": 1.50 ,"skip":{"a":[1]},"b":{"c":{"d": "x\u00e9"}}}"#;
        assert_eq!(at("a", row), Ok(Some("1.50")));
        assert_eq!(at("b.c.d", row), Ok(Some(r#""x\u00e9""#)));
        assert_eq!(at("b.x.d", row), Ok(None));
        assert_eq!(at("a.b", row), Err("1.50"));
    }

    #[test]
    fn the_last_of_repeated_names_wins() {
        assert_eq!(at("a", r#"{"a":1,"\u0061":2,"a":null}"#), Ok(Some("null")));
        assert_eq!(at("b.a", r#"{"b":{"a":1},"b":{"a":2}}"#), Ok(Some("2")));
    }

    #[test]
    fn names_beyond_unicode_and_deep_nesting_do_no_harm() {
        assert_eq!(at("a", r#"{"\ud800":"\ud800","a":1}"#), Ok(Some("1")));
        let deep = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(9999), "]".repeat(9999));
        assert_eq!(at("a", &deep), Ok(Some("1")));
    }

    #[test]
    fn empty_php_arrays_stand_for_absent_objects() {
        for absent in ["[]", "[ ]", "null", "\"\""] {
            assert_eq!(at("b.a", &format!(r#"{{"b":{absent}}}"#)), Ok(None));
        }
        assert_eq!(at("b.a", r#"{"b":[1]}"#), Err("[1]"));
    }

    #[test]
    fn many_names_of_one_length_keep_apart() {
        let mut names = Names::default();
        for n in 0..200 {
            assert_eq!(names.slot(&format!("name{n:03}")), n);
        }
        assert_eq!(names.slot("name150"), 150);
        assert_eq!(names.find(b"name199"), Some(199));
        assert_eq!(names.find(b"name200"), None);
    }
}
