//! What is wrong with the mapping although every order is mapped: fields that it reads and that no order has any more, and a
//! version that is held because it would leave fields empty.

use events::{
    Actor, FieldHistory, FieldsSeen, MappingFields, MappingHold, MappingState, MappingText, Micros,
    OperationStarted, now,
};
use journal::{Cell, Journal, JournalError, Record, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::run::{finished, who};

/// A field counts as gone empty only if it had a value in at least so many of a hundred orders before, ...
const SHARE: u64 = 50;

/// ... and if, at the rate of before, at least so many of the orders since would have had one. Also the least number of orders
/// before that say anything.
const EXPECTED: u64 = 20;

/// What is wrong with the mapping although every order is mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct MappingWatch {
    /// Fields that the mapping in use reads and that no order has any more, although orders had them.
    pub empty: Vec<EmptyField>,
    /// The version of the mapping that waits for a person.
    pub held: Option<HeldMapping>,
}

/// A field that orders had and have no more.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct EmptyField {
    /// Its path in the source's order: `company.name`, `product_list[*].sku`.
    pub path: String,
    /// The version of the mapping that reads it.
    pub mapping: String,
    /// How many of the orders before had a value there.
    pub had: u64,
    /// How many orders before this is about, at most 1,000.
    pub of: u64,
    /// When the first order without it was stored, microseconds since the Unix epoch.
    pub since: Micros,
    /// How many orders came since, all without it.
    pub orders: u64,
}

/// A version of the mapping that is not used before a person accepts it.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct HeldMapping {
    /// The version.
    pub version: String,
    /// The version that goes on in its place.
    pub instead: String,
    /// Fields of the record that would be empty.
    pub fields: Vec<EmptiedByMapping>,
    /// Over how many orders both versions were tried: the newest in RAW.
    pub orders: u64,
    /// Since when it is held, microseconds since the Unix epoch.
    pub since: Micros,
    /// Why, in one line.
    pub why: String,
}

/// A field of the record that a mapping leaves empty and the one before did not.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct EmptiedByMapping {
    /// The field: `customer.name`, `lines[*].sku`.
    pub field: String,
    /// How many of the orders had it with the version before.
    pub had: u64,
}

/// What came of accepting a version of the mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It is accepted now, or would be; this is what it was held for.
    Accepted(HeldMapping),
    /// It was accepted before.
    Before,
    /// It is not known. This is the version that is held, if there is one.
    Unknown(Option<HeldMapping>),
}

impl From<MappingHold> for HeldMapping {
    fn from(hold: MappingHold) -> Self {
        let MappingHold { mapping: MappingText { version, since, .. }, instead, orders, fields } = hold;
        let told: Vec<String> =
            fields.iter().map(|field| format!("{} (in {} before)", field.field, field.had)).collect();
        let why = format!("of the last {orders} orders none would have {}", told.join(", "));
        let fields =
            fields.into_iter().map(|one| EmptiedByMapping { field: one.field, had: one.had }).collect();
        Self { version, instead, fields, orders, since, why }
    }
}

/// Reads what is wrong with the mapping although every order is mapped.
///
/// # Errors
/// When the flow has never run, or the server does not answer.
pub async fn mapping_watch(journal: &Journal, names: &Topology) -> Result<MappingWatch, JournalError> {
    let (state, _) = mapping_cell(journal, names).get::<MappingState>().await?;
    let cell = Cell::new(journal.clone(), names.clone(), names.fields());
    let (seen, _) = cell.get::<FieldsSeen>().await?;
    // A version that is not in use any more reads what it reads to nobody's harm.
    let in_use = state.current.as_ref().and_then(|current| seen.of(&current.version));
    let empty = in_use.map(empty_fields).unwrap_or_default();
    Ok(MappingWatch { empty, held: state.held.map(HeldMapping::from) })
}

/// Accepts a version of the mapping that is held: the transformers put it in use. With `reason`; without one it is only said
/// what would be done.
///
/// # Errors
/// When it cannot be read or stored, or somebody else changed it at the same moment.
pub async fn accept_mapping(
    journal: &Journal,
    names: &Topology,
    version: &str,
    reason: Option<&str>,
) -> Result<Acceptance, JournalError> {
    let cell = mapping_cell(journal, names);
    let (mut state, seq) = cell.get::<MappingState>().await?;
    if !state.is_held(version) {
        let held = state.held.take().map(HeldMapping::from);
        return Ok(if state.is_accepted(version) { Acceptance::Before } else { Acceptance::Unknown(held) });
    }
    let Some(hold) = state.held.take() else { return Ok(Acceptance::Unknown(None)) };
    let held = HeldMapping::from(hold.clone());
    let Some(reason) = reason else { return Ok(Acceptance::Accepted(held)) };
    let id = begun(journal, names, &held, who(), reason).await?;
    state.put_in_use(MappingText { since: now(), ..hold.mapping });
    cell.set(&state, seq).await?;
    finished(journal, names, &id, true, format!("the mapping {version} is in use")).await?;
    Ok(Acceptance::Accepted(held))
}

/// Records that a version is being accepted; returns the id of the operation.
async fn begun(
    journal: &Journal,
    names: &Topology,
    held: &HeldMapping,
    actor: Actor,
    reason: &str,
) -> Result<String, JournalError> {
    let id = format!("accept-{}", now());
    let plan = format!("put the mapping {} in use, which is held: {}", held.version, held.why);
    let (verb, reason) = ("accept".to_string(), reason.to_string());
    let started = OperationStarted { id: id.clone(), verb, actor, plan, from_sync: 0, reason, work: None };
    journal.publish(&Record::new(names.operation(&id), format!("started:{id}"), &started)?).await?;
    Ok(id)
}

fn mapping_cell(journal: &Journal, names: &Topology) -> Cell {
    Cell::new(journal.clone(), names.clone(), names.mapping())
}

/// The fields that have gone empty; of one within another only the outer.
fn empty_fields(seen: &MappingFields) -> Vec<EmptyField> {
    let gone: Vec<&FieldHistory> = seen.fields.iter().filter(|field| has_gone_empty(field)).collect();
    let is_within =
        |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']));
    let outermost = |field: &&&FieldHistory| !gone.iter().any(|other| is_within(&field.path, &other.path));
    let told = |field: &&FieldHistory| EmptyField {
        path: field.path.clone(),
        mapping: seen.mapping.clone(),
        had: field.had(),
        of: field.of,
        since: field.since.unwrap_or_default(),
        orders: field.empty,
    };
    gone.iter().filter(outermost).map(told).collect()
}

/// Whether a field that orders had is empty in so many orders that it is no chance.
fn has_gone_empty(field: &FieldHistory) -> bool {
    let had = field.had();
    let is_usual = field.of >= EXPECTED && had * 100 >= field.of * SHARE;
    is_usual && had.saturating_mul(field.empty) >= EXPECTED * field.of
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{EmptiedField, Payload};
    use proptest::prelude::*;

    fn history(path: &str, orders: impl IntoIterator<Item = bool>) -> FieldHistory {
        let mut history = FieldHistory::new(path);
        (1..).zip(orders).for_each(|(at, has)| history.note(has, at));
        history
    }

    fn runs(runs: &[(bool, usize)]) -> FieldHistory {
        history("a", runs.iter().flat_map(|(has, count)| std::iter::repeat_n(*has, *count)))
    }

    #[test]
    fn a_field_that_all_had_is_empty_after_twenty_without() {
        assert!(has_gone_empty(&runs(&[(true, 20), (false, 20)])));
        assert!(has_gone_empty(&runs(&[(true, 5_000), (false, 1_000_000)])), "it stays so");
        for (case, why) in [
            (&[(true, 1_000), (false, 19)][..], "too few since"),
            (&[(true, 19), (false, 500)], "too few before"),
            (&[(false, 5_000)], "never had"),
            (&[(true, 100), (false, 100), (true, 1)], "it is back"),
            (&[], "no orders"),
        ] {
            assert!(!has_gone_empty(&runs(case)), "{why}");
        }
    }

    #[test]
    fn a_field_that_some_had_takes_longer_and_one_that_few_had_is_never_missed() {
        let every = |n: usize, empty: usize| {
            let before = (0..1_000).map(move |order| order % n == n - 1);
            history("a", before.chain(std::iter::repeat_n(false, empty)))
        };
        assert!(has_gone_empty(&every(2, 40)));
        assert!(!has_gone_empty(&every(2, 39)));
        assert!(!has_gone_empty(&every(3, 100_000)));
    }

    proptest! {
        #[test]
        fn orders_that_have_a_field_by_chance_do_not_lose_it(
            dice in proptest::collection::vec(0_u8..10, 0..3_000), share in 5_u8..10,
        ) {
            prop_assert!(!has_gone_empty(&history("a", dice.into_iter().map(|die| die < share))));
        }
    }

    #[test]
    fn of_what_is_gone_as_a_whole_only_the_outermost_is_told() {
        let gone = [(true, 50), (false, 30)];
        let named = |path: &str| FieldHistory { path: path.into(), ..runs(&gone) };
        let fields = ["company", "company.name", "companyCode", "lines[*].sku"].map(named).to_vec();
        let seen = MappingFields { mapping: "m".into(), at: 0, fields };
        let empty = empty_fields(&seen);
        let told: Vec<_> =
            empty.iter().map(|field| (&*field.path, field.had, field.of, field.orders)).collect();
        assert_eq!(
            told,
            [("company", 50, 50, 30), ("companyCode", 50, 50, 30), ("lines[*].sku", 50, 50, 30)]
        );
        assert_eq!((empty[0].since, empty[0].mapping.as_str()), (51, "m"));
    }

    #[test]
    fn a_held_mapping_says_why_in_one_line() {
        let text = MappingText { version: "two".into(), text: Payload::pack(b""), since: 7 };
        let field = |field: &str, had| EmptiedField { field: field.into(), had };
        let fields = vec![field("customerName", 30), field("lines[*].sku", 28)];
        let held =
            HeldMapping::from(MappingHold { mapping: text, instead: "one".into(), orders: 30, fields });
        assert_eq!(
            held.why,
            "of the last 30 orders none would have customerName (in 30 before), lines[*].sku (in 28 before)"
        );
        assert_eq!((held.version.as_str(), held.instead.as_str(), held.since), ("two", "one", 7));
    }
}
