//! An error with its causes, for one line of a log.

use std::error::Error;

use events::{LONGEST_QUOTING, shorten_to};

/// What caused an error, outermost first; empty when nothing did. Each is cut and without secrets
/// of ours, for it may quote a foreign text.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(cut(inner));
        cause = inner.source();
    }
    causes
}

/// The error and its causes, outermost first, without repeating what an outer one has said already, and without secrets of
/// ours, whoever repeated one. Each is cut, for it may quote a foreign text.
pub fn chain(error: &dyn Error) -> String {
    let mut text = cut(error);
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = cut(inner);
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

fn cut(error: &dyn Error) -> String {
    // First: a secret that is cut in two would not be found.
    shorten_to(&secrets::redact(&error.to_string()), LONGEST_QUOTING).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {0}")]
    struct Outer(String, #[source] std::io::Error);

    #[test]
    fn an_error_that_quotes_megabytes_is_cut_and_says_how_long_it_was() {
        let long = "x".repeat(5 << 20);
        let error = Outer(long.clone(), std::io::Error::other(long));
        let text = chain(&error);
        assert!(text.len() < 9_000 && text.contains("5242880 bytes in all"), "{}", text.len());
        assert!(causes(&error).iter().all(|cause| cause.len() < 4_100));
    }
}
