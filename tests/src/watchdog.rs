//! Ends the whole run, and says which test it was, when a test goes on for ever: who waits for a run would see no name.

use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// No test takes that long, also where it shares two cores with others.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The tests that run, and since when.
static RUNNING: Mutex<Vec<(u64, String, Instant)>> = Mutex::new(Vec::new());

static STARTED: Once = Once::new();

/// A test that is watched as long as this is held.
#[derive(Debug)]
pub(crate) struct Watched(u64);

impl Watched {
    /// Watches the test on whose thread this is called; whoever has no test's name (chaos, a bench) may go on.
    pub(crate) fn start() -> Option<Self> {
        let name = thread::current().name().filter(|name| name.contains("::"))?.to_string();
        STARTED.call_once(|| {
            thread::spawn(|| {
                loop {
                    thread::park_timeout(Duration::from_secs(5));
                    if let Some(name) = too_long(PATIENCE) {
                        eprintln!(
                            "{name} has been running for {} s: it hangs, and all tests end here",
                            PATIENCE.as_secs()
                        );
                        std::process::abort();
                    }
                }
            });
        });
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let number = running.last().map_or(0, |(last, ..)| last + 1);
        running.push((number, name, Instant::now()));
        Some(Self(number))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|(number, ..)| *number != self.0);
    }
}

/// The name of a test that has been running for longer than `patience`.
fn too_long(patience: Duration) -> Option<String> {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.iter().find(|(.., since)| since.elapsed() > patience).map(|(_, name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_known_by_its_name_as_long_as_it_runs() {
        let watched = Watched::start();
        let name = "watchdog::tests::a_test_is_known_by_its_name_as_long_as_it_runs";
        assert_eq!(too_long(Duration::ZERO).as_deref(), Some(name));
        assert_eq!(too_long(PATIENCE), None);
        drop(watched);
        assert_eq!(too_long(Duration::ZERO), None);
        let nobody = thread::Builder::new().name("main".into()).spawn(|| Watched::start().is_none());
        assert!(nobody.expect("a thread").join().expect("it ends"), "who is no test is not watched");
    }
}
