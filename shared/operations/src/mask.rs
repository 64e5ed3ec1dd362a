//! Personal data are not for every eye: the values of the fields that the configuration names are not shown, wherever an
//! order is shown, nor where an answer or an error repeats them.

use events::DeadLetter;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use service::Config;
use service::config::HIDDEN;

/// Shorter values are not looked for in other texts: they would be found everywhere.
const FINDABLE: usize = 2;

/// Hides the values of some fields.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    names: Vec<String>,
}

impl Mask {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        Self { names: config.operators.personal.clone() }
    }

    /// Whether anything is to be hidden.
    pub fn hides(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether values of this name are hidden.
    pub fn hides_field(&self, name: &str) -> bool {
        self.names.iter().any(|hidden| hidden == name)
    }

    /// A JSON text with the values hidden, everything else byte for byte; and what was hidden, for [`Mask::text`]. A text that is
    /// no JSON is hidden as a whole as soon as anything is to be hidden.
    pub fn json(&self, json: &str) -> (String, Vec<String>) {
        if self.names.is_empty() || json.is_empty() {
            return (json.to_string(), Vec::new());
        }
        match serde_json::from_str::<&RawValue>(json) {
            Ok(value) => {
                let (mut out, mut hidden) = (String::with_capacity(json.len()), Vec::new());
                self.value(value, &mut out, &mut hidden);
                (out, hidden)
            }
            Err(_) => (HIDDEN.to_string(), Vec::new()),
        }
    }

    /// What is to be hidden of the order that a letter is about, wherever the letter repeats it.
    pub fn values_of(&self, letter: &DeadLetter) -> Vec<String> {
        match letter.payload.unpack().map(String::from_utf8) {
            Ok(Ok(json)) if self.hides() => self.json(&json).1,
            _ => Vec::new(),
        }
    }

    /// Another text that may repeat what was hidden.
    pub fn text(&self, text: &str, hidden: &[String]) -> String {
        let mut findable: Vec<&String> =
            hidden.iter().filter(|value| value.chars().count() >= FINDABLE).collect();
        // One that holds another is gone before that would leave the rest of it.
        findable.sort_by_key(|value| std::cmp::Reverse(value.len()));
        findable.into_iter().fold(text.to_string(), |text, value| {
            // Also as JSON has it, with and without escapes for what is not ASCII.
            let json = serde_json::Value::from(value.as_str()).to_string();
            let json = json.trim_matches('"');
            let text = text.replace(value.as_str(), HIDDEN).replace(json, HIDDEN);
            [ascii(json, false), ascii(json, true)].iter().fold(text, |text, form| text.replace(form, HIDDEN))
        })
    }

    fn value(&self, value: &RawValue, out: &mut String, hidden: &mut Vec<String>) {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                let Some(members) = members(text) else { return out.push_str(&format!("\"{HIDDEN}\"")) };
                out.push('{');
                for (at, (name, member)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                    out.push(':');
                    if self.hides_field(name) && member.get() != "null" {
                        scalars(member, hidden);
                        out.push_str(&format!("\"{HIDDEN}\""));
                    } else {
                        self.value(member, out, hidden);
                    }
                }
                out.push('}');
            }
            Some(b'[') => {
                let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else {
                    return out.push_str(&format!("\"{HIDDEN}\""));
                };
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    self.value(item, out, hidden);
                }
                out.push(']');
            }
            _ => out.push_str(text),
        }
    }
}

/// A JSON text in ASCII, with small or capital digits.
fn ascii(json: &str, capital: bool) -> String {
    let escaped = |unit: &u16| match capital {
        true => format!("\\u{unit:04X}"),
        false => format!("\\u{unit:04x}"),
    };
    let mut units = [0; 2];
    json.chars().fold(String::new(), |mut out, char| {
        match char.is_ascii() {
            true => out.push(char),
            false => out.extend(char.encode_utf16(&mut units).iter().map(escaped)),
        }
        out
    })
}

/// The members of an object, in their order; also of one that has a name twice.
fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Members).ok()
}

/// Every text and number within a value.
fn scalars(value: &RawValue, found: &mut Vec<String>) {
    let text = value.get();
    if let Some(members) = members(text) {
        members.into_iter().for_each(|(_, member)| scalars(member, found));
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        items.into_iter().for_each(|item| scalars(item, found));
    } else if let Ok(string) = serde_json::from_str::<String>(text) {
        found.push(string);
    } else if serde_json::from_str::<bool>(text).is_err() && serde_json::from_str::<IgnoredAny>(text).is_ok()
    {
        found.push(text.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(names: &[&str]) -> Mask {
        Mask { names: names.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn only_what_is_named_is_hidden_however_deep_and_wherever_it_is_repeated() {
        let json = r#"{"id":12345678901234567890,"name":"李明","lines":[{"price":1.50,"phone":[13800000000]}],"x":{"name":null}}"#;
        let (shown, hidden) = mask(&["name", "phone"]).json(json);
        let expected = r#"{"id":12345678901234567890,"name":"***","lines":[{"price":1.50,"phone":"***"}],"x":{"name":null}}"#;
        assert_eq!(shown, expected);
        assert_eq!(hidden, ["李明", "13800000000"]);
        let said = "no customer 李明 with 13800000000";
        assert_eq!(mask(&["name"]).text(said, &hidden), "no customer *** with ***");
        let several = ["李明".to_string(), "李明华".to_string(), "a\"b".to_string()];
        let said = r#"李明华, \u674e\u660e, \u674E\u660E, a\"b"#;
        assert_eq!(mask(&["name"]).text(said, &several), "***, ***, ***, ***");
        let twice = mask(&["name"]).json(r#"{"name":"a","name":"b"}"#);
        assert_eq!(twice.0, r#"{"name":"***","name":"***"}"#, "the first is not dropped, nor shown");
    }

    #[test]
    fn nothing_named_changes_nothing_and_what_is_no_json_is_hidden_whole() {
        let text = " {\"a\" : 1} ";
        assert_eq!(mask(&[]).json(text), (text.to_string(), vec![]));
        assert_eq!(mask(&["a"]).json("<html>a</html>").0, "***");
        assert_eq!(mask(&["a"]).json("").0, "");
    }
}
