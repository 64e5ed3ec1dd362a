//! The proxies that the environment names, and which requests take them: as curl reads
//! `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, except that nothing on this machine is
//! ever asked by way of one.

use std::net::{IpAddr, Ipv6Addr};

use reqwest::Url;

use crate::HttpError;

/// Which proxy a request takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// What is asked directly, by `NO_PROXY`.
    direct: Vec<String>,
}

impl Proxies {
    /// Those of this process.
    ///
    /// # Errors
    /// [`HttpError::Proxy`] when a variable names something that is no address.
    pub(crate) fn from_environment() -> Result<Self, HttpError> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, HttpError> {
        let first = |names: &[&str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some(((*name).to_string(), value))
            })
        };
        let all = first(&["ALL_PROXY", "all_proxy"]);
        // A web server that runs us puts a header of its client into HTTP_PROXY.
        let names: &[&str] = match variable("REQUEST_METHOD") {
            Some(_) => &["http_proxy"],
            None => &["HTTP_PROXY", "http_proxy"],
        };
        let http = first(names).or_else(|| all.clone());
        let https = first(&["HTTPS_PROXY", "https_proxy"]).or(all);
        let (_, direct) = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
        for (_, proxy) in http.iter().chain(&https) {
            secrets::address::remember_secrets(proxy);
        }
        Ok(Self {
            http: http.map(address).transpose()?,
            https: https.map(address).transpose()?,
            direct: direct.split(',').map(|host| host.trim().to_lowercase()).collect(),
        })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The proxy that a request to this address takes.
    pub(crate) fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_lowercase();
        let is_direct =
            secrets::address::is_this_machine(&host) || self.direct.iter().any(|entry| covers(entry, &host));
        (!is_direct).then_some(proxy)
    }

    /// The address, with the proxy that requests to it take, for a message.
    pub(crate) fn describe(&self, url: &str) -> String {
        let proxy = url.parse().ok().and_then(|parsed| self.of(&parsed).map(without_credentials));
        let url = secrets::address::shown(url);
        match proxy {
            Some(proxy) => format!("{url} (through the proxy {proxy}, which the environment names)"),
            None => url,
        }
    }
}

/// The address of the proxy that a variable names; one without a scheme speaks HTTP.
fn address((variable, text): (String, String)) -> Result<Url, HttpError> {
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_string() } else { format!("http://{text}") };
    with_scheme.parse().map_err(|_| HttpError::Proxy { variable })
}

/// A proxy's address as it may be shown.
pub(crate) fn without_credentials(proxy: &Url) -> String {
    let host = proxy.host_str().unwrap_or_default();
    let port = proxy.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}", proxy.scheme())
}

/// Whether an entry of `NO_PROXY` covers the host: `*`, a domain with all below it, an address, or
/// a block of addresses.
fn covers(entry: &str, host: &str) -> bool {
    if entry.is_empty() {
        return false;
    }
    if entry == "*" {
        return true;
    }
    let entry = entry.trim_matches(['[', ']']);
    if let Ok(address) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((network, bits)) => is_within(address, network, bits),
            None => entry.parse::<IpAddr>() == Ok(address),
        };
    }
    let domain = entry.trim_start_matches("*.").trim_start_matches('.');
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let as_bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(Ipv6Addr::from(address.octets())),
    };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let most = if network.is_ipv4() { 32 } else { 128 };
    if network.is_ipv4() != address.is_ipv4() || bits > most {
        return false;
    }
    let differing = as_bits(network) ^ as_bits(address);
    bits == 0 || differing >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
        };
        Proxies::read(variable).expect("addresses").of(&url.parse().expect("a URL")).map(ToString::to_string)
    }

    #[test]
    fn this_machine_is_asked_directly() {
        let variables = [("HTTP_PROXY", "http://p:3128"), ("ALL_PROXY", "http://q:1")];
        for host in
            ["127.0.0.1:80", "127.9.9.9", "localhost", "LOCALHOST:8088", "[::1]:9", "0.0.0.0", "a.localhost"]
        {
            assert_eq!(taken(&variables, &format!("http://{host}/execute")), None, "{host}");
        }
        assert_eq!(taken(&variables, "http://erp/execute").as_deref(), Some("http://p:3128/"));
        assert_eq!(taken(&variables, "https://erp/execute").as_deref(), Some("http://q:1/"));
        assert_eq!(taken(&variables, "http://127.0.0.1.example.com/").as_deref(), Some("http://p:3128/"));
    }

    #[test]
    fn what_is_excepted_is_asked_directly() {
        let no = "erp.example.com, .internal,10.0.0.0/8,fd00::/8,192.168.1.7";
        let variables = [("http_proxy", "p:3128"), ("NO_PROXY", no)];
        for host in
            ["erp.example.com", "a.erp.example.com", "x.internal", "10.9.8.7", "[fd00::1]", "192.168.1.7"]
        {
            assert_eq!(taken(&variables, &format!("http://{host}/")), None, "{host}");
        }
        for host in ["example.com", "notinternal", "11.0.0.1", "[fe80::1]", "192.168.1.8"] {
            assert_eq!(
                taken(&variables, &format!("http://{host}/")).as_deref(),
                Some("http://p:3128/"),
                "{host}"
            );
        }
        assert_eq!(taken(&[("HTTP_PROXY", "http://p"), ("NO_PROXY", "*")], "http://erp/"), None);
    }

    #[test]
    fn a_header_of_a_web_client_names_no_proxy() {
        let variables = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil")];
        assert_eq!(taken(&variables, "http://erp/"), None);
    }

    #[test]
    fn a_proxy_that_is_none_is_not_gone_past() {
        for value in ["http://me:s3cret@[::1", "http://p:port", "a b"] {
            let variable = |name: &str| (name == "https_proxy").then(|| value.to_string());
            let error = Proxies::read(variable).expect_err(value).to_string();
            assert!(error.starts_with("https_proxy names no proxy") && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let variable =
            |name: &str| (name == "HTTPS_PROXY").then(|| "http://me:s3cret@p.corp:3128".to_string());
        let proxies = Proxies::read(variable).expect("an address");
        let said = proxies.describe("https://erp/execute");
        assert_eq!(
            said,
            "https://erp/execute (through the proxy http://p.corp:3128, which the environment names)"
        );
        assert_eq!(proxies.describe("https://localhost/"), "https://localhost/");
        assert_eq!(proxies.describe("no url"), "no url");
    }
}
