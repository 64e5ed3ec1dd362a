//! Somebody who is told things by HTTP, and answers as the test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::eventually;

/// One thing that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Path and query.
    pub uri: String,
    /// The body.
    pub body: Value,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    answer: Mutex<(u16, String)>,
}

/// A webhook. It goes with its value.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl Receiver {
    /// One that answers 200 and `answer`.
    pub async fn start(answer: &str) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), answer).await
    }

    /// As [`Receiver::start`], at an address.
    ///
    /// # Panics
    /// When it is taken.
    pub async fn at(address: SocketAddr, answer: &str) -> Self {
        let (shared, stop) = (Arc::<Shared>::default(), CancellationToken::new());
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().fallback(hear).with_state(Arc::clone(&shared));
        let token = stop.clone();
        tokio::spawn(
            async move { token.run_until_cancelled(axum::serve(listener, router).into_future()).await },
        );
        let receiver = Self { address, shared, _stop: stop.drop_guard() };
        receiver.answer(200, answer);
        receiver
    }

    /// How it answers from now on.
    pub fn answer(&self, status: u16, body: &str) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = (status, body.to_string());
    }

    /// Its address with this path and query.
    pub fn url(&self, rest: &str) -> String {
        format!("http://{}{rest}", self.address)
    }

    /// What it was told until now.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it was told so many things.
    pub async fn hears(&self, count: usize) -> Vec<Heard> {
        eventually(&format!("{count} messages"), || self.heard().len() >= count).await;
        self.heard()
    }
}

async fn hear(State(shared): State<Arc<Shared>>, uri: Uri, body: String) -> impl IntoResponse {
    let body = serde_json::from_str(&body).unwrap_or_default();
    shared.heard.lock().unwrap_or_else(PoisonError::into_inner).push(Heard { uri: uri.to_string(), body });
    let (status, answer) = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], answer)
}
