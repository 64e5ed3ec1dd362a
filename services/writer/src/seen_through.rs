//! Work that comes to its end also when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::Instrument;

/// Work that becomes a task of its own when it is dropped halfway. As long as somebody waits for it, it is none: a task, its turns
/// and the way back of its result cost an order more than what the work does by itself.
pub(crate) struct SeenThrough<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> SeenThrough<F> {
    pub(crate) fn new(work: F) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for SeenThrough<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.0 else { return Poll::Pending }; // it has ended, and its result was taken
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for SeenThrough<F> {
    fn drop(&mut self) {
        // What has panicked cannot go on; and without a runtime the process ends.
        if let Some(work) = self.0.take()
            && !std::thread::panicking()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(work.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_is_waited_for_gives_its_result_and_what_is_dropped_ends_all_the_same() {
        assert_eq!(SeenThrough::new(std::future::ready(7)).await, 7);
        let ((go, told), (done, end)) = (oneshot::channel::<()>(), oneshot::channel());
        let mut work = SeenThrough::new(async move {
            told.await.expect("told");
            done.send(8).expect("heard");
        });
        assert!(futures::poll!(&mut work).is_pending());
        drop(work);
        go.send(()).expect("it goes on");
        assert_eq!(end.await, Ok(8));
    }

    #[tokio::test]
    async fn what_was_never_begun_ends_too() {
        let (done, end) = oneshot::channel();
        drop(SeenThrough::new(async move { done.send(9).expect("heard") }));
        assert_eq!(end.await, Ok(9));
    }
}
