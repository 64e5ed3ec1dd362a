//! `--set path=value` on a JSON text: what is not named keeps its very bytes.

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::known::KnownFields;

/// Sets one value, as `path=value`. The path is of member names and positions, with dots between; the value is JSON, or a text
/// as it stands when it is none.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn set(json: &str, assignment: &str, known: &KnownFields) -> Result<String, String> {
    let Some((path, value)) = assignment.split_once('=') else {
        let example = r#"customer.name="李明""#;
        return Err(t!(
            "found \"%{found}\", expected path=value, for example %{example}",
            found = assignment,
            example = example
        )
        .into());
    };
    let names: Vec<&str> = path.split('.').collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(t!(
            "\"%{path}\" is no path: names and positions with dots between are expected",
            path = path
        )
        .into());
    }
    put(json, &names, &known.value_for(path, value)?, path)
}

/// The path of `path=value`.
pub fn set_path(assignment: &str) -> Option<&str> {
    Some(assignment.split_once('=')?.0)
}

fn put(json: &str, names: &[&str], value: &str, path: &str) -> Result<String, String> {
    let [name, rest @ ..] = names else { return Ok(value.to_string()) };
    let inner = |old: Option<&RawValue>| match old {
        Some(old) if old.get() != "null" => put(old.get(), rest, value, path),
        // The mapping writes, or reads, an object there that this order does not have yet.
        _ if rest.is_empty() || !rest.iter().any(|name| is_position(name)) => Ok(nested(rest, value)),
        _ => Err(t!("%{path}: there is no %{name}", path = path, name = name).into()),
    };
    if let Ok(members) = serde_json::from_str::<IndexMap<String, &RawValue>>(json) {
        let new = inner(members.get(*name).copied())?;
        let mut texts: IndexMap<String, String> =
            members.into_iter().map(|(name, value)| (name, value.get().to_string())).collect();
        texts.insert((*name).to_string(), new);
        let members: Vec<String> = texts
            .into_iter()
            .map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name)))
            .collect();
        return Ok(format!("{{{}}}", members.join(",")));
    }
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(json) {
        let count = elements.len();
        let at = name.parse::<usize>().ok().filter(|at| *at < count);
        let Some(at) = at else {
            let message = t!(
                "%{path}: found position %{name} in a list of %{count}",
                path = path,
                name = name,
                count = count
            );
            return Err(message.into());
        };
        let new = inner(Some(elements[at]))?;
        let texts = elements.iter().enumerate();
        let texts: Vec<&str> =
            texts.map(|(place, value)| if place == at { new.as_str() } else { value.get() }).collect();
        return Ok(format!("[{}]", texts.join(",")));
    }
    let message = t!(
        "%{path}: %{name} is sought in %{json}, which has no parts",
        path = path,
        name = name,
        json = json
    );
    Err(message.into())
}

fn is_position(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// A value within objects of these names.
fn nested(names: &[&str], value: &str) -> String {
    names
        .iter()
        .rev()
        .fold(value.to_string(), |value, name| format!("{{{}:{value}}}", serde_json::Value::from(*name)))
}

#[cfg(test)]
mod tests {
    use super::super::known::KnownFields;
    use mapping::{FieldOutline, WrittenType};

    const RECORD: &str =
        r#"{"id": 12345678901234567890, "amount":12.50,"customer":{"name":"a"},"lines":[{"q":1.0},{"q":2}]}"#;

    fn set(assignment: &str) -> Result<String, String> {
        let field = |path: &[&str], written| FieldOutline {
            path: path.iter().map(ToString::to_string).collect(),
            written,
            required: false,
        };
        let written = [
            field(&["phone"], WrittenType::Text),
            field(&["buyer", "name"], WrittenType::Text),
            field(&["shipments", "*", "day"], WrittenType::Text),
        ];
        super::set(RECORD, assignment, &KnownFields::of_record(RECORD, &written))
    }

    #[test]
    fn only_what_is_named_changes() {
        let rest = r#"{"id":12345678901234567890,"amount":12.50,"#;
        let end = r#""customer":{"name":"a"},"lines":[{"q":1.0},{"q":2}]"#;
        for (assignment, expected) in [
            (
                "customer.name=李明",
                format!(r#"{rest}"customer":{{"name":"李明"}},"lines":[{{"q":1.0}},{{"q":2}}]}}"#),
            ),
            (
                "lines.1.q=3.10",
                format!(r#"{rest}"customer":{{"name":"a"}},"lines":[{{"q":1.0}},{{"q":3.10}}]}}"#),
            ),
            ("lines=[]", format!(r#"{rest}"customer":{{"name":"a"}},"lines":[]}}"#)),
            ("phone=123", format!(r#"{rest}{end},"phone":"123"}}"#)),
            ("buyer.name=x", format!(r#"{rest}{end},"buyer":{{"name":"x"}}}}"#)),
        ] {
            assert_eq!(set(assignment).expect(assignment), expected);
        }
    }

    #[test]
    fn what_cannot_be_set_is_said() {
        for (assignment, expected) in [
            ("amount", "found \"amount\", expected path=value, for example customer.name=\"李明\""),
            ("a..b=1", "\"a..b\" is no path: names and positions with dots between are expected"),
            ("lines.2.q=1", "lines.2.q: found position 2 in a list of 2"),
            ("amount=x", "amount: found \"x\", expected a number"),
            ("shipments.0.day=1", "shipments.0.day: there is no shipments"),
        ] {
            assert_eq!(set(assignment), Err(expected.to_string()));
        }
        let unknown = set("custoner.name=x").expect_err("there is none");
        assert!(unknown.ends_with("did you mean customer.name?"), "{unknown}");
    }
}
