//! The source as the pages see it: one token, one call budget and one pause over all replicas.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use events::now;
use http::{Class, Client, HttpError};
use journal::{Budget, Cell, Journal, Rate};
use okki::{Detail, DetailCall, Okki, OkkiError, Page};
use service::config::Operators;

use crate::asked::Asked;
use crate::closing::{Call, Closing};
use crate::contents::hash;
use crate::request::Parameters;
use crate::settings::Settings;
use crate::token::{SharedToken, is_refusal};

/// A call whose token is refused is made again with another one, so often: the one that another task has just fetched may
/// be spent as well.
const RENEWALS: u32 = 3;

/// A detail is asked for so often while the source throttles or is away.
const ROUNDS: u32 = 5;

/// Who is refused with a new token asks again after this long.
const NOT_WELCOME: Duration = Duration::from_secs(60);

/// Calls to the source.
pub(crate) struct Source {
    okki: Okki,
    token: SharedToken,
    /// What all calls spend from.
    budget: Budget,
    /// What those of sweeps and backfills spend from before that.
    background: Budget,
    retry: http::RetryPolicy,
    max_attempts: u32,
    /// What may be said outside of letters.
    operators: Operators,
    /// Calls in a row that were throttled, or found nobody.
    unwelcome: AtomicU32,
    closing: Closing,
}

impl Source {
    /// Makes no call any more once `closing` says so.
    pub(crate) fn new(settings: &Settings, journal: &Journal, closing: Closing) -> Result<Self, HttpError> {
        let names = &settings.topology;
        let cell = |subject| Cell::new(journal.clone(), names.clone(), subject);
        let share = Rate { per_second: settings.rate.per_second * settings.background_share, burst: 1 };
        let source = &settings.source;
        let credential =
            [&source.base_url, &source.client_id, &source.client_secret].map(String::as_str).join("\n");
        Ok(Self {
            okki: Okki::new(source.clone(), Client::new(settings.concurrency)?),
            token: SharedToken::new(
                // Another secret is another credential: what was said of the one before does not concern it.
                cell(names.token(&format!("source-{:016x}", hash(credential.as_bytes())))),
                source.client_secret.clone(),
                source.timeout,
            ),
            budget: Budget::start(cell(names.budget("source")), settings.rate),
            background: Budget::start(cell(names.budget("background")), share),
            retry: settings.retry,
            max_attempts: settings.max_attempts,
            operators: settings.operators.clone(),
            unwelcome: AtomicU32::new(0),
            closing,
        })
    }

    /// An error with its causes, as everybody may see it.
    pub(crate) fn said(&self, error: &OkkiError) -> String {
        self.operators.said(error, error.theirs())
    }

    /// One page of the list.
    pub(crate) async fn list(&self, asked: Asked, background: bool) -> Result<Page, OkkiError> {
        let Asked { parameters, times } = asked;
        let page = self.list_once(parameters, background).await?;
        times.map_or(Ok(()), |times| times.check(&page)).map(|()| page)
    }

    async fn list_once(&self, parameters: Parameters, background: bool) -> Result<Page, OkkiError> {
        let mut token = self.admitted(background).await?;
        let mut answer = self.ask_list(&token, &parameters).await;
        for _ in 0..RENEWALS {
            if !answer.as_ref().err().is_some_and(is_refusal) {
                break;
            }
            token = self.renewed(&token).await?;
            answer = self.ask_list(&token, &parameters).await;
        }
        self.heed(answer).await
    }

    async fn ask_list(&self, token: &str, parameters: &Parameters) -> Result<Page, OkkiError> {
        let _under_way = self.closing.begin(Call::List).await;
        self.okki.list(token, parameters.clone()).await
    }

    /// One order. Tried again here, and not with its page: with a hundred details on a page, one failure in a hundred
    /// would otherwise keep every page from ever being whole.
    pub(crate) async fn detail(
        &self,
        call: &DetailCall,
        id: &str,
        background: bool,
    ) -> Result<Detail, OkkiError> {
        let (mut failed, mut round) = (0, 0);
        loop {
            round += 1;
            let error = match self.detail_once(call, id, background).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let class = error.class();
            failed += u32::from(class.counts());
            // A source that stays away is waited for with the page and not here: what it lists may be another by then.
            let away = !class.counts() && round >= ROUNDS;
            let is_final = matches!(class, Class::Permanent | Class::Credentials)
                || matches!(error, OkkiError::Withheld { .. });
            if away || is_final || failed >= self.max_attempts {
                return Err(error);
            }
            tracing::debug!(error = self.said(&error), id, "a detail is asked for again");
            if class.counts() {
                tokio::time::sleep(self.retry.delay(failed as usize)).await;
            }
        }
    }

    async fn detail_once(&self, call: &DetailCall, id: &str, background: bool) -> Result<Detail, OkkiError> {
        let token = self.admitted(background).await?;
        let mut answer = self.ask_detail(&token, call, id).await;
        if answer.as_ref().err().is_some_and(is_refusal) {
            let token = self.renewed(&token).await?;
            answer = self.ask_detail(&token, call, id).await;
        }
        // The list was given just now: what is refused is this order, and no reason for all to pause.
        self.heed(answer.map_err(|error| name_withheld(id, error))).await
    }

    async fn ask_detail(&self, token: &str, call: &DetailCall, id: &str) -> Result<Detail, OkkiError> {
        let _under_way = self.closing.begin(Call::Detail).await;
        self.okki.detail(token, call, id).await
    }

    /// Waits for a call of the budget; returns the token to make it with.
    async fn admitted(&self, background: bool) -> Result<String, OkkiError> {
        if background {
            self.background.wait().await;
        }
        self.budget.wait().await;
        let token = self.current_token().await;
        match token.as_ref().err().map(OkkiError::class) {
            Some(Class::Throttled(after)) => self.leave_alone(after, "the source throttles us").await,
            Some(Class::Outage) => self.leave_alone(None, "the source is away").await,
            _ => {}
        }
        token
    }

    /// The token after this one was refused, and another call of the budget.
    async fn renewed(&self, refused: &str) -> Result<String, OkkiError> {
        tracing::info!("the source refused the token; asking for a new one");
        self.token.refused(refused).await;
        let token = self.current_token().await?;
        self.budget.wait().await;
        Ok(token)
    }

    /// The token to call with. Who asks for a new one has the others wait for it, and is not to
    /// leave before it is there.
    async fn current_token(&self) -> Result<String, OkkiError> {
        let _under_way = self.closing.note_call();
        self.token.get(&self.okki).await
    }

    /// Does what an answer means for the calls to come.
    async fn heed<T>(&self, answer: Result<T, OkkiError>) -> Result<T, OkkiError> {
        match answer.as_ref().err().map(OkkiError::class) {
            Some(Class::Throttled(after)) => self.leave_alone(after, "the source throttles us").await,
            Some(Class::Outage) => self.leave_alone(None, "the source is away").await,
            // A new token is refused too: this is no matter of tokens, and asking on would not help.
            Some(Class::Credentials) => self.budget.pause(NOT_WELCOME).await,
            _ => self.unwelcome.store(0, Ordering::Relaxed),
        }
        answer
    }

    /// Pauses every replica: as long as the source asks for, else longer each time, with jitter.
    async fn leave_alone(&self, after: Option<Duration>, why: &str) {
        if after.is_none() && self.paused().is_some() {
            return; // calls that were under way when the pause began say nothing new
        }
        let before = self.unwelcome.fetch_add(1, Ordering::Relaxed);
        let growing = self.retry.delay(before.min(20) as usize + 1);
        // Ignore `Retry-After: 0` on a 429.
        let wait = after.filter(|after| !after.is_zero()).unwrap_or(growing);
        tracing::warn!(?wait, why, "all fetchers pause");
        self.budget.pause(wait).await;
    }

    /// How long the pause that is on still lasts.
    pub(crate) fn paused(&self) -> Option<Duration> {
        let left = self.budget.paused_until()? - now();
        u64::try_from(left).ok().map(Duration::from_micros)
    }
}

/// A refusal of one order's detail, as an error that names the order.
fn name_withheld(id: &str, error: OkkiError) -> OkkiError {
    let said = match error {
        OkkiError::Credentials { said } => said,
        error if is_refusal(&error) => error.to_string(),
        error => return error,
    };
    OkkiError::Withheld { id: events::shorten(id).into_owned(), said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_detail_counts_against_its_order() {
        let refused = |status: u16| OkkiError::Status {
            request: "/detail".into(),
            status,
            excerpt: "no".into(),
            class: Class::of_status(status, None).expect("an error"),
        };
        for error in [OkkiError::Credentials { said: "HTTP 403: no".into() }, refused(403), refused(401)] {
            let named = name_withheld("77", error);
            assert!(named.class().counts() && !is_refusal(&named), "{named:?}");
            assert!(named.to_string().contains("order 77: ") && named.to_string().contains("no"), "{named}");
        }
        for status in [404, 429, 500] {
            let other = name_withheld("77", refused(status));
            assert!(matches!(other, OkkiError::Status { status: same, .. } if same == status));
        }
    }
}
