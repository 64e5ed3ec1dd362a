//! An access token shared by all tasks: one refresh at a time, ahead of expiry, and once after a refusal.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::foreign::LONGEST_LIFE;

/// A token is renewed this long before it expires.
const AHEAD: Duration = Duration::from_secs(60);

/// So many tokens are asked for within [`LEAST_GAP`], whatever the answers say of their life, and
/// however often they are refused: one, and another one when it is refused. More would be thousands
/// in seconds.
const MOST_IN_GAP: usize = 2;
const LEAST_GAP: Duration = Duration::from_secs(2);

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
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The token, and when it is to be renewed.
    current: Option<(Token, Instant)>,
    /// When tokens were asked for last, the oldest first.
    asked: VecDeque<Instant>,
}

impl State {
    /// Notes that a token is asked for; false when that is too soon.
    fn may_ask(&mut self, now: Instant) -> bool {
        self.asked.retain(|asked| now.duration_since(*asked) < LEAST_GAP);
        let may = self.asked.len() < MOST_IN_GAP;
        if may {
            self.asked.push_back(now);
        }
        may
    }
}

impl TokenCache {
    /// The current token, renewed with `fetch` when there is none or it is about to expire. Tasks that ask meanwhile
    /// wait for that one renewal.
    ///
    /// # Errors
    /// What `fetch` says; the next call tries again. `too_soon` when tokens were asked for too
    /// often a moment ago: nobody waits for the next one here, where an order may be in hand.
    pub async fn get<E>(
        &self,
        fetch: impl AsyncFnOnce() -> Result<Token, E>,
        too_soon: impl FnOnce() -> E,
    ) -> Result<String, E> {
        let mut state = self.state.lock().await;
        match &state.current {
            Some((token, until)) if Instant::now() < *until => Ok(token.value.clone()),
            _ => {
                if !state.may_ask(Instant::now()) {
                    return Err(too_soon());
                }
                let token = fetch().await?;
                let life = token.good_for();
                let value = token.value.clone();
                state.current = Some((token, Instant::now() + life.min(LONGEST_LIFE)));
                Ok(value)
            }
        }
    }

    /// The server refused this token: forget it, unless another task has renewed it already.
    pub async fn refused(&self, value: &str) {
        let mut state = self.state.lock().await;
        if state.current.as_ref().is_some_and(|(token, _)| token.value == value) {
            state.current = None;
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

    fn never() -> Infallible {
        unreachable!("tokens were not asked for too often")
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_are_not_asked_for_in_a_row_however_short_their_life_or_often_refused() {
        for life in [Some(Duration::ZERO), None] {
            let (cache, count) = (TokenCache::default(), AtomicU32::new(0));
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(60) {
                let fetch = async || Ok(numbered(&count, life).await.expect("always"));
                if let Ok(token) = cache.get(fetch, || "too soon").await {
                    cache.refused(&token).await;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let asked = count.load(Ordering::SeqCst);
            assert!((30..=62).contains(&asked), "{asked}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_tasks_share_one_renewal() {
        let (cache, count) = (TokenCache::default(), AtomicU32::new(0));
        let life = Some(Duration::from_secs(600));
        let all = (0..50).map(|_| cache.get(async || numbered(&count, life).await, never));
        let tokens = futures::future::join_all(all).await;
        assert!(tokens.iter().all(|token| token.as_deref() == Ok("t1")));
        tokio::time::advance(Duration::from_secs(539)).await;
        assert_eq!(cache.get(async || numbered(&count, life).await, never).await.as_deref(), Ok("t1"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(
            cache.get(async || numbered(&count, life).await, never).await.as_deref(),
            Ok("t2"),
            "ahead of expiry"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_renewed_once() {
        let (cache, count) = (TokenCache::default(), AtomicU32::new(0));
        let fetch = async || numbered(&count, None).await;
        assert_eq!(cache.get(fetch, never).await.as_deref(), Ok("t1"));
        cache.refused("t1").await;
        assert_eq!(cache.get(async || numbered(&count, None).await, never).await.as_deref(), Ok("t2"));
        cache.refused("t1").await; // a slower task, refused with the old one
        assert_eq!(cache.get(async || numbered(&count, None).await, never).await.as_deref(), Ok("t2"));
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
