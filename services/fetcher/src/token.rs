//! One access token for all replicas: whoever finds it about to expire takes the right to ask for a new one, by
//! compare-and-set, and the others wait for that one answer.

use std::time::Duration;

use events::{Micros, TokenState, now};
use http::{Class, open, seal};
use journal::{Cell, JournalError};
use okki::{Okki, OkkiError};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Credentials that were refused are tried again after this long: somebody may have put them right at the source.
const REFUSED: Duration = Duration::from_secs(60);

/// Two tokens are not asked for within this time, whatever the source says of the life of the
/// first, and however often it refuses them: all replicas would ask thousands of times.
const LEAST_GAP: Duration = Duration::from_secs(1);

/// How often who waits for another replica's answer looks for it.
const LOOK: Duration = Duration::from_millis(50);

/// The token of one credential.
pub(crate) struct SharedToken {
    cell: Cell,
    secret: String,
    timeout: Duration,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    token: Option<(String, Micros)>,
    /// A token that the source has refused: not to be taken from the shared value again.
    refused: Option<String>,
    /// When this process asked for a token last.
    asked: Option<Instant>,
}

impl SharedToken {
    pub(crate) fn new(cell: Cell, secret: String, timeout: Duration) -> Self {
        Self { cell, secret, timeout, current: Mutex::default() }
    }

    /// The token to call with, asking the source for one when there is none that is good.
    pub(crate) async fn get(&self, okki: &Okki) -> Result<String, OkkiError> {
        // The lock makes the tasks of this process wait for one of them.
        let mut current = self.current.lock().await;
        loop {
            if let Some((token, renew_at)) = &current.token
                && now() < *renew_at
            {
                return Ok(token.clone());
            }
            let (state, seq) = match self.cell.get::<TokenState>().await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(error = %service::chain(&error), "the shared token cannot be read; trying again");
                    tokio::time::sleep(LOOK * 5).await;
                    continue;
                }
            };
            let shared = open(&state.sealed, &self.secret).filter(|_| now() < state.renew_at);
            if let Some(token) = shared.filter(|token| current.refused.as_ref() != Some(token)) {
                secrets::remember_token(&token);
                current.token = Some((token, state.renew_at));
                continue;
            }
            let longest = micros(REFUSED.max(self.timeout).saturating_mul(2));
            if now() < state.asking_until && state.asking_until < now().saturating_add(longest) {
                match state.refused {
                    Some(said) => return Err(OkkiError::Credentials { said }),
                    None => tokio::time::sleep(LOOK).await,
                }
                continue;
            }
            // Also when STATE does not keep what is told there.
            if let Some(again) = current.asked.and_then(|asked| asked.checked_add(LEAST_GAP)) {
                tokio::time::sleep_until(again).await;
            }
            let asking = TokenState {
                asking_until: after(self.timeout.saturating_add(Duration::from_secs(1))),
                refused: None,
                ..state
            };
            match self.cell.set(&asking, seq).await {
                Ok(seq) => {
                    current.asked = Some(Instant::now());
                    current.token = Some(self.ask(okki, asking, seq).await?);
                }
                Err(JournalError::Conflict { .. }) => {} // another replica was faster
                Err(error) => {
                    tracing::warn!(error = %service::chain(&error), "the shared token cannot be changed; trying again");
                    tokio::time::sleep(LOOK * 5).await;
                }
            }
        }
    }

    /// Asks the source, and tells the other replicas what came of it.
    async fn ask(&self, okki: &Okki, asking: TokenState, seq: u64) -> Result<(String, Micros), OkkiError> {
        let asked = okki.token().await;
        let (state, answer) = match asked {
            Ok(token) => {
                let renew_at = after(token.good_for());
                let sealed = seal(&token.value, &self.secret);
                let state = TokenState { sealed, renew_at, asking_until: after(LEAST_GAP), refused: None };
                (state, Ok((token.value, renew_at)))
            }
            Err(OkkiError::Credentials { said }) => {
                let state =
                    TokenState { asking_until: after(REFUSED), refused: Some(said.clone()), ..asking };
                (state, Err(OkkiError::Credentials { said }))
            }
            Err(error) => (TokenState { asking_until: after(LEAST_GAP), ..asking }, Err(error)),
        };
        // When this cannot be stored, the others ask for themselves once the time we took is over.
        if let Err(error) = self.cell.set(&state, seq).await {
            tracing::debug!(%error, "the shared token was not stored");
        }
        answer
    }

    /// The source has refused this token: another one is needed, unless there is one already.
    pub(crate) async fn refused(&self, token: &str) {
        let mut current = self.current.lock().await;
        if current.token.as_ref().is_some_and(|(known, _)| known == token) {
            current.token = None;
        }
        current.refused = Some(token.to_string());
    }
}

/// The moment so long from now.
fn after(duration: Duration) -> Micros {
    now().saturating_add(micros(duration))
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// Whether an error means that the token was not accepted.
pub(crate) fn is_refusal(error: &OkkiError) -> bool {
    error.class() == Class::Credentials
}
