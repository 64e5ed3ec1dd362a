//! `ORDERFLOW_SECTION__KEY`: the environment over the file.

use toml::{Table, Value};

use super::ConfigError;

const PREFIX: &str = "ORDERFLOW_";

/// Names with the prefix that are not configuration keys.
const OTHERS: [&str; 4] = ["ORDERFLOW_CONFIG", "ORDERFLOW_LOG", "ORDERFLOW_CACHE", "ORDERFLOW_LANG"];

/// Lays the variables over the table. A key keeps the spelling it has in `known` (`idCheck`).
///
/// # Errors
/// When a variable names a target or a webhook that is not there.
pub(super) fn overlay(
    table: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX).filter(|_| !OTHERS.contains(&name.as_str())) else {
            continue;
        };
        let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        set(table, &path, &name, &text)?;
    }
    Ok(())
}

fn set(table: &mut Table, path: &[&str], name: &str, text: &str) -> Result<(), ConfigError> {
    match path {
        [] => Ok(()),
        [key] => {
            let key = if *key == "idcheck" { "idCheck" } else { key };
            let value = like(key, table.get(key), text);
            table.insert(key.to_string(), value);
            Ok(())
        }
        [list @ ("target" | "webhook"), which, rest @ ..] => {
            let targets = match table.get_mut(*list) {
                Some(Value::Array(targets)) => targets.as_mut_slice(),
                _ => &mut [],
            };
            let names: Vec<String> = targets.iter().filter_map(name_of).collect();
            let at =
                which.parse().ok().or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(which)));
            match at.and_then(|at: usize| targets.get_mut(at)).and_then(Value::as_table_mut) {
                Some(target) => set(target, rest, name, text),
                None => Err(ConfigError::key(
                    name,
                    format!("there is no {list} \"{which}\"; the file has {}", listed(list, &names)),
                )),
            }
        }
        [section, rest @ ..] => {
            let entry = table.entry(section.to_string()).or_insert_with(|| Value::Table(Table::new()));
            match entry.as_table_mut() {
                Some(inner) => set(inner, rest, name, text),
                None => Err(ConfigError::key(name, format!("\"{section}\" is a key, not a section"))),
            }
        }
    }
}

fn name_of(target: &Value) -> Option<String> {
    Some(target.get("name")?.as_str()?.to_string())
}

fn listed(list: &str, names: &[String]) -> String {
    if names.is_empty() { format!("no {list}") } else { names.join(", ") }
}

/// A text as a TOML value: of the kind the key has now; for a key without a value, of the kind it is known to need.
fn like(key: &str, now: Option<&Value>, text: &str) -> Value {
    let string = || Value::String(text.to_string());
    let integer = || text.parse().map_or_else(|_| string(), Value::Integer);
    let float = || text.parse().map_or_else(|_| string(), Value::Float);
    let boolean = || text.parse().map_or_else(|_| string(), Value::Boolean);
    match (now, key) {
        (Some(Value::Integer(_)), _)
        | (None, "batch" | "concurrency" | "concurrency_min" | "burst" | "after" | "of") => integer(),
        (Some(Value::Float(_)), _) | (None, "requests_per_minute") => float(),
        (Some(Value::Boolean(_)), _) | (None, "idCheck" | "trust_status") => boolean(),
        _ => string(),
    }
}
