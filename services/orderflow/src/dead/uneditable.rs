//! Why a letter cannot be corrected by hand, for people.

use std::borrow::Cow;

use operations::NotEditable;
use transformer::Uncorrectable;

/// Why a letter has nothing to edit.
pub fn not_editable(letter: u64, why: &NotEditable) -> Cow<'static, str> {
    match why {
        NotEditable::NoLetter => t!("there is no dead letter %{letter}", letter = letter),
        NotEditable::Fetch => {
            t!(
                "letter %{letter} failed at the source, and holds nothing that can be corrected",
                letter = letter
            )
        }
        NotEditable::Page => {
            t!("letter %{letter} is about a whole page, not about an order", letter = letter)
        }
        NotEditable::TooLarge => t!("the row of letter %{letter} is too large to be in it", letter = letter),
        NotEditable::Gone => t!("the message of letter %{letter} is not in MAPPED any more", letter = letter),
        NotEditable::Unreadable(why) => {
            t!("the message of letter %{letter} cannot be read: %{why}", letter = letter, why = why)
        }
    }
}

/// Why a row cannot be corrected by hand.
pub fn uncorrectable(letter: u64, why: Uncorrectable) -> Cow<'static, str> {
    match why {
        Uncorrectable::ByElement => t!(
            "letter %{letter}: the mapping makes a record of each element of a list, so a row cannot be corrected by hand; correct \
             it at the source",
            letter = letter
        ),
        Uncorrectable::OtherIdentity => t!(
            "letter %{letter}: the mapping of today reads key or version otherwise than the one it failed under; a backfill reads \
             the order again",
            letter = letter
        ),
    }
}
