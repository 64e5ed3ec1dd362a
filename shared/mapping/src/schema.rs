//! The shape of orders as the source sends them: at each path, which types of value
//! were seen, how often, and where first and last. A pure fold: schemas of two parts
//! of a stream merge into that of the whole, and two of them compare as a [`Drift`].
//!
//! Paths are written as `company.name` and `product_list[*].count`; the elements of
//! an array are one path. A name that holds a dot, or anything else that has a
//! meaning in a path, is quoted: `a."b.c"`.
//!
//! What is kept is bounded. An object of more than 1,000 different members is taken
//! for data whose keys are values, and its members are one path, `stock.*`. Values
//! nested deeper than 16 levels are not looked into, and of more than 10,000 paths
//! the later ones are left out; [`Schema::left_out`] says so.

mod drift;
mod kind;
mod lookup;
mod node;

pub use drift::{Change, Changed, Drift};
pub use kind::{Kind, Seen, Types};
pub use lookup::MissingPath;
pub(crate) use node::{join, member};

use serde::Serialize;
use serde_json::value::RawValue;

use node::{Node, Room};

/// How much of a shape is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// Paths in all.
    paths: usize,
    /// Different members of one object.
    members: usize,
    /// Levels.
    depth: usize,
}

/// The shape of some orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    root: Node,
    room: Room,
}

/// One path of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaField {
    /// The path.
    pub path: String,
    /// The member of the order that it begins with, not quoted.
    #[serde(skip)]
    pub top: String,
    /// The types of value it was seen with.
    pub types: Types,
    /// How often what encloses it was seen: the order, the object or the array.
    pub within: u64,
}

impl Default for Schema {
    fn default() -> Self {
        Self::new(Limits { paths: 10_000, members: 1_000, depth: 16 })
    }
}

impl Schema {
    fn new(limits: Limits) -> Self {
        Self { root: Node::default(), room: Room::new(limits) }
    }

    /// Takes one order into account that lies at `place`: a number that grows along
    /// the stream.
    pub fn fold(&mut self, order: &RawValue, place: u64) {
        self.root.fold(order.get(), place, 0, &mut self.room);
    }

    /// Takes into account all that `other` has seen.
    pub fn merge(&mut self, other: Schema) {
        self.room.left_out += other.room.left_out;
        self.root.merge(other.root, &mut self.room);
    }

    /// How many orders were seen.
    pub fn orders(&self) -> u64 {
        self.root.types.count()
    }

    /// How many values were left out because there were too many paths.
    pub fn left_out(&self) -> u64 {
        self.room.left_out
    }

    /// The path of a member of what lies at `path`, as [`Schema::fields`] writes it.
    pub fn member_path(path: &str, name: &str) -> String {
        node::member(path, name)
    }

    /// Every path, those of one object in the order of their names.
    pub fn fields(&self) -> Vec<SchemaField> {
        let mut fields = Vec::new();
        self.root.list("", "", &mut fields);
        fields
    }
}

#[cfg(test)]
mod tests;
