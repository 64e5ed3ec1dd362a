//! `ORDERFLOW_SECTION__KEY`: the environment over the file.

use std::ffi::OsString;

use toml::{Table, Value};

use super::ConfigError;
use super::text::{bad_character, trim};

const PREFIX: &str = "ORDERFLOW_";

/// Names with the prefix that are not configuration keys.
const OTHERS: [&str; 4] = ["ORDERFLOW_CONFIG", "ORDERFLOW_LOG", "ORDERFLOW_CACHE", "ORDERFLOW_LANG"];

/// The variables of this process that set configuration keys. The others are not ours to judge:
/// they may hold anything.
///
/// # Errors
/// When one of ours is not UTF-8.
pub fn variables() -> Result<Vec<(String, String)>, ConfigError> {
    ours(std::env::vars_os())
}

fn ours(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in all {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if OTHERS.contains(&name) {
            continue;
        }
        match value.into_string() {
            Ok(value) => found.push((name.to_string(), value)),
            Err(value) if is_of_a_service(name, &value.to_string_lossy()) => {}
            Err(_) => return Err(ConfigError::key(name, "the value is not UTF-8; correct the variable")),
        }
    }
    Ok(found)
}

/// Whether the variable is one that Kubernetes or Docker sets because a service, or a container, is
/// called like us: `ORDERFLOW_PORT=tcp://10.0.0.1:4222`, `ORDERFLOW_NATS_SERVICE_HOST`,
/// `ORDERFLOW_PORT_4222_TCP_ADDR` and so on.
fn is_of_a_service(name: &str, value: &str) -> bool {
    let protocols = ["tcp", "udp", "sctp"];
    let is_address = protocols
        .iter()
        .any(|protocol| value.strip_prefix(protocol).is_some_and(|rest| rest.starts_with("://")));
    if name.ends_with("_SERVICE_HOST") {
        return true;
    }
    if name.ends_with("_PORT") && is_address {
        return true;
    }
    if let Some((_, port)) = name.split_once("_SERVICE_PORT") {
        // Perhaps with the name of the port behind it.
        return (port.is_empty() || port.starts_with('_')) && value.parse::<u16>().is_ok();
    }
    if let Some((_, port)) = name.split_once("_PORT_") {
        let mut parts = port.split('_');
        let is_number = parts.next().is_some_and(|number| number.parse::<u16>().is_ok());
        let is_protocol =
            parts.next().is_some_and(|given| protocols.iter().any(|known| known.eq_ignore_ascii_case(given)));
        let what = parts.next();
        let is_known = matches!(what, None | Some("PROTO" | "PORT" | "ADDR")) && parts.next().is_none();
        return is_number && is_protocol && is_known;
    }
    // Docker's links: `ORDERFLOW_NAME=/web/orderflow`.
    name.ends_with("_NAME") && value.starts_with('/') && value.matches('/').count() == 2
}

/// Lays the variables over the table. A key keeps the spelling it has in `known` (`idCheck`).
///
/// # Errors
/// When a variable names a section, a target or a webhook that is not there, or holds what no value can.
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
        let is_known = path.first().is_some_and(|first| *first == "target" || table.contains_key(*first));
        if !is_known {
            // A service may be called like a flow and a section: only what is no key of ours is
            // looked at.
            if is_of_a_service(&name, &text) {
                continue;
            }
            return Err(unknown(table, &name, &path));
        }
        let text = trim(&text);
        if let Some(bad) = bad_character(text) {
            let message = format!("{bad}, which no value can hold; correct the variable");
            return Err(ConfigError::key(name, message));
        }
        // An error may repeat what has the wrong type.
        let is_secret = |part: &&str| {
            *part == "headers" || (secrets::address::is_secret_name(part) && !part.ends_with("_file"))
        };
        if path.iter().any(is_secret) {
            secrets::remember(text);
        }
        set(table, &path, &name, text)?;
    }
    Ok(())
}

/// No section or key is called like that; what may have been meant.
fn unknown(table: &Table, name: &str, path: &[&str]) -> ConfigError {
    let first = path.first().copied().unwrap_or_default();
    let known: Vec<&str> = table.keys().map(String::as_str).chain(["target"]).collect();
    // The most common mistake: one underscore where two belong.
    let section = known.iter().find(|section| {
        first.strip_prefix(**section).is_some_and(|rest| rest.starts_with('_') && rest.len() > 1)
    });
    let near = known
        .iter()
        .max_by(|a, b| strsim::jaro(first, a).total_cmp(&strsim::jaro(first, b)))
        .filter(|near| strsim::jaro(first, near) > 0.7);
    let meant = match (section, near) {
        (Some(section), _) => {
            let rest = name.get(PREFIX.len() + section.len() + 1..).unwrap_or_default();
            Some(format!("{PREFIX}{}__{rest}", section.to_uppercase()))
        }
        (None, Some(near)) => {
            let rest = name.get(PREFIX.len() + first.len()..).unwrap_or_default();
            Some(format!("{PREFIX}{}{rest}", near.to_uppercase()))
        }
        (None, None) => None,
    };
    let known = known.join(", ");
    let message = match meant {
        Some(meant) => format!("unknown key `{first}`; did you mean {meant}? (known are {known})"),
        None => format!("unknown key `{first}` (known are {known})"),
    };
    ConfigError::key(name, message)
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
    let float = || text.parse().map_or_else(|_| string(), Value::Float);
    // A file may say `max_share = 1` where a variable says 0.5.
    let integer = || text.parse().map_or_else(|_| float(), Value::Integer);
    let boolean = || text.parse().map_or_else(|_| string(), Value::Boolean);
    match (now, key) {
        (Some(Value::Integer(_)), _)
        | (None, "batch" | "concurrency" | "concurrency_min" | "burst" | "after" | "of") => integer(),
        (Some(Value::Float(_)), _) | (None, "requests_per_minute" | "max_share") => float(),
        (Some(Value::Boolean(_)), _) | (None, "idCheck" | "trust_status") => boolean(),
        _ => string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn laid_over(name: &str, value: &str) -> Result<bool, String> {
        let mut table: Table = toml::from_str(super::super::DEFAULTS).expect("the defaults are TOML");
        let before = table.clone();
        let variables = std::iter::once((name.to_string(), value.to_string()));
        overlay(&mut table, variables).map(|()| table != before).map_err(|error| error.to_string())
    }

    #[test]
    fn where_a_secret_lies_is_none() {
        let place = "/run/where-a-secret-lies";
        assert_eq!(laid_over("ORDERFLOW_SOURCE__CLIENT_SECRET_FILE", place), Ok(true));
        assert_eq!(secrets::redact(place), place);
        assert_eq!(laid_over("ORDERFLOW_SOURCE__CLIENT_SECRET", "the-env-test-secret"), Ok(true));
        assert_eq!(secrets::redact("the-env-test-secret"), "***");
    }

    #[test]
    fn what_kubernetes_says_of_services_is_not_ours() {
        for (name, value) in [
            ("ORDERFLOW_PORT", "tcp://10.96.0.1:4222"),
            ("ORDERFLOW_SERVICE_HOST", "10.96.0.1"),
            ("ORDERFLOW_SERVICE_HOST", "fd00::1"),
            ("ORDERFLOW_SERVICE_PORT", "4222"),
            ("ORDERFLOW_SERVICE_PORT_HTTP_METRICS", "8222"),
            ("ORDERFLOW_PORT_4222_TCP", "tcp://10.96.0.1:4222"),
            ("ORDERFLOW_PORT_4222_TCP_ADDR", "10.96.0.1"),
            ("ORDERFLOW_PORT_53_UDP_PROTO", "udp"),
            ("ORDERFLOW_NATS_PORT", "tcp://10.96.0.1:4222"),
            ("ORDERFLOW_NATS_SERVICE_HOST", "10.96.0.1"),
            ("ORDERFLOW_NATS_PORT_4222_TCP_PORT", "4222"),
            ("ORDERFLOW_NATS_HEADLESS_SERVICE_PORT_CLIENT", "4222"),
            ("ORDERFLOW_NAME", "/web/orderflow"),
        ] {
            assert_eq!(laid_over(name, value), Ok(false), "{name}");
        }
        assert_eq!(laid_over("ORDERFLOW_NATS__URL", "tcp://10.96.0.1:4222"), Ok(true));
    }

    #[test]
    fn a_mistyped_key_is_refused_with_what_may_have_been_meant() {
        for (name, value, expected) in [
            ("ORDERFLOW_PORT", "4222", "ORDERFLOW_PORT: unknown key `port`"),
            ("ORDERFLOW_SERVICE_PORT", "many", "unknown key `service_port`"),
            ("ORDERFLOW_SERVICE_PORTS", "4222", "unknown key `service_ports`"),
            ("ORDERFLOW_PORT_MANY_TCP", "x", "unknown key `port_many_tcp`"),
            ("ORDERFLOW_PORT_4222_TCP_OTHER", "x", "unknown key"),
            ("ORDERFLOW_NATS_URL", "x", "did you mean ORDERFLOW_NATS__URL?"),
            ("ORDERFLOW_TARGET_QEASY__URL", "x", "did you mean ORDERFLOW_TARGET__QEASY__URL?"),
            ("ORDERFLOW_SORCE__CLIENT_ID", "x", "did you mean ORDERFLOW_SOURCE__CLIENT_ID?"),
            ("ORDERFLOW_FLOWS", "x", "did you mean ORDERFLOW_FLOW?"),
        ] {
            let error = laid_over(name, value).expect_err(name);
            assert!(error.starts_with(name) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn values_are_trimmed_and_what_no_value_holds_is_named() {
        let mut table: Table = toml::from_str(super::super::DEFAULTS).expect("the defaults are TOML");
        let variables = [("ORDERFLOW_SOURCE__CLIENT_SECRET".to_string(), "\u{feff}s3cret\r\n".to_string())];
        overlay(&mut table, variables.into_iter()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(table["source"]["client_secret"].as_str(), Some("s3cret"));
        let error = laid_over("ORDERFLOW_SOURCE__CLIENT_SECRET", "s3\ncret").expect_err("two lines");
        let place = "ORDERFLOW_SOURCE__CLIENT_SECRET: character 3 is U+000A (a line feed)";
        assert!(error.starts_with(place) && !error.contains("cret,"), "{error}");
    }

    #[test]
    fn a_number_is_read_with_and_without_a_fraction() {
        let integer = Value::Integer(1);
        for (key, now, text, expected) in [
            ("max_share", None, "1", Value::Float(1.0)),
            ("max_share", None, "0.5", Value::Float(0.5)),
            ("max_share", Some(&integer), "0.5", Value::Float(0.5)),
            ("max_share", Some(&integer), "1", Value::Integer(1)),
            ("max_share", Some(&integer), "half", Value::String("half".into())),
        ] {
            assert_eq!(like(key, now, text), expected, "{key} {now:?} {text}");
        }
    }

    #[test]
    fn only_what_is_ours_has_to_be_utf_8() {
        let of = |name: &str, value: &[u8]| {
            let one = (OsString::from(name), OsString::from_vec(value.to_vec()));
            ours(std::iter::once(one)).map(|found| found.len()).map_err(|error| error.to_string())
        };
        assert_eq!(of("LS_COLORS", b"\xff"), Ok(0));
        assert_eq!(of("ORDERFLOW_LOG", b"\xff"), Ok(0), "looked at where it is used");
        assert_eq!(of("ORDERFLOW_FLOW", b"a"), Ok(1));
        let error = of("ORDERFLOW_NATS__URL", b"s3cret\xff").expect_err("not UTF-8");
        assert_eq!(error, "ORDERFLOW_NATS__URL: the value is not UTF-8; correct the variable");
        let name = OsString::from_vec(b"ORDERFLOW_\xff".to_vec());
        assert_eq!(ours(std::iter::once((name, "x".into()))).map(|found| found.len()).ok(), Some(0));
    }
}
