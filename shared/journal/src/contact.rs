//! Whether the server still hears us and we hear it. Who was cut off, or held up, for long may have lost its partitions
//! without knowing: what it had in hand then may be in other hands, and must not be sent.

use std::time::Duration;

use async_nats::connection::State;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Journal, JournalError};

/// How often we send ourselves a word by way of the server.
const BEAT: Duration = Duration::from_millis(400);

/// What was heard this long ago is news of the moment.
pub const FRESH: Duration = Duration::from_millis(1_500);

#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Instant,
    /// How often it had been silent for longer than is safe.
    broken: u64,
}

/// The contact with the server.
#[derive(Debug, Clone)]
pub struct Contact {
    heard: watch::Receiver<Heard>,
    safe: Duration,
    _keeping: std::sync::Arc<DropGuard>,
}

/// A moment of unbroken contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64);

impl Journal {
    /// Watches the contact with the server. A silence longer than `safe` breaks it: nothing that was in hand before may be
    /// acted on after that.
    ///
    /// # Errors
    /// When the server cannot be listened to.
    pub async fn contact(&self, safe: Duration) -> Result<Contact, JournalError> {
        let client = self.client().clone();
        let subject = client.new_inbox();
        let mut own = client
            .subscribe(subject.clone())
            .await
            .map_err(|error| self.unavailable("watch the contact with the server", error))?;
        let (told, heard) = watch::channel(Heard { at: Instant::now(), broken: 0 });
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(BEAT);
            beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    _ = beat.tick() => {
                        // Words that pile up while the connection is away would all come round at once after it.
                        if client.connection_state() == State::Connected {
                            let sent = (Instant::now() - began()).as_micros().to_string();
                            let _ = client.publish(subject.clone(), sent.into()).await;
                        }
                    }
                    word = own.next() => {
                        let Some(word) = word else { return };
                        let sent = std::str::from_utf8(&word.payload).ok().and_then(|text| text.parse().ok());
                        let Some(sent) = sent.map(|micros| began() + Duration::from_micros(micros)) else { continue };
                        told.send_modify(|heard| {
                            // It tells that we were heard when it was sent. That it comes late says that it, or we, were
                            // held up since: what else comes now may be as old.
                            heard.broken += u64::from(heard.at.elapsed() > safe);
                            heard.at = heard.at.max(sent);
                        });
                    }
                }
            }
        });
        Ok(Contact { heard, safe, _keeping: std::sync::Arc::new(stop.drop_guard()) })
    }
}

/// The beginning of this process's reckoning.
fn began() -> Instant {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *BEGAN.get_or_init(Instant::now)
}

impl Contact {
    /// This moment, to be asked about later.
    pub fn moment(&self) -> Moment {
        Moment(self.heard.borrow().broken)
    }

    /// Waits until the server has been heard a moment ago; then says which moment it is. What came at the same one came in
    /// unbroken contact. `None` when nothing is certain any more.
    pub async fn fresh(&self) -> Option<Moment> {
        let mut heard = self.heard.clone();
        // The sender lives as long as `self`, unless the connection was closed for good.
        heard.wait_for(|heard| heard.at.elapsed() < FRESH).await.ok().map(|heard| Moment(heard.broken))
    }

    /// Whether what [`Contact::fresh`] said a safe time ago, at most, is still so at this moment, also if we were held up
    /// since without having noticed it yet.
    pub fn is_safe(&self) -> bool {
        self.heard.borrow().at.elapsed() <= self.safe + FRESH
    }
}
