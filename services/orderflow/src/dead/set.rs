//! `--set path=value` on a JSON text: what is not named keeps its very bytes.

use indexmap::IndexMap;
use serde_json::value::RawValue;

/// Sets one value, as `path=value`. The path is of member names and positions, with dots between; the value is JSON, or a text
/// as it stands when it is none.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn set(json: &str, assignment: &str) -> Result<String, String> {
    let Some((path, value)) = assignment.split_once('=') else {
        let example = r#"customer.name="李明""#;
        return Err(t!(
            "found \"%{found}\", expected path=value, for example %{example}",
            found = assignment,
            example = example
        )
        .into());
    };
    let value = match serde_json::from_str::<&RawValue>(value) {
        Ok(value) => value.get().to_string(),
        Err(_) => serde_json::Value::from(value).to_string(),
    };
    let names: Vec<&str> = path.split('.').collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(t!(
            "\"%{path}\" is no path: names and positions with dots between are expected",
            path = path
        )
        .into());
    }
    put(json, &names, &value, path)
}

fn put(json: &str, names: &[&str], value: &str, path: &str) -> Result<String, String> {
    let [name, rest @ ..] = names else { return Ok(value.to_string()) };
    let inner = |old: Option<&RawValue>| match (old, rest) {
        (Some(old), _) => put(old.get(), rest, value, path),
        (None, []) => Ok(value.to_string()),
        (None, _) => Err(t!("%{path}: there is no %{name}", path = path, name = name).into()),
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

#[cfg(test)]
mod tests {
    use super::set;

    const RECORD: &str =
        r#"{"id": 12345678901234567890, "amount":12.50,"customer":{"name":"a"},"lines":[{"q":1.0},{"q":2}]}"#;

    #[test]
    fn only_what_is_named_changes() {
        let rest = r#"{"id":12345678901234567890,"amount":12.50,"#;
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
            (
                r#"phone="123""#,
                format!(r#"{rest}"customer":{{"name":"a"}},"lines":[{{"q":1.0}},{{"q":2}}],"phone":"123"}}"#),
            ),
        ] {
            assert_eq!(set(RECORD, assignment).expect(assignment), expected);
        }
    }

    #[test]
    fn what_cannot_be_set_is_said() {
        for (assignment, expected) in [
            ("amount", "found \"amount\", expected path=value, for example customer.name=\"李明\""),
            ("a..b=1", "\"a..b\" is no path: names and positions with dots between are expected"),
            ("lines.2.q=1", "lines.2.q: found position 2 in a list of 2"),
            ("amount.x=1", "amount.x: x is sought in 12.50, which has no parts"),
            ("buyer.name=x", "buyer.name: there is no buyer"),
        ] {
            assert_eq!(set(RECORD, assignment), Err(expected.to_string()));
        }
    }
}
