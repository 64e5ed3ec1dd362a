//! The paths that a plan reads, and which of them an order fills.

use super::{Child, Found, Frame, Node, ORDER, Shapes, is_blank, is_nothing};
use crate::schema::{join, member};

/// A value that a plan reads.
#[derive(Debug, Clone)]
pub(crate) struct ReadPath {
    /// As people write it: `company.name`, `product_list[*].sku`.
    pub(crate) text: String,
    at: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Of the order.
    Slot(usize),
    /// The list itself, read with the order.
    List(usize),
    /// Of each element of a list.
    Element { list: usize, slot: usize },
}

impl Shapes {
    /// What is read so far, each path once. What lies in a list within a list is left out: it is read only when it is used.
    pub(crate) fn read_paths(&self) -> Vec<ReadPath> {
        let mut paths = Vec::new();
        self.paths_of(&self.0[ORDER].node, "", None, &mut paths);
        paths
    }

    fn paths_of(&self, node: &Node, above: &str, list: Option<usize>, paths: &mut Vec<ReadPath>) {
        for (name, child) in node.names.iter().zip(&node.children) {
            self.path_of(child, &member(above, name), list, paths);
        }
    }

    fn path_of(&self, child: &Child, text: &str, within: Option<usize>, paths: &mut Vec<ReadPath>) {
        let mut add = |at| paths.push(ReadPath { text: text.to_owned(), at });
        match (child.slot, within, child.list) {
            (Some(slot), Some(list), _) => add(Place::Element { list, slot }),
            (None, None, Some(list)) => add(Place::List(list)),
            (Some(slot), None, _) => add(Place::Slot(slot)),
            (None, _, _) => {}
        }
        if let Some(node) = &child.node {
            self.paths_of(node, text, within, paths);
        }
        for (index, element) in &child.elements {
            self.path_of(element, &format!("{text}[{index}]"), within, paths);
        }
        if let (Some(list), None) = (child.list, within) {
            let text = format!("{text}[*]");
            let shape = &self.0[list];
            for (name, child) in shape.node.names.iter().zip(&shape.node.children) {
                self.path_of(child, &join(&text, &member("", name)), Some(list), paths);
            }
        }
    }
}

impl ReadPath {
    /// Whether all of the value is used, and not only members of its elements.
    pub(crate) fn is_whole(&self) -> bool {
        !matches!(self.at, Place::List(_))
    }

    /// Whether an order has a value here; `None` when it cannot have one, because a list has no elements.
    pub(crate) fn is_filled(&self, frame: &Frame<'_>) -> Option<bool> {
        match self.at {
            Place::Slot(slot) => Some(is_value(frame.slots[slot])),
            Place::List(list) => Some(!frame.lists[list].texts.is_empty()),
            Place::Element { list, slot } => {
                let elements = &frame.lists[list];
                let count = elements.texts.len();
                (count > 0).then(|| (0..count).any(|index| is_value(elements.slots(index)[slot])))
            }
        }
    }
}

/// Whether something was found that is not null, a blank text, `[]` or `{}`.
fn is_value(found: Found<'_>) -> bool {
    match found {
        Found::Value(json) => has_value(json),
        Found::Nothing | Found::Blocked(_) => false,
    }
}

/// Whether a JSON text is more than null, a blank text, `[]` or `{}`.
pub(crate) fn has_value(json: &str) -> bool {
    match json.as_bytes().first() {
        Some(b'"') => !is_blank(json),
        Some(b'{') => !json[1..].trim_ascii_start().starts_with('}'),
        Some(b'[' | b'n') => !is_nothing(json),
        first => first.is_some(),
    }
}
