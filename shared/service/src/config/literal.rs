//! Secrets that stand in the configuration file. It ends up in version control, tickets and
//! backups, so they are refused, with the variable or the key that takes them instead.

use std::path::Path;

use secrets::address::{is_secret_header, secret_parameter, user_of};
use toml::{Table, Value};

use super::ConfigError;
use super::load::line_within;

/// A secret that stands in the file.
struct Literal {
    key: String,
    /// The section it stands in, as far as the file has to be searched for it.
    section: &'static str,
    what: &'static str,
    instead: String,
}

/// Refuses secrets in the file.
///
/// # Errors
/// [`ConfigError`] with file and line; the secret is not repeated.
pub(super) fn refuse_literal_secrets(path: &Path, text: &str, file: &Table) -> Result<(), ConfigError> {
    let in_source = source(file);
    let found = in_source.or_else(|| nats(file)).or_else(|| targets(file)).or_else(|| webhooks(file));
    let Some(Literal { key, section, what, instead }) = found else { return Ok(()) };
    let line = line_within(text, section, &key).map_or_else(String::new, |line| format!(":{line}"));
    let place = format!("{}{line}", path.display());
    Err(ConfigError::key(place, format!("`{key}` must not {what} in this file; {instead}")))
}

/// A key that is a secret as a whole.
fn whole(key: &str, section: &'static str, variable: String) -> Literal {
    let instead = format!("give it as {variable}, or name a file with {key}_file");
    Literal { key: key.into(), section, what: "stand", instead }
}

fn source(file: &Table) -> Option<Literal> {
    let source = file.get("source")?;
    if source.get("client_secret").is_some() {
        return Some(whole("client_secret", "[source", "ORDERFLOW_SOURCE__CLIENT_SECRET".into()));
    }
    let of_request = source.get("request").and_then(Value::as_table).and_then(request);
    if of_request.is_some() {
        return of_request;
    }
    let address = source.get("base_url")?.as_str()?;
    of_address("base_url", "[source", address, "ORDERFLOW_SOURCE__BASE_URL")
}

/// A parameter that is a secret, for certain: `key` may be anything that is looked for.
fn request(request: &Table) -> Option<Literal> {
    let is_secret = |name: &str| ["token", "secret", "passw"].iter().any(|part| name.contains(part));
    let is_given = |value: &Value| value.as_str().is_some_and(|value| !value.is_empty());
    let (name, _) =
        request.iter().find(|(name, value)| is_secret(&name.to_ascii_lowercase()) && is_given(value))?;
    let instead = format!("give it as ORDERFLOW_SOURCE__REQUEST__{}", name.to_uppercase());
    Some(Literal { key: name.clone(), section: "[source.request", what: "stand", instead })
}

fn nats(file: &Table) -> Option<Literal> {
    let nats = file.get("nats")?;
    for key in ["password", "token"] {
        if nats.get(key).is_some() {
            return Some(whole(key, "[nats", format!("ORDERFLOW_NATS__{}", key.to_uppercase())));
        }
    }
    let mut addresses = nats.get("url")?.as_str()?.split(',');
    addresses.find(|address| user_of(address.trim()).is_some()).map(|_| Literal {
        key: "url".into(),
        section: "[nats",
        what: "hold credentials",
        instead: "give nats.user and nats.password_file, or nats.token_file, or the whole address as \
                  ORDERFLOW_NATS__URL"
            .into(),
    })
}

/// What is wrong with an address of HTTP that holds a secret.
fn of_address(key: &str, section: &'static str, address: &str, variable: &str) -> Option<Literal> {
    let what = if user_of(address).is_some() {
        "hold credentials"
    } else if secret_parameter(address).is_some() {
        "hold a secret in its query"
    } else {
        return None;
    };
    Some(Literal { key: key.into(), section, what, instead: format!("give the whole address as {variable}") })
}

fn targets(file: &Table) -> Option<Literal> {
    let targets = file.get("target")?.as_array()?;
    targets.iter().enumerate().find_map(|(at, target)| {
        let name = target.get("name").and_then(Value::as_str).map_or(at.to_string(), str::to_uppercase);
        let variable = |key: &str| format!("ORDERFLOW_TARGET__{name}__{key}");
        for key in ["app_secret", "password"] {
            if target.get(key).is_some() {
                return Some(whole(key, "[[target", variable(&key.to_uppercase())));
            }
        }
        let url = target.get("url").and_then(Value::as_str).unwrap_or_default();
        if url.starts_with("postgres") {
            let instead = format!("give it as {}, or name a file with password_file", variable("PASSWORD"));
            let what = "hold a password";
            let literal = Literal { key: "url".into(), section: "[[target", what, instead };
            return has_password(url).then_some(literal);
        }
        let has_text = target.get("headers").is_some_and(Value::is_str);
        if has_text {
            // It may be a secret, and an error of its type would repeat it.
            let instead = "give a table of headers, { Name = \"env:NAME\" }".to_string();
            let (key, what) = ("headers".to_string(), "be a text");
            return Some(Literal { key, section: "[[target", what, instead });
        }
        let of_headers = || target.get("headers").and_then(Value::as_table).and_then(headers);
        of_address("url", "[[target", url, &variable("URL")).or_else(of_headers)
    })
}

fn headers(headers: &Table) -> Option<Literal> {
    let is_elsewhere = |value: &str| value.starts_with("env:") || value.starts_with("file:");
    let is_secret =
        |name: &str, value: &str| !value.is_empty() && !is_elsewhere(value) && is_secret_header(name, value);
    let (name, _) =
        headers.iter().find(|(name, value)| value.as_str().is_some_and(|value| is_secret(name, value)))?;
    Some(Literal {
        key: "headers".into(),
        section: "[[target",
        what: "hold a secret",
        instead: format!("give header {name} as \"env:NAME\" of a variable, or as \"file:PATH\""),
    })
}

fn webhooks(file: &Table) -> Option<Literal> {
    let alerts = file.get("alerts")?;
    if alerts.get("heartbeat_url").is_some() {
        return Some(whole("heartbeat_url", "[alerts", "ORDERFLOW_ALERTS__HEARTBEAT_URL".into()));
    }
    let webhooks = alerts.get("webhook")?.as_array()?;
    webhooks.iter().enumerate().find_map(|(at, webhook)| {
        let name = webhook.get("name").and_then(Value::as_str).map_or(at.to_string(), str::to_uppercase);
        // The address of a chat robot is all that is needed to write there.
        let key = ["url", "secret"].into_iter().find(|key| webhook.get(*key).is_some())?;
        let variable = format!("ORDERFLOW_ALERTS__WEBHOOK__{name}__{}", key.to_uppercase());
        Some(whole(key, "[[alerts.webhook", variable))
    })
}

/// Whether an address of PostgreSQL says `user:password@`, or `password=` in its query.
fn has_password(url: &str) -> bool {
    user_of(url).is_some_and(|user| user.contains(':')) || secret_parameter(url).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<String> {
        let table = toml::from_str(text).expect("TOML");
        let error = refuse_literal_secrets(Path::new("o.toml"), text, &table).err()?.to_string();
        assert!(!error.contains("s3cret"), "{error}");
        Some(error)
    }

    const TARGET: &str = "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\n";

    #[test]
    fn a_secret_in_the_file_is_refused_with_what_to_do() {
        for (text, expected) in [
            (
                "[source.request]\ncount = 5\naccess_token = \"s3cret\"\n".into(),
                "o.toml:3: `access_token` must not stand in this file; give it as ORDERFLOW_SOURCE__REQUEST__ACCESS_TOKEN",
            ),
            (
                "[source]\nbase_url = \"https://me:s3cret@h\"\n".into(),
                "o.toml:2: `base_url` must not hold credentials in this file; give the whole address as ORDERFLOW_SOURCE__BASE_URL",
            ),
            (
                "[source]\nbase_url = \"https://h?token=s3cret\"\n".into(),
                "must not hold a secret in its query",
            ),
            (
                "[nats]\nurl = \"nats://h, nats://s3cret@h\"\n".into(),
                "o.toml:2: `url` must not hold credentials in this file; give nats.user and nats.password_file",
            ),
            (format!("{TARGET}url = \"https://me:s3cret@h/x\"\n"), "ORDERFLOW_TARGET__QEASY__URL"),
            (
                format!("{TARGET}url = \"https://h/x?access_token=s3cret\"\n"),
                "o.toml:4: `url` must not hold a secret in its query",
            ),
            (
                format!(
                    "{TARGET}url = \"https://h/x\"\nheaders = {{ A = \"1\", Authorization = \"Bearer s3cret\" }}\n"
                ),
                "o.toml:5: `headers` must not hold a secret in this file; give header Authorization as \"env:NAME\"",
            ),
            (format!("{TARGET}headers = {{ X-Api-Key = \"s3cret\" }}\n"), "header X-Api-Key"),
            (format!("{TARGET}headers = \"Bearer s3cret\"\n"), "`headers` must not be a text"),
            (format!("{TARGET}headers = {{ X-Any = \"bearer s3cret\" }}\n"), "header X-Any"),
            (
                format!("{TARGET}url = \"postgres://me:s3cret@h/x\"\n"),
                "`url` must not hold a password in this file; give it as ORDERFLOW_TARGET__QEASY__PASSWORD",
            ),
            (format!("{TARGET}url = \"postgres://me@h/x?password=s3cret\"\n"), "must not hold a password"),
            (
                format!("{TARGET}app_secret = \"s3cret\"\n"),
                "`app_secret` must not stand in this file; give it as ORDERFLOW_TARGET__QEASY__APP_SECRET, or name a file with app_secret_file",
            ),
        ] {
            let text: String = text;
            let error = refused(&text).unwrap_or_else(|| panic!("accepted: {text}"));
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_no_secret_may_stand_there() {
        for text in [
            format!(
                "{TARGET}url = \"https://h/x?env=test\"\nheaders = {{ X-Tenant = \"a\", X-Author = \"b\" }}\n"
            ),
            format!(
                "{TARGET}headers = {{ Authorization = \"env:T\", Cookie = \"file:c\", X-Token = \"\" }}\n"
            ),
            format!("{TARGET}url = \"postgres://me@h/x?sslmode=require\"\n"),
            "[nats]\nurl = \"nats://a:4222,tls://b\"\n[source]\nbase_url = \"https://h\"\n".into(),
        ] {
            assert_eq!(refused(&text), None, "{text}");
        }
    }
}
