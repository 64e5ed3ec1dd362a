//! Maps RAW pages to MAPPED orders, or to dead letters.
