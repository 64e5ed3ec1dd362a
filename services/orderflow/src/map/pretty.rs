//! JSON for people: indented, every number and text as it was written. No value passes through a float.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::value::RawValue;

/// Nested deeper it is left as it is.
const DEPTH: usize = 64;

/// A JSON text indented, members as they come; a text that is no JSON as it is.
pub fn pretty(json: &str) -> String {
    match serde_json::from_str::<&RawValue>(json) {
        Ok(json) => {
            let mut out = String::new();
            value(json, 0, false, &mut out);
            out
        }
        Err(_) => json.to_owned(),
    }
}

/// A JSON text in the one form that all texts with the same meaning have: indented, members by name, strings with no
/// escapes but those they need. Numbers stay as they are written: 1.50 is not 1.5.
///
/// # Errors
/// When it is no JSON.
pub fn canonical(json: &str) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    value(serde_json::from_str(json)?, 0, true, &mut out);
    Ok(out)
}

fn value(json: &RawValue, depth: usize, sorted: bool, out: &mut String) {
    let text = json.get();
    let indent = |out: &mut String, depth: usize| out.extend(std::iter::repeat_n("  ", depth));
    match text.as_bytes().first() {
        Some(b'{') if depth < DEPTH => {
            let Some(members) = members(text, sorted) else { return out.push_str(text) };
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                out.push_str(if at > 0 { ",\n" } else { "\n" });
                indent(out, depth + 1);
                out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                out.push_str(": ");
                value(member, depth + 1, sorted, out);
            }
            if !members.is_empty() {
                out.push('\n');
                indent(out, depth);
            }
            out.push('}');
        }
        Some(b'[') if depth < DEPTH => {
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else { return out.push_str(text) };
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ",\n" } else { "\n" });
                indent(out, depth + 1);
                value(item, depth + 1, sorted, out);
            }
            if !items.is_empty() {
                out.push('\n');
                indent(out, depth);
            }
            out.push(']');
        }
        Some(b'"') if sorted => match serde_json::from_str::<String>(text) {
            Ok(string) => out.push_str(&serde_json::Value::from(string).to_string()),
            Err(_) => out.push_str(text),
        },
        _ => out.push_str(text),
    }
}

fn members(text: &str, sorted: bool) -> Option<Vec<(String, &RawValue)>> {
    if sorted {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
        return Some(members.into_iter().collect());
    }
    let members: IndexMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    Some(members.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_as_they_were_written() {
        let json = r#"{"b":1.50,"a":[12345678901234567890,{}, []],"c":"\u00e9"}"#;
        insta::assert_snapshot!(pretty(json), @r#"
        {
          "b": 1.50,
          "a": [
            12345678901234567890,
            {},
            []
          ],
          "c": "\u00e9"
        }
        "#);
        assert_eq!(pretty("no json"), "no json");
        let same = r#" {"a": [12345678901234567890, {}, []],"c":"é","b":1.50} "#;
        assert_eq!(canonical(json).expect("JSON"), canonical(same).expect("JSON"));
        assert_ne!(canonical("1.5").expect("JSON"), canonical("1.50").expect("JSON"));
    }
}
