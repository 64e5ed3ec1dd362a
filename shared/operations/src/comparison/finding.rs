//! What one order of the source is, compared with what a target holds of it. Pure: everything that was read comes in.

use events::{ContentHash, Micros, Version};

/// What the source, and the mapping of today, say of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key by the mapping; `None` when it has none.
    pub key: Option<String>,
    /// When it was changed last, as the source says.
    pub updated_at: Option<Micros>,
    /// What today's mapping makes of it.
    pub row: MappedRow,
}

/// What today's mapping makes of a row of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappedRow {
    /// A record with this hash.
    Record(ContentHash),
    /// Nothing: a filter keeps it from being sent.
    Skipped,
    /// It cannot be mapped; what kind of failure, and in which field.
    Failed(String),
}

/// What the receipts of an order say that the target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldContent {
    /// The target took this.
    Taken(ContentHash),
    /// The target said REPEAT to what it was sent last: it kept what it had. That is this, where an earlier receipt says so.
    Kept(Option<ContentHash>),
    /// The target said that it holds something newer, of which there is no receipt.
    Newer,
    /// It was sent something, and it is not known whether the target took it.
    NotKnown,
}

/// What the target was given of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldState {
    /// The newest version that it was given.
    pub(super) version: Version,
    pub(super) content: HeldContent,
    /// When the last receipt was stored, by nats-server's clock.
    pub(super) stored_at: Micros,
    /// Whether the receipts say that an order with an older update time waits for somebody.
    pub(super) has_older_stamp: bool,
}

impl HeldState {
    fn content(&self) -> Option<ContentHash> {
        match self.content {
            HeldContent::Taken(content) => Some(content),
            HeldContent::Kept(content) => content,
            HeldContent::Newer | HeldContent::NotKnown => None,
        }
    }
}

/// The last dead letter of an order, unless it was tried again since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastLetter {
    pub(super) standing: LetterStanding,
    /// When it was stored, by nats-server's clock.
    pub(super) at: Micros,
}

/// Whether a dead letter still waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetterStanding {
    Open,
    Discarded,
}

/// What the comparison of one order comes to. Each order has exactly one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The target holds what today's mapping makes of the source's row.
    Same,
    /// The same, and its receipts say that it waits for somebody: it does not any more.
    SameAgain,
    /// The target holds something that was read after this reading began, or says so itself.
    Newer,
    /// The target had it before it was sent, and what it had is not known.
    Repeat,
    Skipped,
    Dead,
    Discarded,
    /// Today's mapping cannot map the row, so there is nothing to compare.
    Unmappable,
    Missing,
    /// The target holds a state with an older update time.
    Stale,
    Unknown,
    /// The target holds other content with the same update time.
    OtherContent,
    /// The target holds other content with a newer update time, and this was read later.
    OlderStamp,
}

/// Compares one order. `raw_through` is the last sequence of RAW before the source was read for this: what lies behind it may
/// have been read later.
pub(super) fn compare(
    order: &Listed,
    held: Option<&HeldState>,
    letter: Option<LastLetter>,
    raw_through: u64,
) -> Finding {
    let given = held.filter(|held| held.version > Version::OLDEST);
    if let (Some(held), MappedRow::Record(content)) = (given, &order.row)
        && held.content() == Some(*content)
    {
        return if held.has_older_stamp { Finding::SameAgain } else { Finding::Same };
    }
    if order.row == MappedRow::Skipped {
        return Finding::Skipped;
    }
    let behind = given.is_some_and(|held| held.version.updated_at < order.updated_at);
    let current = given.filter(|held| !behind && held.content != HeldContent::NotKnown);
    // A letter that is older than the order's last change, or than what the target was given since, is about something before.
    let counts = |letter: &LastLetter| {
        order.updated_at.is_none_or(|changed| changed <= letter.at)
            && current.is_none_or(|held| held.stored_at < letter.at)
    };
    match letter.filter(counts).map(|letter| letter.standing) {
        Some(LetterStanding::Open) => return Finding::Dead,
        Some(LetterStanding::Discarded) => return Finding::Discarded,
        None => {}
    }
    if matches!(order.row, MappedRow::Failed(_)) {
        return Finding::Unmappable;
    }
    match (current, given) {
        (Some(held), _) => differing(order, held, raw_through),
        (None, None) => Finding::Missing,
        (None, Some(_)) if behind => Finding::Stale,
        (None, Some(_)) => Finding::Unknown,
    }
}

/// What an order is whose content differs from what the target holds, which has no older update time.
fn differing(order: &Listed, held: &HeldState, raw_through: u64) -> Finding {
    match held.content {
        HeldContent::Newer => Finding::Newer,
        HeldContent::Kept(None) => Finding::Repeat,
        _ if held.version.raw_seq > raw_through => Finding::Newer,
        _ if held.version.updated_at == order.updated_at => Finding::OtherContent,
        _ => Finding::OlderStamp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pages up to here were stored before the source was read.
    const RAW_THROUGH: u64 = 100;

    fn listed(updated_at: i64, content: u8) -> Listed {
        let row = MappedRow::Record(ContentHash::of(&[content]));
        Listed { key: Some("1".into()), updated_at: Some(updated_at), row }
    }

    fn held(updated_at: i64, content: u8) -> HeldState {
        HeldState {
            version: Version { updated_at: Some(updated_at), raw_seq: 7, generation: 0 },
            content: HeldContent::Taken(ContentHash::of(&[content])),
            stored_at: 500,
            has_older_stamp: false,
        }
    }

    fn found(order: &Listed, held: &HeldState) -> Finding {
        compare(order, Some(held), None, RAW_THROUGH)
    }

    #[test]
    fn content_decides_before_times_do() {
        assert_eq!(found(&listed(50, 1), &held(50, 1)), Finding::Same);
        assert_eq!(found(&listed(50, 2), &held(50, 1)), Finding::OtherContent);
        assert_eq!(found(&listed(20, 2), &held(50, 1)), Finding::OlderStamp);
        assert_eq!(found(&listed(70, 2), &held(50, 1)), Finding::Stale);
        assert_eq!(found(&listed(20, 1), &held(50, 1)), Finding::Same, "whatever its time");
        assert_eq!(found(&listed(70, 1), &held(50, 1)), Finding::Same);
        let no_time = Listed { updated_at: None, ..listed(0, 2) };
        assert_eq!(found(&no_time, &held(50, 1)), Finding::OlderStamp, "it lost its time");
    }

    #[test]
    fn what_was_read_meanwhile_is_newer() {
        let mut meanwhile = held(50, 1);
        meanwhile.version.raw_seq = RAW_THROUGH + 1;
        assert_eq!(found(&listed(20, 2), &meanwhile), Finding::Newer);
        assert_eq!(found(&listed(50, 2), &meanwhile), Finding::Newer);
        assert_eq!(found(&listed(70, 2), &meanwhile), Finding::Stale);
        let said = HeldState { content: HeldContent::Newer, ..held(50, 1) };
        assert_eq!(found(&listed(50, 1), &said), Finding::Newer, "the target says so itself");
    }

    #[test]
    fn a_repeat_says_what_the_target_kept() {
        let kept = |content| HeldState { content: HeldContent::Kept(content), ..held(50, 0) };
        assert_eq!(found(&listed(50, 1), &kept(Some(ContentHash::of(&[1])))), Finding::Same);
        assert_eq!(found(&listed(50, 1), &kept(Some(ContentHash::of(&[2])))), Finding::OtherContent);
        assert_eq!(found(&listed(50, 1), &kept(None)), Finding::Repeat);
        assert_eq!(found(&listed(70, 1), &kept(None)), Finding::Stale);
    }

    #[test]
    fn a_row_that_cannot_be_mapped_is_never_the_same() {
        let failed = Listed { row: MappedRow::Failed("missing_field: orderNumber".into()), ..listed(50, 1) };
        assert_eq!(found(&failed, &held(50, 1)), Finding::Unmappable);
        assert_eq!(compare(&failed, None, None, RAW_THROUGH), Finding::Unmappable);
        let letter = LastLetter { standing: LetterStanding::Open, at: 600 };
        assert_eq!(compare(&failed, Some(&held(50, 1)), Some(letter), RAW_THROUGH), Finding::Dead);
        let skipped = Listed { row: MappedRow::Skipped, ..listed(50, 1) };
        assert_eq!(found(&skipped, &held(50, 1)), Finding::Skipped, "its state is not to be sent");
    }

    #[test]
    fn a_letter_counts_for_what_came_after_it_alone() {
        let letter = |standing, at| Some(LastLetter { standing, at });
        let found =
            |order: &Listed, held: &HeldState, letter| compare(order, Some(held), letter, RAW_THROUGH);
        let order = listed(50, 2);
        let target = held(50, 1);
        let open = LetterStanding::Open;
        let discarded = LetterStanding::Discarded;
        assert_eq!(found(&order, &target, letter(open, 600)), Finding::Dead);
        assert_eq!(found(&order, &target, letter(discarded, 600)), Finding::Discarded);
        assert_eq!(found(&order, &target, letter(discarded, 400)), Finding::OtherContent, "written since");
        assert_eq!(found(&listed(700, 2), &target, letter(open, 600)), Finding::Stale, "changed since");
        assert_eq!(found(&listed(50, 1), &target, letter(open, 600)), Finding::Same);
        assert_eq!(compare(&order, None, letter(open, 40), RAW_THROUGH), Finding::Missing);
    }

    #[test]
    fn what_was_never_given_is_missing_and_what_is_not_known_is_unknown() {
        assert_eq!(compare(&listed(50, 1), None, None, RAW_THROUGH), Finding::Missing);
        let ignored = HeldState { version: Version::OLDEST, ..held(0, 1) };
        assert_eq!(found(&listed(50, 1), &ignored), Finding::Missing, "a deletion it never heard of");
        let unknown = HeldState { content: HeldContent::NotKnown, ..held(50, 1) };
        assert_eq!(found(&listed(50, 1), &unknown), Finding::Unknown);
        assert_eq!(found(&listed(70, 1), &unknown), Finding::Stale);
    }

    #[test]
    fn what_agrees_again_is_told_apart_from_what_always_did() {
        let waiting = HeldState { has_older_stamp: true, ..held(50, 1) };
        assert_eq!(found(&listed(20, 1), &waiting), Finding::SameAgain);
        assert_eq!(found(&listed(20, 2), &waiting), Finding::OlderStamp);
    }

    fn any_row() -> impl Strategy<Value = MappedRow> {
        prop_oneof![
            (0_u8..3).prop_map(|content| MappedRow::Record(ContentHash::of(&[content]))),
            Just(MappedRow::Skipped),
            Just(MappedRow::Failed("bad".into())),
        ]
    }

    fn any_content() -> impl Strategy<Value = HeldContent> {
        let hash = |content: u8| ContentHash::of(&[content]);
        prop_oneof![
            (0_u8..3).prop_map(move |content| HeldContent::Taken(hash(content))),
            prop::option::of(0_u8..3).prop_map(move |content| HeldContent::Kept(content.map(hash))),
            Just(HeldContent::Newer),
            Just(HeldContent::NotKnown),
        ]
    }

    fn any_held() -> impl Strategy<Value = HeldState> {
        let version = (prop::option::of(0_i64..4), 0_u64..3).prop_map(|(updated_at, page)| Version {
            updated_at,
            raw_seq: page * RAW_THROUGH,
            generation: 0,
        });
        (version, any_content(), 0_i64..6, any::<bool>()).prop_map(
            |(version, content, stored_at, has_older_stamp)| HeldState {
                version,
                content,
                stored_at,
                has_older_stamp,
            },
        )
    }

    fn any_letter() -> impl Strategy<Value = LastLetter> {
        let standing = prop_oneof![Just(LetterStanding::Open), Just(LetterStanding::Discarded)];
        (standing, 0_i64..6).prop_map(|(standing, at)| LastLetter { standing, at })
    }

    proptest! {
        /// The rule that everything else serves: nothing is called the same unless its content is at the target.
        #[test]
        fn the_same_content_is_all_that_is_ever_called_the_same(
            updated_at in prop::option::of(0_i64..4),
            row in any_row(),
            held in prop::option::of(any_held()),
            letter in prop::option::of(any_letter()),
        ) {
            let order = Listed { key: Some("1".into()), updated_at, row };
            let finding = compare(&order, held.as_ref(), letter, RAW_THROUGH);
            let given = held.filter(|held| held.version > Version::OLDEST);
            let at_target = given.and_then(|held| held.content());
            let is_there = matches!(&order.row, MappedRow::Record(content) if at_target == Some(*content));
            let same = matches!(finding, Finding::Same | Finding::SameAgain);
            prop_assert_eq!(same, is_there);
            match finding {
                Finding::Missing => prop_assert!(given.is_none()),
                Finding::OlderStamp => {
                    prop_assert!(given.is_some_and(|held| held.version.updated_at > order.updated_at));
                }
                Finding::OtherContent => {
                    prop_assert!(given.is_some_and(|held| held.version.updated_at == order.updated_at));
                }
                Finding::Stale => {
                    prop_assert!(given.is_some_and(|held| held.version.updated_at < order.updated_at));
                }
                Finding::Dead | Finding::Discarded => prop_assert!(letter.is_some()),
                _ => {}
            }
        }
    }
}
