//! An access token shared by all tasks: one refresh at a time, ahead of expiry, and once after a refusal.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token is renewed this long before it expires.
const AHEAD: Duration = Duration::from_secs(60);

/// A token whose life the server did not tell is renewed after this long; a refusal renews it earlier.
const UNKNOWN_LIFE: Duration = Duration::from_secs(30 * 60);

/// An access token.
#[derive(Clone)]
pub struct Token {
    /// What is sent.
    pub value: String,
    /// How long it lives, as far as told.
    pub life: Option<Duration>,
}

impl Token {
    /// How long it is used before it is renewed: until ahead of its end. A life of 0 must not make us ask for ever.
    pub fn good_for(&self) -> Duration {
        let ahead = |life: Duration| life.saturating_sub(AHEAD).max(life / 2).max(Duration::from_secs(1));
        self.life.map_or(UNKNOWN_LIFE, ahead)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("value", &"***").field("life", &self.life).finish()
    }
}

/// The current token of one credential.
#[derive(Debug, Default)]
pub struct TokenCache {
    current: Mutex<Option<(Token, Instant)>>,
}

impl TokenCache {
    /// The current token, renewed with `fetch` when there is none or it is about to expire. Tasks that ask meanwhile
    /// wait for that one renewal.
    ///
    /// # Errors
    /// What `fetch` says; the next call tries again.
    pub async fn get<E>(&self, fetch: impl AsyncFnOnce() -> Result<Token, E>) -> Result<String, E> {
        let mut current = self.current.lock().await;
        match &*current {
            Some((token, until)) if Instant::now() < *until => Ok(token.value.clone()),
            _ => {
                let token = fetch().await?;
                let life = token.good_for();
                let value = token.value.clone();
                *current = Some((token, Instant::now() + life));
                Ok(value)
            }
        }
    }

    /// The server refused this token: forget it, unless another task has renewed it already.
    pub async fn refused(&self, value: &str) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|(token, _)| token.value == value) {
            *current = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    async fn numbered(count: &AtomicU32, life: Option<Duration>) -> Result<Token, Infallible> {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        Ok(Token { value: format!("t{number}"), life })
    }

    #[tokio::test(start_paused = true)]
    async fn many_tasks_share_one_renewal() {
        let (cache, count) = (TokenCache::default(), AtomicU32::new(0));
        let life = Some(Duration::from_secs(600));
        let all = (0..50).map(|_| cache.get(async || numbered(&count, life).await));
        let tokens = futures::future::join_all(all).await;
        assert!(tokens.iter().all(|token| token.as_deref() == Ok("t1")));
        tokio::time::advance(Duration::from_secs(539)).await;
        assert_eq!(cache.get(async || numbered(&count, life).await).await.as_deref(), Ok("t1"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(
            cache.get(async || numbered(&count, life).await).await.as_deref(),
            Ok("t2"),
            "ahead of expiry"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_renewed_once() {
        let (cache, count) = (TokenCache::default(), AtomicU32::new(0));
        let fetch = async || numbered(&count, None).await;
        assert_eq!(cache.get(fetch).await.as_deref(), Ok("t1"));
        cache.refused("t1").await;
        assert_eq!(cache.get(async || numbered(&count, None).await).await.as_deref(), Ok("t2"));
        cache.refused("t1").await; // a slower task, refused with the old one
        assert_eq!(cache.get(async || numbered(&count, None).await).await.as_deref(), Ok("t2"));
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_end_also_when_that_is_not_known() {
        let token = |life| Token { value: String::new(), life };
        let after = |seconds| token(Some(Duration::from_secs(seconds))).good_for().as_secs();
        assert_eq!([after(28_800), after(120), after(60), after(0)], [28_740, 60, 30, 1]);
        assert_eq!(token(None).good_for(), UNKNOWN_LIFE);
    }

    #[test]
    fn a_token_is_not_printed() {
        let token = Token { value: "secret".into(), life: None };
        assert!(!format!("{token:?}").contains("secret"));
    }
}
