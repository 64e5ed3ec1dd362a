//! The heartbeat: a watchdog outside is called for each look that succeeded, so that it can tell
//! people when nobody looks any more. Of several processes that know its address one calls for each
//! look.

use std::time::Duration;

use events::{AlertState, now};
use http::{Client, LARGEST_ANSWER, Method, Request};
use journal::{Cell, JournalError, Seen};
use operations::alerts::{beat_delivered, beat_due, beat_failed, begin_beat};
use service::config::Secret;
use service::{Config, ConfigError};
use tokio_util::sync::CancellationToken;

use crate::webhook::why_unanswered;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much time a call that is under way is given when the process ends.
const LAST: Duration = Duration::from_secs(2);

/// A watchdog that expects to be called.
pub struct Watchdog {
    url: Secret,
    client: Client,
}

impl Watchdog {
    /// The watchdog of a configuration; `None` when it has none.
    ///
    /// # Errors
    /// When its address is none, or its file cannot be read.
    pub fn open(config: &Config) -> Result<Option<Self>, ConfigError> {
        let Some(url) = config.alerts.heartbeat_address()? else { return Ok(None) };
        let wrong = |message: String| ConfigError::Key { place: "alerts.heartbeat_url".into(), message };
        let client = Client::new(1).map_err(|error| wrong(service::chain(&error)))?;
        let watchdog = Self { url, client };
        match watchdog.client.check(&watchdog.request()) {
            Ok(()) => Ok(Some(watchdog)),
            Err(_) => Err(wrong("it is no address; what stands there is not repeated".into())),
        }
    }

    fn request(&self) -> Request {
        let (url, method) = (self.url.reveal().to_string(), Method::Get);
        let (timeout, most) = (TIMEOUT, LARGEST_ANSWER);
        Request { method, url, query: Vec::new(), headers: Vec::new(), body: None, timeout, most }
    }

    /// Calls it.
    ///
    /// # Errors
    /// Why it did not answer with a 2xx, without its address.
    pub async fn call(&self) -> Result<(), String> {
        match self.client.send(&self.request()).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => {
                let why = format!("HTTP {}: {}", answer.status, answer.said());
                Err(secrets::redact(&why).into_owned())
            }
            Err(error) => Err(why_unanswered(&self.client, self.url.reveal(), &error)),
        }
    }
}

/// Calls a watchdog for every look.
pub(crate) struct Beater {
    pub(crate) watchdog: Watchdog,
    pub(crate) cell: Cell,
    pub(crate) seen: Seen<AlertState>,
    /// How often somebody looks.
    pub(crate) every: Duration,
}

impl Beater {
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut changes = self.seen.changes();
        loop {
            let (state, seq) = changes.borrow_and_update().clone();
            if beat_due(&state, now(), self.every) {
                let beating = self.beat(&state, seq);
                tokio::select! {
                    () = beating => {}
                    () = async { stop.cancelled().await; tokio::time::sleep(LAST).await } => return,
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                // The sender is ours: it does not end before we do.
                _ = changes.changed() => {}
            }
        }
    }

    /// Takes the call on itself, unless another process has, and makes it.
    async fn beat(&self, state: &AlertState, seq: u64) {
        let claimed = begin_beat(state);
        match self.cell.set(&claimed, seq).await {
            Ok(seq) => self.seen.learn(claimed, seq),
            // Another process calls, or the state has changed: the change is on its way to us.
            Err(JournalError::Conflict { .. }) => return,
            Err(error) => {
                tracing::debug!(why = service::chain(&error), "cannot note who calls the watchdog");
                return;
            }
        }
        let called = self.watchdog.call().await;
        if let Err(why) = &called {
            tracing::warn!(
                why,
                "the watchdog (alerts.heartbeat_url) does not take its call; the next look calls it again"
            );
        }
        self.note(|state| match &called {
            Ok(()) => beat_delivered(state, now()),
            Err(why) => beat_failed(state, why),
        })
        .await;
    }

    /// Notes how it went, however often somebody else changes the state at the same time. Not
    /// noted, it is not shown.
    async fn note(&self, change: impl Fn(&AlertState) -> AlertState) {
        loop {
            let Ok((state, seq)) = self.cell.get::<AlertState>().await else { return };
            let next = change(&state);
            match self.cell.set(&next, seq).await {
                Ok(seq) => return self.seen.learn(next, seq),
                Err(JournalError::Conflict { .. }) => {}
                Err(_) => return,
            }
        }
    }
}
