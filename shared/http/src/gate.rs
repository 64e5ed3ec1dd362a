//! A gate that all tasks pass before they ask, and that closes for a while when the other side wants to be left alone.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Open, or closed until a moment.
#[derive(Debug)]
pub struct Gate {
    until: watch::Sender<Option<Instant>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { until: watch::channel(None).0 }
    }
}

impl Gate {
    /// Closes the gate for this long, unless it is closed for longer already.
    pub fn close_for(&self, wait: Duration) {
        let until = Instant::now() + wait;
        self.until.send_if_modified(|known| {
            let later = known.is_none_or(|known| known < until);
            if later {
                *known = Some(until);
            }
            later
        });
    }

    /// Waits until the gate is open.
    pub async fn wait(&self) {
        loop {
            let until = *self.until.borrow();
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_opens_by_itself() {
        let (gate, start) = (Gate::default(), Instant::now());
        gate.wait().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        gate.close_for(Duration::from_secs(9));
        gate.close_for(Duration::from_secs(3)); // shorter: changes nothing
        gate.wait().await;
        assert_eq!(start.elapsed(), Duration::from_secs(9));
    }
}
