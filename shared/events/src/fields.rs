//! What the transformers share about the mapping, in STATE: how often the orders have the fields that it reads, and which
//! version is in use. Losing it costs the comparison with what was before, never an order.

use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{Event, Micros, Payload};

/// A history looks back over so many orders.
pub const REMEMBERED_ORDERS: u64 = 1_000;

/// 64 orders each; together a few more than are remembered.
const WORDS: usize = 16;

/// How many mappings are remembered: the one in use, and those before.
const REMEMBERED_MAPPINGS: usize = 3;

/// How often orders had a value at one path. Histories of two parts of a sequence of orders join into that of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldHistory {
    /// The path, such as `company.name` or `product_list[*].sku`.
    pub path: String,
    /// One bit an order, up to the last that had a value, which is the lowest bit of the first word.
    pub bits: [u64; WORDS],
    /// How many orders the bits are about, at most [`REMEMBERED_ORDERS`].
    pub of: u64,
    /// How many orders came since, all without a value.
    pub empty: u64,
    /// When the page with the first of these was stored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub since: Option<Micros>,
}

impl FieldHistory {
    /// The history of a path before any order.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// How many of the remembered orders, up to the last that had a value, had one.
    pub fn had(&self) -> u64 {
        self.bits.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Adds one order of a page that was stored at `at`.
    pub fn note(&mut self, has_value: bool, at: Micros) {
        if has_value {
            self.move_up(self.empty + 1);
            self.bits[0] |= 1;
            self.empty = 0;
            self.since = None;
        } else {
            self.empty += 1;
            self.since = self.since.or(Some(at));
        }
    }

    /// Adds the orders of another history, which come after those of this one.
    pub fn join(&mut self, later: &Self) {
        if later.of == 0 {
            self.empty += later.empty;
            self.since = self.since.or(later.since);
            return;
        }
        self.move_up(self.empty + later.of);
        for (word, other) in self.bits.iter_mut().zip(later.bits) {
            *word |= other;
        }
        self.empty = later.empty;
        self.since = later.since;
    }

    /// Makes room for further orders below the bits, and forgets what is too old.
    fn move_up(&mut self, orders: u64) {
        self.of = (self.of + orders).min(REMEMBERED_ORDERS);
        let words = usize::try_from(orders / 64).unwrap_or(WORDS).min(WORDS);
        let bits = orders % 64;
        for at in (0..WORDS).rev() {
            let word = |at: Option<usize>| at.map_or(0, |at| self.bits[at]);
            let high = word(at.checked_sub(words)) << bits;
            let low = if bits == 0 { 0 } else { word(at.checked_sub(words + 1)) >> (64 - bits) };
            self.bits[at] = high | low;
        }
        let last = REMEMBERED_ORDERS % 64;
        self.bits[WORDS - 1] &= (1 << last) - 1;
    }
}

/// How often orders had the fields that one version of the mapping reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingFields {
    /// The version.
    pub mapping: String,
    /// When this was last added to.
    pub at: Micros,
    /// The fields, in the order of the mapping.
    pub fields: Vec<FieldHistory>,
}

/// How often orders had the fields that the mapping reads, over all transformers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldsSeen {
    /// The versions of the mapping that were used last.
    pub mappings: Vec<MappingFields>,
}

impl Event for FieldsSeen {
    const KIND: &'static str = "FieldsSeen";
}

impl FieldsSeen {
    /// The fields of one version.
    pub fn of(&self, mapping: &str) -> Option<&MappingFields> {
        self.mappings.iter().find(|known| known.mapping == mapping)
    }

    /// Adds what a transformer has seen since it last did. What a new version reads as the one before did is known already:
    /// whether an order has a field does not depend on the mapping.
    pub fn add(&mut self, seen: &MappingFields) {
        let at = match self.mappings.iter().position(|known| known.mapping == seen.mapping) {
            Some(at) => at,
            None => {
                let fields = seen.fields.iter().map(|field| self.known_before(&field.path)).collect();
                self.mappings.push(MappingFields { mapping: seen.mapping.clone(), at: 0, fields });
                self.mappings.len() - 1
            }
        };
        let known = &mut self.mappings[at];
        known.at = known.at.max(seen.at);
        for field in &seen.fields {
            match known.fields.iter_mut().find(|known| known.path == field.path) {
                Some(known) => known.join(field),
                None => known.fields.push(field.clone()),
            }
        }
        self.mappings.sort_by_key(|mapping| std::cmp::Reverse(mapping.at));
        self.mappings.truncate(REMEMBERED_MAPPINGS);
    }

    fn known_before(&self, path: &str) -> FieldHistory {
        let newest = self.mappings.iter().max_by_key(|mapping| mapping.at);
        let known = newest.and_then(|mapping| mapping.fields.iter().find(|field| field.path == path));
        known.cloned().unwrap_or_else(|| FieldHistory::new(path))
    }
}

/// One version of the mapping, with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingText {
    /// The version.
    pub version: String,
    /// The mapping file.
    pub text: Payload,
    /// Since when it is in use, or held.
    pub since: Micros,
}

/// A field that a mapping filled and the next one does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmptiedField {
    /// The field of the record, such as `customerName` or `lines[*].sku`.
    pub field: String,
    /// How many of the orders that were tried had it with the mapping before.
    pub had: u64,
}

/// A version of the mapping that is not used before a person accepts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingHold {
    /// The version.
    pub mapping: MappingText,
    /// The version that goes on in its place.
    pub instead: String,
    /// Over how many orders both were tried.
    pub orders: u64,
    /// The fields that none of these has with the new version.
    pub fields: Vec<EmptiedField>,
}

/// Which version of the mapping is in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingState {
    /// The version that was put in use last.
    pub current: Option<MappingText>,
    /// Versions that may be used, the newest last.
    pub accepted: Vec<String>,
    /// The version that waits for a person.
    pub held: Option<MappingHold>,
}

/// So many accepted versions are remembered.
const REMEMBERED_VERSIONS: usize = 32;

impl MappingState {
    /// Whether a version may be used.
    pub fn is_accepted(&self, version: &str) -> bool {
        self.accepted.iter().any(|accepted| accepted == version)
    }

    /// Whether a version waits for a person.
    pub fn is_held(&self, version: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.mapping.version == version)
    }

    /// Puts a version in use.
    pub fn put_in_use(&mut self, mapping: MappingText) {
        self.accepted.retain(|accepted| *accepted != mapping.version);
        self.accepted.push(mapping.version.clone());
        let too_many = self.accepted.len().saturating_sub(REMEMBERED_VERSIONS);
        self.accepted.drain(..too_many);
        if self.is_held(&mapping.version) {
            self.held = None;
        }
        self.current = Some(mapping);
    }
}

impl Event for MappingState {
    const KIND: &'static str = "MappingState";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(orders: &[bool], from: usize) -> FieldHistory {
        let mut history = FieldHistory::new("a");
        for (at, has_value) in (from..).zip(orders) {
            history.note(*has_value, at as Micros);
        }
        history
    }

    #[test]
    fn what_came_before_the_last_value_is_the_past_and_what_came_since_is_empty() {
        let history = folded(&[true, false, true, true, false, false], 0);
        assert_eq!((history.had(), history.of), (3, 4));
        assert_eq!((history.empty, history.since), (2, Some(4)));
        let never = folded(&[false; 5], 7);
        assert_eq!((never.had(), never.of, never.empty, never.since), (0, 0, 5, Some(7)));
    }

    #[test]
    fn a_thousand_orders_are_remembered_however_many_are_empty_since() {
        let orders = [vec![true; 700], vec![false; 200], vec![true; 400], vec![false; 5_000]].concat();
        let history = folded(&orders, 0);
        assert_eq!((history.had(), history.of, history.empty), (800, 1_000, 5_000));
        assert_eq!(history.since, Some(1_300));
    }

    proptest! {
        #[test]
        fn a_history_counts_as_a_list_would(orders in proptest::collection::vec(any::<bool>(), 0..2_500)) {
            let history = folded(&orders, 0);
            let past = orders.iter().rposition(|has| *has).map_or(0, |last| last + 1);
            let window = &orders[past.saturating_sub(1_000)..past];
            prop_assert_eq!(history.had(), window.iter().filter(|has| **has).count() as u64);
            prop_assert_eq!((history.of, history.empty), (window.len() as u64, (orders.len() - past) as u64));
            prop_assert_eq!(history.since, (past < orders.len()).then_some(past as Micros));
        }

        #[test]
        fn joining_histories_is_the_history_of_all(
            runs in proptest::collection::vec((any::<bool>(), 1_usize..400), 0..12),
            cut in 0_usize..5_000,
        ) {
            let orders: Vec<bool> =
                runs.into_iter().flat_map(|(has, count)| std::iter::repeat_n(has, count)).collect();
            let cut = cut.min(orders.len());
            let mut joined = folded(&orders[..cut], 0);
            joined.join(&folded(&orders[cut..], cut));
            prop_assert_eq!(joined, folded(&orders, 0));
        }

        #[test]
        fn transformers_that_share_count_as_one(
            orders in proptest::collection::vec(any::<bool>(), 0..300), cuts in proptest::collection::vec(0_usize..300, 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(orders.len())).collect();
            cuts.extend([0, orders.len()]);
            cuts.sort_unstable();
            let mut shared = FieldsSeen::default();
            for pair in cuts.windows(2) {
                let fields = vec![folded(&orders[pair[0]..pair[1]], pair[0])];
                shared.add(&MappingFields { mapping: "m".into(), at: pair[1] as Micros, fields });
            }
            prop_assert_eq!(&shared.of("m").expect("added").fields, &vec![folded(&orders, 0)]);
        }
    }

    fn seen(mapping: &str, at: Micros, paths: &[&str], orders: &[bool]) -> MappingFields {
        let field = |path: &&str| FieldHistory { path: (*path).into(), ..folded(orders, 0) };
        MappingFields { mapping: mapping.into(), at, fields: paths.iter().map(field).collect() }
    }

    #[test]
    fn a_new_version_knows_what_the_one_before_has_seen_of_the_same_fields() {
        let mut shared = FieldsSeen::default();
        shared.add(&seen("one", 1, &["a", "b"], &[true; 50]));
        shared.add(&seen("two", 2, &["b", "c"], &[false; 20]));
        let two = shared.of("two").expect("added");
        let told: Vec<_> = two.fields.iter().map(|field| (&*field.path, field.had(), field.empty)).collect();
        assert_eq!(told, [("b", 50, 20), ("c", 0, 20)]);
        for at in 3..9 {
            shared.add(&seen(&format!("v{at}"), at, &["b"], &[true]));
        }
        assert_eq!(shared.mappings.len(), REMEMBERED_MAPPINGS);
        assert_eq!(shared.mappings[0].mapping, "v8");
    }

    #[test]
    fn a_version_that_is_put_in_use_is_accepted_and_not_held() {
        let text = |version: &str| MappingText {
            version: version.into(),
            text: Payload::pack(b"key = 'a'"),
            since: 1,
        };
        let mut state = MappingState::default();
        state.put_in_use(text("one"));
        let (instead, fields) = ("one".into(), Vec::new());
        state.held = Some(MappingHold { mapping: text("two"), instead, orders: 20, fields });
        state.put_in_use(text("one"));
        assert!(state.is_held("two") && !state.is_accepted("two"));
        state.put_in_use(text("two"));
        assert!(!state.is_held("two") && state.is_accepted("two") && state.is_accepted("one"));
        (0..99).for_each(|n| state.put_in_use(text(&n.to_string())));
        assert_eq!(state.accepted.len(), REMEMBERED_VERSIONS);
        assert!(state.is_accepted("98") && !state.is_accepted("one"));
    }
}
