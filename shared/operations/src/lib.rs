//! Folds over the streams that operators look at: status and the account of a run.
