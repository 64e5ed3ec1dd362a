//! The harness: a real nats-server for each test, a PostgreSQL where one is needed, a sandbox, and the stages in between.

mod dice;
mod nats;
mod pgbouncer;
mod port;
mod postgres;
mod program;
mod proxy;
mod receiver;
mod scripted;
mod watchdog;
mod world;

pub use dice::Dice;
pub use nats::{Nats, signal};
pub use pgbouncer::PgBouncer;
pub use postgres::PostgresServer;
pub use program::Program;
pub use proxy::{Line, Proxy};
pub use receiver::{Heard, Receiver};
pub use scripted::{Asked, Reply, Scripted};
pub use world::{Run, World};

/// Waits until something outside of this process's reach has come true; panics with `what` after two minutes.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    until(what, async || is_so()).await;
}

/// As [`eventually`], for what has to be asked for.
///
/// # Panics
/// When it is not so within two minutes.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
    let waiting = async {
        while !is_so().await {
            tick.tick().await;
        }
    };
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(120), waiting).await.is_ok(),
        "{what}: not within 120 s"
    );
}

/// Waits until this second is over: windows end with whole seconds, so two in the same one are the same.
pub async fn next_second() {
    let second = events::now() / 1_000_000;
    eventually("the clock shows the next second", || events::now() / 1_000_000 > second).await;
}
