//! Ports for servers that are killed and come back.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A free port below those that the system gives to connections and to whoever asks for any: while its server is away nobody
/// takes it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(131);
    let port = || 12_000 + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 18_000;
    let mut ports = std::iter::repeat_with(port).filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("they do not end")
}
