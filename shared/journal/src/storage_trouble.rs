//! What cannot be stored and is kept until it can be: who waits, and why. Whoever has it watches it, and sends nothing whose record
//! could not be stored either.

use std::time::Duration;

use tokio::sync::watch;

use crate::JournalError;

/// The first pause before something is stored again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// While the server does not answer, it is asked at this pace: it may be back at any moment.
const LONGEST_PAUSE_AWAY: Duration = Duration::from_millis(500);

/// A server that answers and refuses is asked at this pace.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What waits to be stored. Clones share it.
#[derive(Debug, Clone)]
pub struct StorageTrouble {
    waiting: watch::Sender<WaitingRecords>,
    /// Told of everything that this is told.
    whole: Option<Box<StorageTrouble>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct WaitingRecords {
    count: usize,
    why: String,
}

impl Default for StorageTrouble {
    fn default() -> Self {
        Self { waiting: watch::channel(WaitingRecords::default()).0, whole: None }
    }
}

impl StorageTrouble {
    /// The trouble of a part, one partition for example: what waits there waits here as well.
    #[must_use]
    pub fn of_part(&self) -> Self {
        Self { whole: Some(Box::new(self.clone())), ..Self::default() }
    }

    /// Whether nothing waits.
    pub fn is_clear(&self) -> bool {
        self.waiting.borrow().count == 0
    }

    /// Why something waits; `None` when nothing does.
    pub fn why(&self) -> Option<String> {
        let waiting = self.waiting.borrow();
        (waiting.count > 0).then(|| waiting.why.clone())
    }

    /// Waits until nothing waits.
    pub async fn cleared(&self) {
        // The sender is ours: it does not end before we do.
        let _ = self.waiting.subscribe().wait_for(|waiting| waiting.count == 0).await;
    }

    /// Notes that a record waits, for as long as the result lives.
    pub fn begin(&self) -> WaitingRecord {
        self.change(|waiting| waiting.count += 1);
        WaitingRecord(self.clone())
    }

    fn change(&self, change: impl Fn(&mut WaitingRecords)) {
        let mut trouble = Some(self);
        while let Some(this) = trouble {
            this.waiting.send_modify(&change);
            trouble = this.whole.as_deref();
        }
    }
}

/// A record that waits to be stored.
#[derive(Debug)]
pub struct WaitingRecord(StorageTrouble);

impl WaitingRecord {
    /// Says why it waits. The log has one line for all that wait for the same reason.
    pub fn explain(&self, error: &JournalError) {
        let why = error.with_causes();
        let outermost = {
            let mut trouble = &self.0;
            while let Some(whole) = trouble.whole.as_deref() {
                trouble = whole;
            }
            trouble
        };
        if outermost.waiting.borrow().why != why {
            tracing::warn!(error = why, "what cannot be stored is kept until it can be");
        }
        self.0.change(|waiting| waiting.why.clone_from(&why));
    }
}

impl Drop for WaitingRecord {
    fn drop(&mut self) {
        self.0.change(|waiting| {
            waiting.count -= 1;
            if waiting.count == 0 {
                waiting.why.clear();
            }
        });
        let mut trouble = &self.0;
        while let Some(whole) = trouble.whole.as_deref() {
            trouble = whole;
        }
        if trouble.is_clear() {
            tracing::info!("everything that waited is stored");
        }
    }
}

/// The pauses before something is stored again, and what says meanwhile that it waits.
struct Patience<'a> {
    trouble: &'a StorageTrouble,
    waiting: Option<WaitingRecord>,
    pause: Duration,
}

impl<'a> Patience<'a> {
    fn new(trouble: &'a StorageTrouble) -> Self {
        Self { trouble, waiting: None, pause: FIRST_PAUSE }
    }

    async fn wait(&mut self, error: &JournalError) {
        self.waiting.get_or_insert_with(|| self.trouble.begin()).explain(error);
        let longest = match error {
            JournalError::Unavailable { .. } | JournalError::BatchIncomplete { .. } => LONGEST_PAUSE_AWAY,
            _ => LONGEST_PAUSE,
        };
        tokio::time::sleep(self.pause.min(longest)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Repeats `store` until it is stored, or fails in a way that `waits` does not take; meanwhile `trouble` says so.
///
/// # Errors
/// The first error that is not waited out.
pub async fn store_patiently<T, F>(
    trouble: &StorageTrouble,
    waits: impl Fn(&JournalError) -> bool,
    mut store: impl FnMut() -> F,
) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    let mut patience = Patience::new(trouble);
    loop {
        match store().await {
            Err(error) if waits(&error) => patience.wait(&error).await,
            other => return other,
        }
    }
}

/// Repeats `store` until it is stored, however it fails; meanwhile `trouble` says so.
pub(crate) async fn store_always<T, F>(trouble: &StorageTrouble, mut store: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, JournalError>>,
{
    let mut patience = Patience::new(trouble);
    loop {
        match store().await {
            Ok(stored) => return stored,
            Err(error) => patience.wait(&error).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> JournalError {
        JournalError::Full { what: "store a message".into(), code: 10_002, words: "no".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_waits_makes_the_whole_wait_and_no_other_part() {
        let whole = StorageTrouble::default();
        let parts = [whole.of_part(), whole.of_part()];
        let mut tries = 0;
        let storing = store_patiently(&parts[0], JournalError::is_retryable, || {
            tries += 1;
            std::future::ready(if tries < 4 { Err(full()) } else { Ok(tries) })
        });
        tokio::pin!(storing);
        assert!(futures::poll!(&mut storing).is_pending());
        assert_eq!(whole.why(), Some(full().to_string()));
        assert!(!parts[0].is_clear());
        assert!(parts[1].is_clear(), "the other part does not wait");
        assert_eq!(storing.await.expect("stored"), 4);
        assert_eq!((whole.why(), parts[0].is_clear()), (None, true));
    }

    #[tokio::test]
    async fn what_is_not_waited_out_is_returned() {
        let trouble = StorageTrouble::default();
        let conflict = || std::future::ready(Err::<(), _>(JournalError::Conflict { subject: "s".into() }));
        let stored = store_patiently(&trouble, JournalError::is_retryable, conflict).await;
        assert!(matches!(stored, Err(JournalError::Conflict { .. })) && trouble.is_clear());
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_not_be_lost_is_stored_whatever_was_said_before() {
        let trouble = StorageTrouble::default();
        let mut answers =
            [Err(JournalError::Conflict { subject: "s".into() }), Err(full()), Ok(7)].into_iter();
        let store = || std::future::ready(answers.next().expect("asked until it is stored"));
        assert_eq!(store_always(&trouble, store).await, 7);
        assert!(trouble.is_clear());
    }
}
