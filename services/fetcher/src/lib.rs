//! Fetches order pages from the source into RAW, under windows in SYNC.
