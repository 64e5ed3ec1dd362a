//! The only crate that knows async-nats: topology, publish, atomic batch, consume and settle, append, reading a log.
