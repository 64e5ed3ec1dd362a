//! The vocabulary of the pipeline: ids, events and their encoding. No I/O.
