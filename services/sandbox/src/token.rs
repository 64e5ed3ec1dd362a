//! Access tokens of one side: they live for a while, or for a number of uses.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// The tokens given out.
pub(crate) struct Tokens {
    name: String,
    life: Duration,
    issued: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    count: u64,
    alive: HashMap<String, (Instant, u32)>,
}

impl Tokens {
    /// `name` begins every token of this side; `life` is how long each is good for.
    pub(crate) fn new(name: String, life: Duration) -> Self {
        Self { name, life, issued: Mutex::default() }
    }

    pub(crate) fn issue(&self, now: Instant) -> String {
        let mut issued = lock(&self.issued);
        issued.count += 1;
        let token = format!("{}-{:08}", self.name, issued.count);
        issued.alive.insert(token.clone(), (now + self.life, 0));
        token
    }

    /// Uses a token once; `false` when it is unknown or dead. `uses` is how often each may be used, 0 without end.
    pub(crate) fn spend(&self, token: &str, now: Instant, uses: u32) -> bool {
        let mut issued = lock(&self.issued);
        let Some((until, used)) = issued.alive.get_mut(token) else {
            return false;
        };
        *used = used.saturating_add(1);
        let alive = now < *until && (uses == 0 || *used <= uses);
        if !alive {
            issued.alive.remove(token);
        }
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_dies_of_age_or_of_use() {
        let (tokens, now) = (Tokens::new("t".to_owned(), Duration::from_secs(10)), Instant::now());
        let token = tokens.issue(now);
        assert!(!tokens.spend("other", now, 0));
        assert!(tokens.spend(&token, now, 2) && tokens.spend(&token, now, 2));
        assert!(!tokens.spend(&token, now, 2));
        assert!(!tokens.spend(&token, now, 0), "a dead token stays dead");
        let token = tokens.issue(now);
        assert!(tokens.spend(&token, now + Duration::from_secs(9), 0));
        assert!(!tokens.spend(&token, now + Duration::from_secs(10), 0));
    }
}
