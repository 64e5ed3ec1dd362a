//! Writes MAPPED orders to the target and records receipts, or dead letters.
