//! Whether a page behind the first is refused, so that its slice is to be read in halves. Pure.

use http::Class;
use okki::OkkiError;

/// A page that is answered by a status that says nothing of the page, so often, is refused: page 1 was answered.
const STATUSES: u32 = 3;

/// A page that is not answered at all, so often, is one that the source cannot make.
const SILENCES: u32 = 6;

/// How often a page was asked for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tries {
    /// Attempts that count against the page.
    pub(crate) counted: u32,
    /// Those that count against the source.
    pub(crate) uncounted: u32,
    /// The most attempts that count.
    pub(crate) most: u32,
}

/// Whether the page cannot be had, whoever asks and however often.
pub(crate) fn is_lasting(class: Class, tries: Tries) -> bool {
    class == Class::Permanent || tries.counted >= tries.most
}

/// Whether a page behind the first counts as refused although its errors speak of the source as a whole: page 1 of its slice was
/// answered, and smaller slices have fewer pages. If the source was away after all, they wait for it like any other.
pub(crate) fn is_refused(error: &OkkiError, tries: Tries) -> bool {
    match (error.class(), error) {
        // Its order is on a page of a half as well.
        (_, OkkiError::Withheld { .. }) => false,
        (class, _) if is_lasting(class, tries) => true,
        (Class::Throttled(_), _) => false,
        // The address is right, for page 1 was answered there.
        (Class::Outage, OkkiError::Status { status: 300..=499, .. }) => true,
        (_, OkkiError::Http(_)) => tries.uncounted >= SILENCES,
        _ => tries.uncounted >= STATUSES,
    }
}

/// The reason of a failed window, or of a refused page, is cut to so many characters: what it
/// quotes was cut before.
const REASON: usize = 2_000;

/// A reason as it is recorded.
pub(crate) fn cut_reason(reason: String) -> String {
    match reason.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}... (cut)", &reason[..end]),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> OkkiError {
        let class = Class::of_status(status, None).expect("an error");
        OkkiError::Status { request: "/list".into(), status, excerpt: String::new(), class }
    }

    fn tries(counted: u32, uncounted: u32) -> Tries {
        Tries { counted, uncounted, most: 6 }
    }

    #[test]
    fn a_no_is_a_refusal_at_once_and_what_may_pass_is_one_after_a_while() {
        assert!(is_refused(&answer(400), tries(1, 0)) && is_refused(&answer(422), tries(1, 0)));
        assert!(!is_refused(&answer(500), tries(5, 0)) && is_refused(&answer(500), tries(6, 0)));
        for status in [404, 405, 410, 302] {
            assert!(is_refused(&answer(status), tries(0, 1)), "{status}");
        }
        for status in [403, 503, 504] {
            assert!(!is_refused(&answer(status), tries(0, 2)), "{status}");
            assert!(is_refused(&answer(status), tries(0, 3)), "{status}");
        }
        assert!(!is_refused(&answer(429), tries(0, 99)));
    }

    #[test]
    fn an_order_that_is_withheld_does_not_refuse_its_page() {
        let withheld = OkkiError::Withheld { id: "77".into(), said: "no".into() };
        assert!(!is_refused(&withheld, tries(6, 0)) && is_lasting(withheld.class(), tries(6, 0)));
    }

    #[test]
    fn what_is_lasting_is_so_whatever_the_page() {
        assert!(is_lasting(Class::Permanent, tries(1, 0)) && is_lasting(Class::Retryable, tries(6, 0)));
        assert!(!is_lasting(Class::Outage, tries(0, 99)) && !is_lasting(Class::Retryable, tries(5, 9)));
    }
}
