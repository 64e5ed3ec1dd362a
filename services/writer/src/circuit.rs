//! A target that is down is not a bad record: the stage waits, one request probes, and no attempt of any order is spent.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use events::{Trouble, now};
use http::RetryPolicy;
use tokio::sync::watch;
use tokio::time::Instant;

/// So many different orders failing in a row, with no success between them, looks like the target's trouble.
const SUSPICIOUS: usize = 5;

/// After so many fruitless probes of that kind it may be the orders after all: from then on their failures count, or a
/// handful of bad orders would hold the flow up for ever.
const BENEFIT_OF_DOUBT: usize = 6;

/// Probes for that reason do not wait longer than this.
const DOUBT_WAIT: Duration = Duration::from_secs(5);

/// An order leaves the others so much time for each refusal of its own, at most half a second: else the same one
/// may probe for ever, and hold up all others when the refusal is about it alone.
const PRECEDENCE: Duration = Duration::from_millis(50);
const MOST_PRECEDENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing,
}

#[derive(Debug, Default)]
struct Doubt {
    /// Orders that failed since the last success.
    failing: HashSet<u64>,
    /// How often the circuit opened since the last success.
    openings: usize,
    /// Of those, because of orders that failed one after another.
    suspicions: usize,
}

/// The right to send one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The circuit is closed.
    Free,
    /// The circuit is open, and this request is to find out whether the target works again.
    Probe,
}

/// The circuit before one target.
#[derive(Debug)]
pub(crate) struct Circuit {
    phase: watch::Sender<Phase>,
    doubt: Mutex<Doubt>,
    waits: RetryPolicy,
    trouble: watch::Sender<Option<Trouble>>,
}

impl Circuit {
    pub(crate) fn new(waits: RetryPolicy, trouble: watch::Sender<Option<Trouble>>) -> Self {
        Self { phase: watch::channel(Phase::Closed).0, doubt: Mutex::default(), waits, trouble }
    }

    /// Waits until a request may be sent: at once while the circuit is closed, else one at a time as a probe, those first
    /// that were `refused` less often.
    pub(crate) async fn pass(&self, refused: u32) -> Pass {
        let behind = PRECEDENCE.saturating_mul(refused).min(MOST_PRECEDENCE);
        let mut phase = self.phase.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            match now {
                Phase::Closed => return Pass::Free,
                Phase::Open { until } => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until + behind) => {}
                        _ = phase.changed() => continue,
                    }
                    let probe = self.phase.send_if_modified(|phase| {
                        let due = *phase == Phase::Open { until };
                        if due {
                            *phase = Phase::Probing;
                        }
                        due
                    });
                    if probe {
                        return Pass::Probe;
                    }
                }
                Phase::Probing => {
                    // A probe that is cut off by a shutdown never reports: do not wait for it for ever.
                    let _ = tokio::time::timeout(self.waits.max, phase.changed()).await;
                    self.phase.send_if_modified(|phase| {
                        let stuck = *phase == Phase::Probing;
                        if stuck {
                            *phase = Phase::Open { until: Instant::now() };
                        }
                        stuck
                    });
                }
            }
        }
    }

    /// Whether requests may be sent without asking.
    pub(crate) fn is_closed(&self) -> bool {
        *self.phase.borrow() == Phase::Closed
    }

    /// A turn was not used: if it was the probe, another one may probe at once.
    pub(crate) fn unused(&self) {
        self.phase.send_if_modified(|phase| {
            let probing = *phase == Phase::Probing;
            if probing {
                *phase = Phase::Open { until: Instant::now() };
            }
            probing
        });
    }

    /// Waits until requests are held back.
    pub(crate) async fn opened(&self) {
        // The sender is ours: it does not end before we do.
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Closed).await;
    }

    /// The target answered an order, whatever it said of it: it is there.
    pub(crate) fn works(&self) {
        *self.doubt() = Doubt::default();
        let closed =
            self.phase.send_if_modified(|phase| std::mem::replace(phase, Phase::Closed) != Phase::Closed);
        if closed {
            tracing::info!("the target works again; circuit closed");
        }
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
    }

    /// The target is down, throttles, or refuses us: leave it alone, `wait` long when it said how long.
    pub(crate) fn down(&self, wait: Option<Duration>, why: &str) {
        // Requests that were under way when it opened fail too; they are not a reason to wait even longer.
        if matches!(*self.phase.borrow(), Phase::Open { until } if wait.is_none() && until > Instant::now()) {
            return;
        }
        let openings = {
            let mut doubt = self.doubt();
            doubt.openings += 1;
            doubt.openings
        };
        let wait = wait.unwrap_or_else(|| self.waits.delay(openings));
        if openings == 1 {
            tracing::warn!(why, "circuit opened; orders wait");
        } else {
            tracing::debug!(why, openings, again_in = ?wait, "the target still does not work");
        }
        let at = now();
        let next_attempt = i64::try_from(wait.as_micros()).ok().map(|wait| at.saturating_add(wait));
        self.trouble.send_modify(|trouble| {
            *trouble = Some(Trouble::at(trouble.as_ref(), why.to_string(), at, next_attempt));
        });
        self.phase.send_replace(Phase::Open { until: Instant::now() + wait });
    }

    /// An order failed in a way that may be its own fault. True when so many others did that it looks like the target's.
    pub(crate) fn doubtful(&self, order: u64, why: &str) -> bool {
        let (suspicious, excused, wait) = {
            let mut doubt = self.doubt();
            doubt.failing.insert(order);
            let suspicious = doubt.failing.len() >= SUSPICIOUS;
            doubt.suspicions += usize::from(suspicious);
            let wait = self.waits.delay(doubt.suspicions).min(DOUBT_WAIT);
            (suspicious, suspicious && doubt.suspicions <= BENEFIT_OF_DOUBT, wait)
        };
        if suspicious {
            self.down(Some(wait), &format!("{SUSPICIOUS} orders in a row failed; the last: {why}"));
        } else {
            // A probe that ends like this has told nothing: let the next one through.
            self.unused();
        }
        excused
    }

    fn doubt(&self) -> std::sync::MutexGuard<'_, Doubt> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit() -> Circuit {
        let waits = RetryPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(8), jitter: 0.0 };
        Circuit::new(waits, watch::channel(None).0)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_probed_by_one_and_released_by_success() {
        let (circuit, start) = (circuit(), Instant::now());
        circuit.pass(0).await;
        circuit.down(None, "no connection");
        circuit.pass(0).await; // the probe
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        let waiting = circuit.pass(0);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending(), "only one probes");
        circuit.works();
        waiting.await;
        assert_eq!(start.elapsed(), Duration::from_secs(1));
        assert_eq!(*circuit.trouble.borrow(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_refused_less_often_probes_first() {
        let circuit = circuit();
        for refused in 1..20 {
            circuit.down(None, "403");
            let (again, other) = (circuit.pass(refused), circuit.pass(refused - 1));
            tokio::pin!(again, other);
            tokio::select! {
                biased;
                _ = &mut again => assert!(refused > 10, "refused {refused} times"),
                _ = &mut other => assert!(refused <= 10, "refused {refused} times"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_not_used_is_another_ones_at_once() {
        let circuit = circuit();
        circuit.down(None, "no connection");
        circuit.pass(0).await;
        let start = Instant::now();
        circuit.unused();
        assert_eq!(circuit.pass(0).await, Pass::Probe);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn each_failed_probe_waits_longer_and_a_told_wait_is_kept() {
        let (circuit, start) = (circuit(), Instant::now());
        for expected in [1, 3, 7] {
            circuit.down(None, "503");
            circuit.pass(0).await;
            assert_eq!(start.elapsed().as_secs(), expected);
        }
        circuit.down(Some(Duration::from_secs(300)), "429");
        circuit.pass(0).await;
        assert_eq!(start.elapsed().as_secs(), 307);
    }

    #[tokio::test(start_paused = true)]
    async fn many_different_orders_failing_is_an_outage_and_one_order_failing_is_not() {
        let circuit = circuit();
        assert!((0..20).all(|_| !circuit.doubtful(7, "500")), "one bad order");
        assert!((1..4).all(|order| !circuit.doubtful(order, "500")));
        assert!(circuit.doubtful(4, "500"));
        assert!((0..5).all(|_| circuit.doubtful(4, "500")), "excused while it looks like an outage");
        assert!(!circuit.doubtful(4, "500"), "but not for ever");
        assert!(
            circuit
                .trouble
                .borrow()
                .as_ref()
                .is_some_and(|trouble| trouble.why.contains("5 orders in a row"))
        );
        circuit.works();
        assert!(!circuit.doubtful(4, "500"), "after a success it is one order again");
    }
}
