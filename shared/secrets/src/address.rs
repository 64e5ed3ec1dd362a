//! Addresses that may hold secrets: a user and a password before the host, a token in the query.

use crate::HIDDEN;
use crate::decode::decode_text;

/// Parts of the names of headers and parameters whose values are secrets; written without `-` and
/// `_`.
const SECRET_PARTS: [&str; 11] = [
    "accesskey",
    "apikey",
    "appkey",
    "authorization",
    "cookie",
    "credential",
    "passw",
    "privatekey",
    "secret",
    "signature",
    "token",
];

/// The same, as whole names.
const SECRET_NAMES: [&str; 6] = ["auth", "key", "pwd", "sig", "sign", "xauth"];

/// Whether a header or a parameter of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name: String = name.to_ascii_lowercase().chars().filter(|c| !matches!(c, '-' | '_')).collect();
    SECRET_NAMES.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Whether a header holds a secret, by its name or by how its value begins.
pub fn is_secret_header(name: &str, value: &str) -> bool {
    let scheme = value.trim_start().split_once(' ').map_or("", |(scheme, _)| scheme);
    is_secret_name(name) || ["basic", "bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str())
}

/// The parts of an address.
struct Parts<'a> {
    /// With `://`; empty if there is none.
    scheme: &'a str,
    user: Option<&'a str>,
    /// Host, port and path.
    place: &'a str,
    query: Option<&'a str>,
}

fn split(address: &str) -> Parts<'_> {
    let (scheme, rest) = match address.find("://") {
        Some(at) => address.split_at(at + 3),
        None => ("", address),
    };
    // A password may hold whatever it likes; what stands before the last @ of the part before the
    // path is not shown.
    let path = rest.find('/').unwrap_or(rest.len());
    let query = rest.find(['?', '#']).unwrap_or(rest.len());
    let user_end = match rest[..path.min(query)].rfind('@') {
        Some(at) => Some(at),
        // A password with an unencoded / or ? in it: the host is behind it all the same.
        None => rest
            .split(['?', '#'])
            .next()
            .and_then(|place| place.rfind('@'))
            .filter(|at| rest[..*at].contains(':')),
    };
    let (user, rest) = match user_end {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    let without_fragment = rest.split('#').next().unwrap_or_default();
    match without_fragment.split_once('?') {
        Some((place, query)) => Parts { scheme, user, place, query: Some(query) },
        None => Parts { scheme, user, place: without_fragment, query: None },
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pair, None),
    })
}

/// An address, or several separated by commas, as it may be shown: without user and password, and
/// without the values of parameters that are secrets.
pub fn shown(addresses: &str) -> String {
    let one = |address: &str| {
        let Parts { scheme, place, query, .. } = split(address.trim());
        let shown = parameters(query.unwrap_or_default()).map(|(name, value)| match value {
            Some(_) if is_secret_name(name) => format!("{name}={HIDDEN}"),
            Some(value) => format!("{name}={value}"),
            None => name.to_string(),
        });
        let shown: Vec<String> = shown.collect();
        let query = if shown.is_empty() { String::new() } else { format!("?{}", shown.join("&")) };
        format!("{scheme}{place}{query}")
    };
    each(addresses).map(one).collect::<Vec<_>>().join(",")
}

/// The addresses of a list separated by commas, as NATS has them. In one of another kind a comma is part of a password, or of
/// a list of hosts that share it.
fn each(addresses: &str) -> impl Iterator<Item = &str> {
    let is_one = ["http", "postgres"].iter().any(|scheme| addresses.trim_start().starts_with(scheme));
    let lists = (!is_one).then(|| addresses.split(',')).into_iter().flatten();
    lists.chain(is_one.then_some(addresses))
}

/// The user, with the password, that stands in an address.
pub fn user_of(address: &str) -> Option<&str> {
    split(address).user.filter(|user| !user.is_empty())
}

/// The name of the first parameter of an address whose value is a secret.
pub fn secret_parameter(address: &str) -> Option<&str> {
    let mut all = parameters(split(address).query.unwrap_or_default());
    let secret =
        all.find(|(name, value)| is_secret_name(name) && value.is_some_and(|value| !value.is_empty()));
    secret.map(|(name, _)| name)
}

/// Has the secrets of an address taken out of every text from now on: the password, and the values
/// of parameters that are secrets.
pub fn remember_secrets(addresses: &str) {
    for address in each(addresses).map(str::trim) {
        let Parts { scheme, user, query, .. } = split(address);
        match user.and_then(|user| user.split_once(':')) {
            Some((token, "")) => remember_decoded(token),
            Some((_, password)) => remember_decoded(password),
            // Alone it is a token, but the user of a database.
            None if scheme.starts_with("postgres") => {}
            None => remember_decoded(user.unwrap_or_default()),
        }
        for (_, value) in parameters(query.unwrap_or_default()).filter(|(name, _)| is_secret_name(name)) {
            remember_decoded(value.unwrap_or_default());
        }
    }
}

/// Has a value, and what it is once it is decoded, taken out of every text from now on.
fn remember_decoded(value: &str) {
    crate::remember(value);
    if let Some(decoded) = decode_text(value.as_bytes()) {
        crate::remember(&String::from_utf8_lossy(&decoded));
    }
}

/// The host of an address; empty if there is none.
pub fn host_of(address: &str) -> &str {
    let place = split(address).place.split('/').next().unwrap_or_default();
    let end_of_v6 = place.rfind(']').map_or(0, |at| at + 1);
    let port = place[end_of_v6..].find(':').map_or(place.len(), |at| end_of_v6 + at);
    place[..port].trim_start_matches('[').trim_end_matches(']')
}

/// Whether a host is this very machine.
pub fn is_this_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") || name.starts_with('/') {
        return true;
    }
    match name.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_loopback() || address.is_unspecified(),
        Ok(std::net::IpAddr::V6(address)) => {
            let mapped = address.to_ipv4_mapped().is_some_and(|address| address.is_loopback());
            address.is_loopback() || address.is_unspecified() || mapped
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (address, expected) in [
            (
                "https://me:s3cret@erp.example:8443/v1?a=1&access_token=s3cret#x",
                "https://erp.example:8443/v1?a=1&access_token=***",
            ),
            ("https://erp.example/execute", "https://erp.example/execute"),
            ("nats://s3cret@a:4222, tls://u:s3cret@[::1]:4222", "nats://a:4222,tls://[::1]:4222"),
            (
                "postgres://u:s3cret/x@db:5432/shop?sslmode=require&password=s3cret",
                "postgres://db:5432/shop?sslmode=require&password=***",
            ),
            ("http://h/@/a?b", "http://h/@/a?b"),
            ("https://me:s3cret,s3cret@h/x?a=1,2", "https://h/x?a=1,2"),
            ("postgres://u:s3cret@a:1,b:2/shop", "postgres://a:1,b:2/shop"),
            ("no address", "no address"),
        ] {
            assert_eq!(shown(address), expected, "{address}");
        }
    }

    #[test]
    fn the_secrets_of_an_address_are_named_and_remembered() {
        assert_eq!(user_of("https://me:pw@h/"), Some("me:pw"));
        assert_eq!(user_of("https://h/@"), None);
        assert_eq!(secret_parameter("https://h/?a=1&X-Api-Key=2"), Some("X-Api-Key"));
        assert_eq!(secret_parameter("https://h/?a=1&token="), None);
        remember_secrets("https://me:addr%40ss-pw@h/?sign=addr-sign-1&a=addr-plain");
        let text = crate::redact("addr@ss-pw addr%40ss-pw addr-sign-1 addr-plain").into_owned();
        assert_eq!(text, "*** *** *** addr-plain");
    }

    #[test]
    fn the_host_is_this_machine_or_another() {
        for here in ["http://127.0.0.1:80/x", "nats://u@localhost", "http://[::1]:9", "a.localhost"] {
            assert!(is_this_machine(host_of(here)), "{here}");
        }
        for there in
            ["http://10.0.0.1", "nats://nats:4222", "http://[fe80::1]:9/", "http://127.0.0.1.example/"]
        {
            assert!(!is_this_machine(host_of(there)), "{there}");
        }
    }
}
