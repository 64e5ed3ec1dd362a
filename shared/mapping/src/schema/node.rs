//! One path of a schema and the paths below it, within bounds.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::kind::{Kind, Types};
use super::{Limits, SchemaField};

/// What is kept of a path. Whatever the order in which values come, the same is kept,
/// as long as there is room for all paths.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Node {
    pub(super) types: Types,
    /// The members of the objects seen here; empty when `any` is there.
    pub(super) members: BTreeMap<Box<str>, Node>,
    /// All members taken together, once there were too many.
    pub(super) any: Option<Box<Node>>,
    /// All elements of the arrays seen here.
    pub(super) elements: Option<Box<Node>>,
}

/// How much room is left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Room {
    limits: Limits,
    paths: usize,
    /// Values that were left out.
    pub(super) left_out: u64,
}

impl Room {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, paths: 0, left_out: 0 }
    }

    #[cfg(test)]
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes the room for one path, if there is any.
    fn take(&mut self) -> bool {
        let free = self.paths < self.limits.paths;
        self.paths += usize::from(free);
        free
    }
}

impl Node {
    pub(super) fn fold(&mut self, json: &str, place: u64, depth: usize, room: &mut Room) {
        let kind = Kind::of(json);
        self.types.note(kind, place);
        if depth < room.limits.depth && matches!(kind, Kind::Object | Kind::Array) {
            let mut below = serde_json::Deserializer::from_str(json);
            // A row is sound JSON; should it not be, what was read of it so far is its shape.
            let _ = below.deserialize_any(Below { node: self, place, depth: depth + 1, room });
        }
    }

    pub(super) fn merge(&mut self, other: Node, room: &mut Room) {
        self.types.merge(&other.types);
        if other.any.is_some() {
            self.take_together(room);
        }
        for (name, node) in other.members {
            match self.member(&name, room) {
                Some(own) => own.merge(node, room),
                None => room.left_out += node.types.count(),
            }
        }
        if let (Some(own), Some(any)) = (&mut self.any, other.any) {
            own.merge(*any, room);
        }
        if let Some(elements) = other.elements {
            match self.element(room) {
                Some(own) => own.merge(*elements, room),
                None => room.left_out += elements.types.count(),
            }
        }
    }

    /// The node of a member; `None` when there is no room for it.
    fn member(&mut self, name: &str, room: &mut Room) -> Option<&mut Node> {
        let known = self.members.contains_key(name);
        if !known && self.any.is_none() && self.members.len() >= room.limits.members {
            self.take_together(room);
        }
        if self.any.is_some() {
            return self.any.as_deref_mut();
        }
        match known || room.take() {
            true => Some(self.members.entry(name.into()).or_default()),
            false => None,
        }
    }

    fn element(&mut self, room: &mut Room) -> Option<&mut Node> {
        if self.elements.is_none() && room.take() {
            self.elements = Some(Box::default());
        }
        self.elements.as_deref_mut()
    }

    /// Makes all members one.
    pub(super) fn take_together(&mut self, room: &mut Room) {
        if self.any.is_some() {
            return;
        }
        let members = std::mem::take(&mut self.members);
        room.paths -= members.values().map(Node::size).sum::<usize>();
        room.paths += 1;
        let mut any = Box::<Node>::default();
        for node in members.into_values() {
            any.merge(node, room);
        }
        self.any = Some(any);
    }

    /// How many paths it is, with those below.
    fn size(&self) -> usize {
        let below = self.members.values().chain(self.any.as_deref()).chain(self.elements.as_deref());
        1 + below.map(Node::size).sum::<usize>()
    }

    /// Lists every path below `path`.
    pub(super) fn list(&self, path: &str, top: &str, out: &mut Vec<SchemaField>) {
        let objects = self.types.of(&[Kind::Object]);
        for (name, node) in &self.members {
            let top = if path.is_empty() { name } else { top };
            node.list_with(member(path, name), top, objects, out);
        }
        if let Some(any) = &self.any {
            let top = if path.is_empty() { "*" } else { top };
            any.list_with(join(path, "*"), top, objects, out);
        }
        if let Some(elements) = &self.elements {
            let arrays = self.types.of(&[Kind::Array, Kind::EmptyArray]);
            elements.list_with(format!("{path}[*]"), top, arrays, out);
        }
    }

    fn list_with(&self, path: String, top: &str, within: u64, out: &mut Vec<SchemaField>) {
        out.push(SchemaField { path: path.clone(), top: top.to_owned(), types: self.types, within });
        self.list(&path, top, out);
    }
}

/// The path of a member of what lies at `path`.
pub(crate) fn member(path: &str, name: &str) -> String {
    let has_meaning = |c: char| ".[]\"*$\\".contains(c) || c.is_whitespace() || c.is_control();
    match name.is_empty() || name.contains(has_meaning) {
        true => join(path, &serde_json::Value::from(name).to_string()),
        false => join(path, name),
    }
}

pub(crate) fn join(path: &str, step: &str) -> String {
    if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") }
}

/// Folds the members of one object, or the elements of one array, into the nodes below.
struct Below<'a> {
    node: &'a mut Node,
    place: u64,
    depth: usize,
    room: &'a mut Room,
}

impl<'de> Visitor<'de> for Below<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value::<&RawValue>()?;
            match self.node.member(&name, self.room) {
                Some(node) => node.fold(value.get(), self.place, self.depth, self.room),
                None => self.room.left_out += 1,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(value) = elements.next_element::<&RawValue>()? {
            match self.node.element(self.room) {
                Some(node) => node.fold(value.get(), self.place, self.depth, self.room),
                None => self.room.left_out += 1,
            }
        }
        Ok(())
    }
}

/// Reads a member name as bytes: one that is no valid Unicode (a lone surrogate) is
/// no reason to lose the rest of the order.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(name).into_owned())
    }
}
