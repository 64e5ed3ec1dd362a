//! The client: requests as data, answers with their bytes as they came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::plain::{NotPlain, make_plain};
use crate::proxy::{Proxies, without_credentials};
use crate::{HttpError, retry_after};

/// Connections are kept open this long when idle.
const IDLE: Duration = Duration::from_secs(60);

/// The most that is taken of an answer that may hold a page of orders, in bytes, packed or
/// unpacked.
pub const LARGEST_PAGE: usize = 64 << 20;

/// The most that is taken of any other answer, in bytes: many calls may be under way at the same
/// time.
pub const LARGEST_ANSWER: usize = 1 << 20;

/// An excerpt is taken from so many bytes.
const EXCERPTED: usize = 64 << 10;

/// So much is made room for at once when an answer says how long it is.
const MOST_ANNOUNCED: usize = 1 << 20;

/// The HTTP methods the APIs use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The address, without query.
    pub url: String,
    /// The query, unencoded.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body; sent as JSON.
    pub body: Option<Bytes>,
    /// How long the whole exchange may take.
    pub timeout: Duration,
    /// An answer of more bytes is refused rather than held in memory, be it packed or unpacked.
    pub most: usize,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The Content-Type header.
    pub content_type: String,
    /// How long the other side asks us to wait.
    pub retry_after: Option<Duration>,
    /// The Date header: what time it is there.
    pub date: Option<jiff::Timestamp>,
    /// Where a redirect leads, without query and credentials; redirects are not followed.
    pub location: Option<String>,
    /// The body as plain UTF-8: unpacked, and decoded from another charset, where that was necessary.
    pub body: Bytes,
}

/// The beginning of an answer as text, without secrets of ours: for people, never for decisions.
pub fn beginning(body: &[u8]) -> String {
    // A secret that is cut in two would not be found.
    let start = secrets::redact_bytes(&body[..body.len().min(EXCERPTED)]);
    String::from_utf8_lossy(&start).chars().take(240).collect()
}

impl Answer {
    /// The first part of the body as text, on one line and without secrets of ours: for messages, never for decisions.
    pub fn excerpt(&self) -> String {
        beginning(&self.body).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The first part of the body as [`Answer::excerpt`], with the place that a redirect leads to.
    pub fn said(&self) -> String {
        match &self.location {
            Some(place) => format!("a redirect to {place}, which is not followed: {}", self.excerpt()),
            None => self.excerpt(),
        }
    }

    /// What kind of answer it is, for messages that must not repeat it: status, type and length.
    pub fn outline(&self) -> String {
        let media_type: String = self.content_type.split(';').next().unwrap_or_default().trim().into();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/+.-".contains(c);
        let media_type = match media_type.as_str() {
            "" => "no content type",
            name if name.len() <= 60 && name.chars().all(is_plain) => name,
            _ => "a content type that is none",
        };
        format!("HTTP {}, {media_type}, {} bytes", self.status, self.body.len())
    }

    /// Whether the body is a web page: a proxy, a login form or a maintenance notice instead of the API.
    pub fn is_html(&self) -> bool {
        let start = self.body.trim_ascii_start();
        self.content_type.contains("html") || start.starts_with(b"<")
    }
}

/// An HTTP client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    /// The address asked last: most clients ask only one, and to parse it costs as much as to write the request.
    last: Arc<Mutex<Option<(String, reqwest::Url)>>>,
    /// What stands between us and the other side.
    proxies: Arc<Proxies>,
}

/// Without the address asked last: that of a chat robot is a secret.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// A client that keeps up to `connections` idle connections a host.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(connections: usize) -> Result<Self, HttpError> {
        let proxies = Arc::new(Proxies::from_environment()?);
        let mut builder = reqwest::Client::builder().no_proxy();
        if !proxies.is_empty() {
            let chosen = Arc::clone(&proxies);
            builder = builder.proxy(reqwest::Proxy::custom(move |url| chosen.of(url).cloned()));
        }
        let inner = builder
            .user_agent(concat!("orderflow/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .tcp_nodelay(true)
            // A redirected POST would arrive as a GET; a moved API is for a person to see.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| HttpError::Build { url: "any address".into(), source })?;
        Ok(Self { inner, last: Arc::default(), proxies })
    }

    /// The proxy that requests to this address take, without its credentials.
    pub fn proxy_to(&self, url: &str) -> Option<String> {
        self.proxies.of(&url.parse().ok()?).map(without_credentials)
    }

    fn parsed(&self, url: &str) -> Option<reqwest::Url> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((text, parsed)) if text == url => Some(parsed.clone()),
            _ => {
                let parsed: reqwest::Url = url.parse().ok()?;
                // Said once for each address: its answers may be those of the proxy.
                if let Some(proxy) = self.proxies.of(&parsed) {
                    let host = parsed.host_str().unwrap_or_default();
                    let proxy = without_credentials(proxy);
                    tracing::info!(host, proxy, "requests go through a proxy that the environment names");
                }
                *last = Some((url.to_string(), parsed.clone()));
                Some(parsed)
            }
        }
    }

    /// Whether a request can be made, without making it: its address and its headers are sound.
    ///
    /// # Errors
    /// [`HttpError::Build`] when it cannot.
    pub fn check(&self, request: &Request) -> Result<(), HttpError> {
        let wrong = |source: reqwest::Error| {
            let url = secrets::address::shown(&request.url);
            HttpError::of(&url, request.timeout, source.without_url())
        };
        self.build(request).map(drop).map_err(wrong)
    }

    fn build(&self, request: &Request) -> Result<reqwest::Request, reqwest::Error> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let mut builder = match self.parsed(&request.url) {
            Some(mut url) => {
                if !request.query.is_empty() {
                    url.query_pairs_mut().extend_pairs(&request.query);
                }
                self.inner.request(method, url)
            }
            // It says what is wrong when it is built.
            None => self.inner.request(method, &request.url),
        };
        builder = builder.timeout(request.timeout);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.header("Content-Type", "application/json").body(body.clone());
        }
        builder.build()
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`HttpError`] when there is no complete answer; an answer with a bad status is an [`Answer`].
    pub async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        let failed = |source: reqwest::Error| {
            HttpError::of(&self.proxies.describe(&request.url), request.timeout, source.without_url())
        };
        let built = self.build(request).map_err(failed)?;
        let mut response = self.inner.execute(built).await.map_err(failed)?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let status = response.status().as_u16();
        let content_type: String = header("content-type").unwrap_or_default().into();
        let packing = header("content-encoding").unwrap_or_default().to_string();
        let location = header("location").filter(|_| (300..400).contains(&status)).map(without_query);
        let wait = header("retry-after").and_then(|value| retry_after(value, jiff::Timestamp::now()));
        let date = header("date").and_then(|value| httpdate::parse_http_date(value).ok());
        let date = date.and_then(|date| jiff::Timestamp::try_from(date).ok());
        // What is announced is not taken on trust.
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(MOST_ANNOUNCED));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > request.most {
                let url = secrets::address::shown(&request.url);
                return Err(HttpError::TooLarge { url, limit: request.most });
            }
            body.extend_from_slice(&chunk);
        }
        let body = make_plain(body.freeze(), &packing, &content_type, request.most)
            .map_err(|problem| not_plain(request, problem))?;
        Ok(Answer { status, content_type, retry_after: wait, date, location, body })
    }
}

fn not_plain(request: &Request, problem: NotPlain) -> HttpError {
    let url = secrets::address::shown(&request.url);
    match problem {
        NotPlain::Packed { encoding, why } => HttpError::Packed { url, encoding, why },
        NotPlain::TooLarge => HttpError::TooLarge { url, limit: request.most },
    }
}

/// A place that another system named, without its query, without credentials and without secrets of ours, for messages.
fn without_query(place: &str) -> String {
    let shown = secrets::address::shown(place.split(['?', '#']).next().unwrap_or_default());
    secrets::redact(&shown).chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that answers one connection with `answer`, then closes it.
    async fn serving(answer: &'static [u8]) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a client");
            let mut request = vec![0; 4_096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer).await;
        });
        format!("http://{address}/x")
    }

    fn get(url: String) -> Request {
        let timeout = Duration::from_secs(5);
        Request {
            method: Method::Get,
            url,
            query: vec![],
            headers: vec![],
            body: None,
            timeout,
            most: LARGEST_ANSWER,
        }
    }

    #[tokio::test]
    async fn an_answer_keeps_its_bytes_and_says_how_long_to_wait() {
        let url = serving(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\n a\nb ").await;
        let answer = Client::new(1).expect("a client").send(&get(url)).await.expect("an answer");
        assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(7))));
        assert_eq!((&answer.body[..], answer.excerpt().as_str()), (&b" a\nb "[..], "a b"));
    }

    #[tokio::test]
    async fn an_answer_is_taken_up_to_its_bound_packed_or_unpacked() {
        let body = "x".repeat(2_000);
        let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{body}").into_bytes();
        let packed = zstd::encode_all(body.as_bytes(), 1).expect("packed");
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n", packed.len());
        let packed = [head.into_bytes(), packed].concat();
        for answer in [plain, packed] {
            let answer: &'static [u8] = answer.leak();
            let client = Client::new(1).expect("a client");
            let request = Request { most: 2_000, ..get(serving(answer).await) };
            assert_eq!(client.send(&request).await.expect("it fits").body.len(), 2_000);
            let request = Request { most: 1_999, ..get(serving(answer).await) };
            let error = client.send(&request).await.expect_err("too large");
            assert!(matches!(error, HttpError::TooLarge { limit: 1_999, .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn an_address_that_was_asked_is_not_shown() {
        let url = serving(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let client = Client::new(1).expect("a client");
        client.send(&get(url)).await.expect("an answer");
        assert!(!format!("{client:?}").contains("127.0.0.1"), "{client:?}");
    }

    #[tokio::test]
    async fn nobody_there_is_an_outage_and_a_broken_answer_is_uncertain() {
        let client = Client::new(1).expect("a client");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let closed = format!("http://{}/x", listener.local_addr().expect("bound"));
        drop(listener);
        assert_eq!(client.send(&get(closed)).await.expect_err("nobody").class(), Class::Outage);
        let broken = serving(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{").await;
        assert_eq!(client.send(&get(broken)).await.expect_err("broken").class(), Class::Uncertain);
        let error = client.send(&get("no url".into())).await.expect_err("no URL");
        assert_eq!(error.class(), Class::Outage, "the configuration is wrong, and no order");
        let headers = vec![("Authorization".to_string(), "Bearer abc\n".to_string())];
        let request = Request { headers, ..get("http://127.0.0.1:9/x".into()) };
        let error = client.send(&request).await.expect_err("no header");
        assert!(matches!(error, HttpError::Build { .. }) && error.class() == Class::Outage, "{error}");
        assert!(!format!("{error} {error:?}").contains("abc"), "{error:?}");
    }
}
