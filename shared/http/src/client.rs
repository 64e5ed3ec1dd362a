//! The client: requests as data, answers with their bytes as they came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::{HttpError, retry_after};

/// Connections are kept open this long when idle.
const IDLE: Duration = Duration::from_secs(60);

/// An answer larger than this is refused rather than held in memory.
const MAX_ANSWER: usize = 64 << 20;

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
    /// The body, exactly as received.
    pub body: Bytes,
}

impl Answer {
    /// The first part of the body as text, on one line: for messages, never for decisions.
    pub fn excerpt(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(240).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
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
        let inner = reqwest::Client::builder()
            .user_agent(concat!("orderflow/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .tcp_nodelay(true)
            // A redirected POST would arrive as a GET; a moved API is for a person to see.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| HttpError::Build { url: "any address".into(), source })?;
        Ok(Self { inner, last: Arc::default() })
    }

    fn parsed(&self, url: &str) -> Option<reqwest::Url> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((text, parsed)) if text == url => Some(parsed.clone()),
            _ => {
                let parsed: reqwest::Url = url.parse().ok()?;
                *last = Some((url.to_string(), parsed.clone()));
                Some(parsed)
            }
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`HttpError`] when there is no complete answer; an answer with a bad status is an [`Answer`].
    pub async fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let failed =
            |source: reqwest::Error| HttpError::of(&request.url, request.timeout, source.without_url());
        let Some(mut url) = self.parsed(&request.url) else {
            return Err(failed(self.inner.get(&request.url).build().expect_err("no URL")));
        };
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self.inner.request(method, url).timeout(request.timeout);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.header("Content-Type", "application/json").body(body.clone());
        }
        let mut response = builder.send().await.map_err(failed)?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (status, content_type) =
            (response.status().as_u16(), header("content-type").unwrap_or_default().into());
        let wait = header("retry-after").and_then(|value| retry_after(value, jiff::Timestamp::now()));
        let date = header("date").and_then(|value| httpdate::parse_http_date(value).ok());
        let date = date.and_then(|date| jiff::Timestamp::try_from(date).ok());
        // What is announced is not taken on trust.
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(MOST_ANNOUNCED));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(HttpError::TooLarge { url: request.url.clone(), limit: MAX_ANSWER });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, retry_after: wait, date, body: body.freeze() })
    }
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
        Request { method: Method::Get, url, query: vec![], headers: vec![], body: None, timeout }
    }

    #[tokio::test]
    async fn an_answer_keeps_its_bytes_and_says_how_long_to_wait() {
        let url = serving(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\n a\nb ").await;
        let answer = Client::new(1).expect("a client").send(&get(url)).await.expect("an answer");
        assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(7))));
        assert_eq!((&answer.body[..], answer.excerpt().as_str()), (&b" a\nb "[..], "a b"));
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
        assert_eq!(error.class(), Class::Permanent);
    }
}
