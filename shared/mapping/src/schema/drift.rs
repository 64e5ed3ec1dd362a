//! What is different between two schemas: the orders before some moment and those
//! since.
//!
//! - A field is **new** when it was never seen before. Below a new one nothing is
//!   listed.
//! - It is **gone** when it was never seen since, although its absence means
//!   something: before, at least one in 100 of what encloses it had it, and at that
//!   rate at least 20 would have been seen since. So a field that few orders have is
//!   not taken for gone, nor one whose enclosing object is not there any more.
//! - It is **empty** when it is still there and, by the same rule, its values are
//!   gone: what is left is null, a blank text, or `[]` in place of an object.
//! - Its **type** changed when it has values since of a type that none had before;
//!   one value is enough, as it is for a dead letter. A text is a text whatever it
//!   holds; but numbers that arrive as text, or the other way round, are called that.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Schema;
use super::kind::{Kind, Types};
use super::node::{self, Node, Room};

/// What happened to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// It is not there any more.
    Gone,
    /// It is there, but has no values any more.
    Empty,
    /// It has values of a type that it never had.
    Type,
    /// It was a number, and is now also a text that is a number.
    NumberAsText,
    /// It was a text that is a number, and is now also a number.
    TextAsNumber,
    /// It was never there.
    New,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happened.
    pub change: Changed,
    /// The path.
    pub path: String,
    /// The member of the order that it begins with, not quoted.
    #[serde(skip)]
    pub top: String,
    /// The place that shows it: where it, or a value of it, was last seen before it was gone or empty; else the first of
    /// what is new.
    pub place: u64,
    /// What was seen before.
    pub before: Types,
    /// How often what encloses it was seen before.
    pub within_before: u64,
    /// What was seen since.
    pub since: Types,
    /// How often what encloses it was seen since.
    pub within_since: u64,
}

impl Change {
    /// Whether a mapping that reads the field reads something else than before.
    pub fn is_breaking(&self) -> bool {
        self.change != Changed::New
    }
}

/// All differences, the breaking ones first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The differences.
    pub changes: Vec<Change>,
}

/// A field counts as gone only if it was in one of this many before, ...
const SHARE: u64 = 100;

/// ... and if, at the rate of before, at least so many would have been seen since.
const EXPECTED: u64 = 20;

const TEXT: &[Kind] = &[Kind::String, Kind::NumericString];
const NUMBER: &[Kind] = &[Kind::Number];
const BOOLEAN: &[Kind] = &[Kind::Boolean];
const OBJECT: &[Kind] = &[Kind::Object];
const ARRAY: &[Kind] = &[Kind::Array, Kind::EmptyArray];
/// Where there are objects, `[]` is an empty one: no value, and no type of its own.
const ARRAY_BESIDE_OBJECTS: &[Kind] = &[Kind::Array];

impl Drift {
    /// What is different in the orders `since` some moment from those `before`.
    pub fn between(before: &Schema, since: &Schema) -> Self {
        let mut comparing = Comparing {
            // What is missing on a side where paths were left out may have been seen there.
            new_counts: before.left_out() == 0,
            gone_counts: since.left_out() == 0,
            rooms: [&before.room, &since.room],
            changes: Vec::new(),
        };
        comparing.below([&before.root, &since.root], "", "");
        let mut changes = comparing.changes;
        changes.sort_by(|a, b| (a.change, &a.path).cmp(&(b.change, &b.path)));
        Self { changes }
    }
}

struct Comparing<'a> {
    new_counts: bool,
    gone_counts: bool,
    rooms: [&'a Room; 2],
    changes: Vec<Change>,
}

impl Comparing<'_> {
    /// Compares what lies below one path, before and since.
    fn below(&mut self, nodes: [&Node; 2], path: &str, top: &str) {
        if nodes[0].any.is_some() != nodes[1].any.is_some() {
            // Too many members on one side: on the other they are compared as one, too.
            let together = |side: usize| {
                let (mut node, mut room) = (nodes[side].clone(), self.rooms[side].clone());
                node.take_together(&mut room);
                node
            };
            let [before, since] = [together(0), together(1)];
            return self.below([&before, &since], path, top);
        }
        let objects = nodes.map(|node| node.types.of(OBJECT));
        let names: BTreeSet<&str> =
            nodes.iter().flat_map(|node| node.members.keys()).map(AsRef::as_ref).collect();
        for name in names {
            let top = if path.is_empty() { name } else { top };
            let pair = nodes.map(|node| node.members.get(name));
            self.one(pair, objects, &node::member(path, name), top);
        }
        let any = nodes.map(|node| node.any.as_deref());
        self.one(any, objects, &node::join(path, "*"), if path.is_empty() { "*" } else { top });
        let (elements, arrays) =
            (nodes.map(|node| node.elements.as_deref()), nodes.map(|node| node.types.of(ARRAY)));
        self.one(elements, arrays, &format!("{path}[*]"), top);
    }

    /// Compares one path, before and since, and what lies below it.
    fn one(&mut self, pair: [Option<&Node>; 2], within: [u64; 2], path: &str, top: &str) {
        let [before, since] = pair.map(|node| node.map(|node| node.types).unwrap_or_default());
        let change = match pair {
            [None, None] => return,
            [None, Some(_)] => self.new_counts.then(|| (Changed::New, since.all().first)),
            [Some(_), None] => (self.gone_counts && is_missed(before.count(), within))
                .then(|| (Changed::Gone, before.all().last)),
            [Some(_), Some(_)] => changed(&before, &since, within),
        };
        if let Some((change, place)) = change {
            let [within_before, within_since] = within;
            let (path, top) = (path.to_owned(), top.to_owned());
            self.changes.push(Change {
                change,
                path,
                top,
                place,
                before,
                within_before,
                since,
                within_since,
            });
        }
        // Nothing lay below what was neither an object nor an array: all of it came with the change that was listed.
        let had_below = before.of(OBJECT) + before.of(ARRAY) > 0;
        if let [Some(before), Some(since)] = pair
            && (change.is_none() || had_below)
        {
            self.below([before, since], path, top);
        }
    }
}

/// What changed about the values of a field that is there on both sides, and where.
fn changed(before: &Types, since: &Types, within: [u64; 2]) -> Option<(Changed, u64)> {
    let has_objects = before.of(OBJECT) + since.of(OBJECT) > 0;
    let arrays = if has_objects { ARRAY_BESIDE_OBJECTS } else { ARRAY };
    let all = [TEXT, NUMBER, BOOLEAN, OBJECT, arrays];
    let (known, values) = (before.these(&all.concat()), since.these(&all.concat()));
    match (known.count, values.count) {
        (0, _) => return None,
        (count, 0) => return is_missed(count, within).then_some((Changed::Empty, known.last)),
        _ => {}
    }
    let is_new = |kinds: &&[Kind]| before.of(kinds) == 0 && since.of(kinds) > 0;
    let new: Vec<&[Kind]> = all.into_iter().filter(is_new).collect();
    let change = match new[..] {
        [] => return None,
        [TEXT] if before.of(NUMBER) > 0 && since.of(&[Kind::String]) == 0 => Changed::NumberAsText,
        [NUMBER] if before.of(TEXT) > 0 && before.of(&[Kind::String]) == 0 => Changed::TextAsNumber,
        _ => Changed::Type,
    };
    Some((change, since.these(&new.concat()).first))
}

/// Whether it means something that what was `seen` so often before was not seen since.
fn is_missed(seen: u64, [before, since]: [u64; 2]) -> bool {
    let [seen, before, since] = [seen, before, since].map(u128::from);
    seen * u128::from(SHARE) >= before && seen * since >= u128::from(EXPECTED) * before
}
