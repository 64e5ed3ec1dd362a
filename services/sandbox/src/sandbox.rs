//! A running server and the handle on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::key::Key;
use crate::lock::read;
use crate::options::{Options, SandboxError};
use crate::state::{Alteration, State};
use crate::{Faults, Report, control, source, target};

/// How long open calls may finish after a shutdown was asked for.
const GRACE: Duration = Duration::from_secs(2);
/// The largest body accepted: a batch of 500 large orders has room.
const BODY_BYTES: usize = 64 << 20;

/// Binds, loads the orders and serves in the background until the token is cancelled.
pub async fn start(options: Options, shutdown: CancellationToken) -> Result<Sandbox, SandboxError> {
    let listen = options.listen;
    let failed = |source| SandboxError::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let token = shutdown.clone();
    let loaded = tokio::task::spawn_blocking(move || State::load(options, token)).await;
    let state = Arc::new(loaded.map_err(|error| failed(std::io::Error::other(error)))??);
    let router = Router::new()
        .merge(source::routes())
        .merge(target::routes())
        .merge(control::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(refuse_other_pages))
        .with_state(Arc::clone(&state));
    // Small answers must not wait for more to send.
    let listener = listener.tap_io(|stream: &mut TcpStream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
        tokio::select! {
            _ = served => {}
            () = async { shutdown.cancelled().await; tokio::time::sleep(GRACE).await } => {}
        }
    });
    Ok(Sandbox { address, state, serving })
}

/// Refuses what a page of another site has a browser send here: it would change orders and faults.
async fn refuse_other_pages(request: Request, next: Next) -> Response {
    if comes_from_another_page(request.headers()) {
        return (StatusCode::FORBIDDEN, "this comes from a page of another site\n").into_response();
    }
    next.run(request).await
}

fn comes_from_another_page(headers: &HeaderMap) -> bool {
    let said = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let host = said(header::HOST).unwrap_or_default();
    said(header::ORIGIN).is_some_and(|origin| origin.split_once("://").is_none_or(|(_, from)| from != host))
}

/// A running sandbox. Dropping the handle does not stop it; cancelling its token does.
pub struct Sandbox {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Where it listens, without a trailing slash: `http://127.0.0.1:8088`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The faults in force.
    pub fn faults(&self) -> Faults {
        self.state.dial.now().faults.clone()
    }

    /// Replaces all faults; the next request already meets the new ones.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }

    /// Edits `n` live orders of the source, now, and returns their ids.
    pub fn edit(&self, n: u64) -> Vec<String> {
        self.state.alter(Alteration::Edit, n)
    }

    /// Edits `n` live orders of the source without moving their update time, and returns their ids. Only orders whose
    /// total changes with an edit are taken, fewer than `n` if there are no more: by the total the report tells the
    /// versions of one second apart.
    pub fn silent_edit(&self, n: u64) -> Vec<String> {
        self.state.alter(Alteration::SilentEdit, n)
    }

    /// Edits `n` live orders of the source and sets their update time back by so many seconds; returns their ids. Only orders
    /// whose total changes with an edit are taken.
    pub fn backdated_edit(&self, n: u64, seconds: u32) -> Vec<String> {
        self.state.alter(Alteration::BackdatedEdit(seconds.into()), n)
    }

    /// The record that the target holds of an order, as JSON text; `None` when it holds none.
    pub fn record(&self, id: &str) -> Option<String> {
        self.state.ledger.record(&Key::from_text(id)?).map(Into::into)
    }

    /// Adds `n` new orders whose create and update time lies in the past, between the earliest and the latest update
    /// time of the live orders (none when there are no live orders), and returns their ids.
    pub fn insert_late(&self, n: u64) -> Vec<String> {
        self.state.alter(Alteration::InsertLate, n)
    }

    /// Adds `n` new orders to the source, now, and returns their ids.
    pub fn insert(&self, n: u64) -> Vec<String> {
        self.state.alter(Alteration::Insert, n)
    }

    /// Deletes `n` live orders of the source, now, and returns their ids.
    pub fn remove(&self, n: u64) -> Vec<String> {
        self.state.alter(Alteration::Remove, n)
    }

    /// Counts what both sides saw until now. Takes a pass over all orders held.
    pub fn report(&self) -> Report {
        self.state.report()
    }

    /// The ids of the orders of which the target does not hold the source's newest state: those that the report counts as
    /// missing, outdated or undeleted.
    pub fn behind(&self) -> Vec<String> {
        self.state.behind()
    }

    /// Whether the orders have their lines in `product_list` (from a file) rather than in `items`.
    pub fn has_product_list(&self) -> bool {
        read(&self.state.book).has_product_list()
    }

    /// The state behind the handle, for a report after the end.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Waits until the server has stopped, which it does after its token was cancelled.
    pub async fn stopped(self) {
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the sandbox ended badly");
        }
    }
}
