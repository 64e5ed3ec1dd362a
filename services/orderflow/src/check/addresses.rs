//! The addresses that are called in the end, as they may be shown, and paths that stand there twice.

use secrets::address::shown;
use service::Config;
use service::config::{Target, TargetKind};

/// The path of the token call of `store`.
pub const STORE_TOKEN: &str = "/v2/oauth";

/// The path of the write call of `store`.
pub fn store_path(scheme_id: &str) -> String {
    format!("/v2/open-api/business/{scheme_id}/store")
}

/// The address that is called for a page of orders.
pub fn called_for_orders(config: &Config) -> String {
    let base = config.source.base_url.as_deref().unwrap_or("-");
    format!("{}{}", shown(base.trim_end_matches('/')), config.source.api)
}

/// What is called to write orders to a target: method and address, or the table.
pub fn called_by_target(target: &Target) -> String {
    let url = shown(&target.url);
    match target.kind {
        TargetKind::Execute => format!("{} {url}", target.method),
        TargetKind::Store => format!("POST {}{}", url.trim_end_matches('/'), store_path(&target.scheme_id)),
        TargetKind::Postgres => format!("{} {url}", target.table),
    }
}

/// Scheme and host of an address, and its path without the last `/`.
pub fn split_path(address: &str) -> (&str, &str) {
    let host = address.find("://").map_or(0, |at| at + 3);
    let path = address[host..].find('/').map_or(address.len(), |at| host + at);
    (&address[..path], address[path..].trim_end_matches('/'))
}

/// The base address without the end of its path that `api` begins with, where there is such an end: it would be called twice.
pub fn without_doubled(base: &str, api: &str) -> Option<String> {
    let (host, path) = split_path(base);
    let (base, api) = (segments(path), segments(api));
    let doubled = (1..=base.len().min(api.len())).rev().find(|count| base.ends_with(&api[..*count]))?;
    let kept = base[..base.len() - doubled].iter().map(|segment| format!("/{segment}"));
    Some(format!("{host}{}", kept.collect::<String>()))
}

/// The names between the slashes of a path.
fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_be_called_twice_is_found() {
        let list = "/v1/invoices/order/list";
        for (base, expected) in [
            ("https://h", None),
            ("https://h/", None),
            ("https://h/okki", None),
            ("https://h/v1", Some("https://h")),
            ("https://h/v1/", Some("https://h")),
            ("https://h/proxy/v1/invoices/order/list", Some("https://h/proxy")),
            ("https://h/v1/invoices", Some("https://h")),
            ("https://h/v2", None),
        ] {
            assert_eq!(without_doubled(base, list).as_deref(), expected, "{base}");
        }
    }

    #[test]
    fn the_path_begins_behind_the_host() {
        assert_eq!(split_path("https://h:8/a/b/"), ("https://h:8", "/a/b"));
        assert_eq!(split_path("https://h"), ("https://h", ""));
    }
}
