//! What is wrong with a configuration that loads: addresses, secrets, the request. Pure but for the secrets, which are looked for.

use events::now;
use secrets::address::shown;
use service::Config;
use service::config::{Target, TargetKind};

use super::addresses::{STORE_TOKEN, called_for_orders, split_path, store_path, without_doubled};
use super::finding::{Finding, FindingLevel};

/// The path of the calls of `store`, as far as it is the same for all of them.
const OPEN_API: &str = "/v2/open-api";

/// Everything that is found in the configuration; `file` is its name.
pub fn findings(config: &Config, file: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = source(config).into_iter().collect();
    found.extend(request(config));
    found.extend(schedule(config));
    for target in &config.targets {
        found.extend(secret(target));
        found.extend(address(target));
        found.extend(headers(target));
    }
    found.extend(placeholders(config));
    found.iter_mut().for_each(|finding| finding.file = file.to_string());
    found
}

/// Whether `store` lacks the secret that its tokens are made of.
pub fn lacks_secret(target: &Target) -> bool {
    target.kind == TargetKind::Store && target.secret().is_ok_and(|secret| secret.is_empty())
}

fn finding(
    level: FindingLevel,
    key: String,
    found: impl Into<String>,
    expected: impl Into<String>,
) -> Finding {
    Finding { level, file: String::new(), key, found: found.into(), expected: expected.into() }
}

fn problem(key: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Finding {
    finding(FindingLevel::Problem, key.into(), found, expected)
}

fn warning(key: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Finding {
    finding(FindingLevel::Warning, key.into(), found, expected)
}

/// An address of the source that has the path of its calls already.
fn source(config: &Config) -> Option<Finding> {
    let base = config.source.base_url.as_deref()?;
    let shorter = without_doubled(base, &config.source.api)?;
    let called = called_for_orders(config);
    let found = t!("%{url}, so that %{called} is called", url = shown(base), called = called);
    let expected = t!("%{url}, without the path of the calls (source.api)", url = shown(&shorter));
    Some(problem("source.base_url", found, expected))
}

/// A request that does not ask for the times of its window.
fn request(config: &Config) -> Vec<Finding> {
    let values = || config.source.request.values().filter_map(|value| value.as_str());
    let names = |wanted: &[&str]| values().any(|value| wanted.iter().any(|name| value.contains(name)));
    let lacks = |name: &str, expected: &str| {
        let found = t!("no {{%{name}}}: every window would ask for the same orders", name = name);
        problem("source.request", found, expected)
    };
    let start = (!names(&["LAST_SYNC_TIME", "DAYS_AGO_"]))
        .then(|| lacks("LAST_SYNC_TIME", "start_time = \"{{LAST_SYNC_TIME|datetime}}\""));
    let end = (!names(&["CURRENT_TIME"]))
        .then(|| lacks("CURRENT_TIME", "end_time = \"{{CURRENT_TIME|datetime}}\""));
    start.into_iter().chain(end).collect()
}

fn schedule(config: &Config) -> Option<Finding> {
    let since = config.since().ok().filter(|since| since.as_microsecond() > now())?;
    let found = t!("%{time}, which is not yet: nothing is fetched until then", time = since);
    Some(warning("schedule.since", found, t!("a time in the past")))
}

fn secret(target: &Target) -> Option<Finding> {
    let variable = format!("ORDERFLOW_TARGET__{}__APP_SECRET", target.name.to_uppercase());
    let key = format!("target {}, app_secret", target.name);
    let expected = t!("%{variable}, or app_secret_file", variable = variable);
    if lacks_secret(target) {
        return Some(problem(key, t!("nothing"), expected));
    }
    let is_blank = target.kind == TargetKind::Store && target.scheme_id.trim().is_empty();
    let key = format!("target {}, scheme_id", target.name);
    is_blank.then(|| problem(key, t!("nothing"), t!("the id of the scheme in 轻易云")))
}

/// An address of a target that has a path too much, or none where one is needed.
fn address(target: &Target) -> Option<Finding> {
    let key = format!("target {}, url", target.name);
    let (host, path) = split_path(&target.url);
    match target.kind {
        TargetKind::Store => {
            let write = store_path(&target.scheme_id);
            let shorter = [write.as_str(), STORE_TOKEN, OPEN_API]
                .into_iter()
                .find_map(|api| without_doubled(&target.url, api))
                .or_else(|| path.contains(OPEN_API).then(|| host.to_string()))?;
            let called = format!("{}{write}", target.url.trim_end_matches('/'));
            let found =
                t!("%{url}, so that %{called} is called", url = shown(&target.url), called = shown(&called));
            let expected = t!("%{url}: \"store\" adds the path itself", url = shown(&shorter));
            Some(problem(key, found, expected))
        }
        TargetKind::Execute if path.contains(OPEN_API) || path.ends_with(STORE_TOKEN) => {
            let found = t!("%{url}, an address of the form \"store\"", url = shown(&target.url));
            Some(problem(key, found, t!("kind = \"store\" with url = \"%{url}\"", url = shown(host))))
        }
        TargetKind::Execute if path.is_empty() => {
            let found = t!("%{url}, an address without a path", url = shown(&target.url));
            Some(warning(key, found, t!("the whole address, such as %{url}/execute", url = shown(host))))
        }
        TargetKind::Execute | TargetKind::Postgres => None,
    }
}

/// A header whose value names a variable in a way that is sent as it stands.
fn headers(target: &Target) -> Vec<Finding> {
    let is_sent = |value: &str| {
        let is_elsewhere = ["env:", "file:"].iter().any(|prefix| value.starts_with(prefix));
        let names_variable = ["env:", "file:", "${", "{{"].iter().any(|mark| value.contains(mark));
        !is_elsewhere && (names_variable || value.starts_with('$'))
    };
    let sent = target.headers.iter().filter(|(_, value)| is_sent(value));
    let of = |name: &String| {
        let found = t!("a value that names a variable within a text, and is sent as it stands");
        let expected = t!("\"env:NAME\" alone, with the whole value in that variable");
        problem(format!("target {}, header {name}", target.name), found, expected)
    };
    sent.map(|(name, _)| of(name)).collect()
}

/// Values of an example that were left as they were.
fn placeholders(config: &Config) -> Vec<Finding> {
    let mut given = vec![("source.client_id".to_string(), config.source.client_id.as_str())];
    for target in config.targets.iter().filter(|target| target.kind == TargetKind::Store) {
        given.push((format!("target {}, scheme_id", target.name), &target.scheme_id));
        given.push((format!("target {}, app_key", target.name), &target.app_key));
    }
    let is_left = |value: &str| value.starts_with("your-") || value.starts_with('<') || value == "...";
    let left = given.into_iter().filter(|(_, value)| is_left(value));
    left.map(|(key, value)| {
        warning(key, t!("\"%{value}\", which an example has", value = value), t!("your own"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::language::in_both;

    fn told(text: &str, variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string()));
        let config = Config::parse(Path::new("/nowhere/orderflow.toml"), text, variables);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        findings(&config, "orderflow.toml").iter().map(|finding| format!("{}\n", finding.text())).collect()
    }

    const STORE: &str =
        "[[target]]\nname = \"qeasy\"\nkind = \"store\"\nscheme_id = \"S1\"\napp_key = \"k\"\n";

    #[test]
    fn what_cannot_work_is_found_with_its_key() {
        let variables = [("ORDERFLOW_TARGET__B__APP_SECRET", "long-enough-secret")];
        let store = STORE.replace("qeasy", "b");
        let text = format!(
            "[source]\nbase_url = \"https://okki.example/v1\"\nclient_id = \"your-client-id\"\n[source.request]\n\
             start_time = \"2025-01-01\"\n[schedule]\nsince = \"2999-01-01 00:00:00\"\n{STORE}url = \"https://api.qeasy.cloud\"\n\
             {store}url = \"https://api.qeasy.cloud/v2/open-api/business/S1/store\"\n\
             [[target]]\nname = \"c\"\nkind = \"execute\"\nurl = \"https://api.qeasy.cloud/v2/open-api/business/S1/store\"\n\
             headers = {{ X-Tenant = \"tenant ${{TENANT}}\" }}\n\
             [[target]]\nname = \"d\"\nkind = \"execute\"\nurl = \"https://api.qingyiyun.com\"\n"
        );
        insta::assert_snapshot!(in_both(|| told(&text, &variables)));
    }

    #[test]
    fn a_sound_configuration_has_no_findings() {
        let variables = [("ORDERFLOW_TARGET__QEASY__APP_SECRET", "long-enough-secret")];
        let text = format!(
            "[source]\nbase_url = \"https://okki.example/gateway\"\nclient_id = \"me\"\n{STORE}\
             url = \"https://api.qeasy.cloud\"\n[[target]]\nname = \"c\"\nkind = \"execute\"\n\
             url = \"https://api.qingyiyun.com/execute\"\nheaders = {{ Authorization = \"env:TOKEN\" }}\n"
        );
        assert_eq!(told(&text, &variables), "");
    }
}
