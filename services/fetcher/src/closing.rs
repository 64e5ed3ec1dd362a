//! The end of a fetcher: which calls it may still make, and how long it waits for the answers of
//! those under way. An answer that was paid for from the call budget is kept; the rest of its page
//! is left to the next fetcher.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// After the signal to end, details of a page in hand are still asked for this long: most pages
/// hold few new orders and are finished by then.
const LAST_DETAILS: Duration = Duration::from_secs(5);

/// After the signal to end, answers are waited for this long.
const ANSWERS: Duration = Duration::from_secs(18);

/// After the signal to end, all of it is over, what was answered last being stored meanwhile.
pub(crate) const GRACE: Duration = Duration::from_secs(22);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A page of a list: not begun any more once the fetcher is to end.
    List,
    /// An order of a page in hand.
    Detail,
}

impl Call {
    /// How long after the signal it may still begin.
    fn last_begin(self) -> Duration {
        match self {
            Self::List => Duration::ZERO,
            Self::Detail => LAST_DETAILS,
        }
    }
}

/// The calls of one fetcher, and when it is told to end. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    stop: CancellationToken,
    stopped_at: Arc<OnceLock<Instant>>,
    under_way: watch::Sender<usize>,
}

/// A call that is being made, for as long as it lives.
#[derive(Debug)]
pub(crate) struct CallUnderWay(watch::Sender<usize>);

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Closing {
    /// Ends with `stop`.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { stop, stopped_at: Arc::default(), under_way: watch::Sender::new(0) }
    }

    /// Whether the fetcher is to end.
    pub(crate) fn is_closing(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Notes a call that is being made.
    pub(crate) fn note_call(&self) -> CallUnderWay {
        self.under_way.send_modify(|count| *count += 1);
        CallUnderWay(self.under_way.clone())
    }

    /// Notes a call that begins now; waits for ever when it may not begin any more, until
    /// [`Closing::or_end`] drops the caller.
    pub(crate) async fn begin(&self, call: Call) -> CallUnderWay {
        if self.is_closing() && self.stopped_at().elapsed() >= call.last_begin() {
            std::future::pending::<()>().await;
        }
        self.note_call()
    }

    /// The result of `work`, which makes such calls; `None` when the fetcher ends before it is
    /// there.
    pub(crate) async fn or_end<T>(&self, call: Call, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.end(call) => None,
        }
    }

    /// Waits until no such call begins any more and all that were begun are answered, or take too
    /// long.
    pub(crate) async fn end(&self, call: Call) {
        self.stop.cancelled().await;
        let stopped_at = self.stopped_at();
        tokio::time::sleep_until(stopped_at + call.last_begin()).await;
        let mut under_way = self.under_way.subscribe();
        let answered = under_way.wait_for(|count| *count == 0);
        // The sender is ours: only the time can end this otherwise.
        let _ = tokio::time::timeout_at(stopped_at + ANSWERS, answered).await;
    }

    /// When the signal was noticed first.
    fn stopped_at(&self) -> Instant {
        *self.stopped_at.get_or_init(Instant::now)
    }

    /// Notes when the signal came.
    pub(crate) async fn watch(&self) {
        self.stop.cancelled().await;
        self.stopped_at();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing() -> (Closing, CancellationToken) {
        let stop = CancellationToken::new();
        (Closing::new(stop.clone()), stop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_not_begun_after_the_signal_and_a_detail_for_a_while() {
        let (closing, stop) = closing();
        stop.cancel();
        let begin = async |call| closing.or_end(call, closing.begin(call)).await.is_some();
        let began = Instant::now();
        assert!(!begin(Call::List).await);
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(begin(Call::Detail).await);
        tokio::time::advance(LAST_DETAILS).await;
        assert!(!begin(Call::Detail).await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_of_a_call_under_way_is_waited_for() {
        let (closing, stop) = closing();
        let call = async {
            let _under_way = closing.begin(Call::List).await;
            tokio::time::sleep(Duration::from_secs(9)).await;
            7
        };
        let began = Instant::now();
        let (answer, ()) = tokio::join!(closing.or_end(Call::List, call), async {
            tokio::task::yield_now().await;
            stop.cancel()
        });
        assert_eq!(answer, Some(7));
        assert_eq!(began.elapsed(), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_given_up() {
        let (closing, stop) = closing();
        let call = async {
            let _under_way = closing.begin(Call::Detail).await;
            std::future::pending::<()>().await;
        };
        let began = Instant::now();
        let (answer, ()) = tokio::join!(closing.or_end(Call::Detail, call), async {
            tokio::task::yield_now().await;
            stop.cancel()
        });
        assert_eq!(answer, None);
        assert_eq!(began.elapsed(), ANSWERS);
        assert!(ANSWERS < GRACE && GRACE < Duration::from_secs(25));
    }
}
