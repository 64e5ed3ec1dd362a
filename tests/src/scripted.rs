//! A server whose every answer the test decides, to the last byte: for sources and targets that are a little other than
//! the sandbox.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, Uri};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The query, decoded.
    pub query: HashMap<String, String>,
    /// The headers that are text, by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Bytes,
}

impl Asked {
    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// A number in the query; 1 if there is none.
    pub fn number(&self, name: &str) -> usize {
        self.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(1)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, sent as it is.
    pub body: Vec<u8>,
}

impl Reply {
    /// HTTP 200 with JSON.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", "application/json".to_string())];
        Self { status: 200, headers, body: body.into() }
    }

    /// A web page, as proxies send it.
    pub fn page(status: u16, text: &str) -> Self {
        let headers = vec![("content-type", "text/html".to_string())];
        Self { status, headers, body: format!("<html>{text}</html>").into_bytes() }
    }

    /// The same with another header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_string()));
        self
    }
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
}

/// The server. It goes with its value.
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl Scripted {
    /// A server that answers as `script` says.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared { script: Box::new(script), asked: Mutex::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(
            async move { token.run_until_cancelled(axum::serve(listener, router).into_future()).await },
        );
        Self { address, shared, _stop: stop.drop_guard() }
    }

    /// Its address, without path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response<Body> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.to_string(), value.to_str().ok()?.to_string()))
    };
    let headers = headers.iter().filter_map(text).collect();
    let asked = Asked { path: uri.path().to_string(), query, headers, body };
    let reply = (shared.script)(&asked);
    shared.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).expect("a response")
}
