//! A path of a mapping bound to the slots it is read from, and the place where it is looked up.

use std::borrow::Cow;

use crate::path::{Path, Step};
use crate::row_error::{Fault, Kind};
use crate::shape::{Elements, Found, Frame, ListAt, ORDER, Shapes};

/// A path bound to what a row is read into.
#[derive(Debug)]
pub(crate) struct Ref {
    /// As written in the mapping.
    pub(crate) text: String,
    root: bool,
    at: At,
}

#[derive(Debug)]
enum At {
    Slot(usize),
    /// Of every element of a list: the slot, or the element itself.
    Elements(ListAt, Option<usize>),
}

/// The path of a list bound to what a row is read into.
#[derive(Debug)]
pub(crate) struct ListRef {
    /// As written in the mapping, without `[*]`.
    pub(crate) text: String,
    root: bool,
    at: ListAt,
}

/// The order at hand.
#[derive(Debug)]
pub(crate) struct Order<'r> {
    pub(crate) text: &'r str,
    pub(crate) frame: Frame<'r>,
}

/// Where paths are looked up: in the order, or in an element of one of its lists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a, 'r> {
    pub(crate) shapes: &'a Shapes,
    pub(crate) order: &'a Order<'r>,
    /// The slots of the element, or of the order.
    pub(crate) own: &'a [Found<'r>],
    /// The text of the element, or of the order.
    pub(crate) text: &'r str,
}

impl Ref {
    /// Binds a path that is read in `shape`.
    pub(crate) fn new(path: Path, shape: usize, shapes: &mut Shapes) -> Ref {
        let from = if path.root { ORDER } else { shape };
        let at = match path.list() {
            None => At::Slot(shapes.slot(from, &path.steps)),
            Some((list, behind)) => {
                let list = shapes.list(from, list);
                let slot = (!behind.is_empty()).then(|| shapes.slot(list.shape, behind));
                At::Elements(list, slot)
            }
        };
        Ref { root: path.root || shape == ORDER, text: path.text, at }
    }

    /// Whether it leads to one value for each element of a list.
    pub(crate) fn is_many(&self) -> bool {
        matches!(self.at, At::Elements(..))
    }

    /// The JSON of the value; of the first, where there is one for each element.
    ///
    /// # Errors
    /// When the path leads through something that is not what it needs to be.
    pub(crate) fn value<'r>(&self, scope: &Scope<'_, 'r>) -> Result<Option<&'r str>, Fault> {
        match &self.at {
            At::Slot(slot) => value(scope.side(self.root)[*slot]),
            At::Elements(..) => Ok(self.values(scope)?.unwrap_or_default().into_iter().flatten().next()),
        }
    }

    /// The JSON of the value of each element; `None` when there is no list.
    ///
    /// # Errors
    /// When there is something else in place of the list, or of an object in it.
    pub(crate) fn values<'r>(&self, scope: &Scope<'_, 'r>) -> Result<Option<Vec<Option<&'r str>>>, Fault> {
        let At::Elements(list, slot) = &self.at else {
            return Ok(self.value(scope)?.map(|value| vec![Some(value)]));
        };
        let elements = scope.shapes.elements(list, scope.side(self.root), &scope.order.frame);
        if !is_list(&elements)? {
            return Ok(None);
        }
        let of = |index: usize| match slot {
            None => Ok(Some(elements.texts[index]).filter(|text| *text != "null")),
            Some(slot) => value(elements.slots(index)[*slot]).map_err(|mut fault| {
                fault.below = format!(" at [{index}]");
                fault
            }),
        };
        (0..elements.texts.len()).map(of).collect::<Result<_, _>>().map(Some)
    }
}

impl ListRef {
    /// Binds the path of a list, and what is behind its `[*]`, bound within its elements.
    pub(crate) fn new(path: Path, shape: usize, shapes: &mut Shapes) -> (ListRef, Option<Ref>) {
        let from = if path.root { ORDER } else { shape };
        let (steps, behind): (&[Step], &[Step]) = path.list().unwrap_or((&path.steps, &[]));
        let at = shapes.list(from, steps);
        let text = path.text.split("[*]").next().unwrap_or_default().to_owned();
        let behind = (!behind.is_empty()).then(|| {
            let within = path.text.split("[*].").nth(1).unwrap_or_default().to_owned();
            let path = Path { text: within, root: false, steps: behind.to_vec() };
            Ref::new(path, at.shape, shapes)
        });
        (ListRef { text, root: path.root || shape == ORDER, at }, behind)
    }

    /// The shape of its elements.
    pub(crate) fn shape(&self) -> usize {
        self.at.shape
    }

    /// Its elements; `None` when there is no list.
    ///
    /// # Errors
    /// When there is something else in its place.
    pub(crate) fn elements<'a, 'r>(
        &self,
        scope: &Scope<'a, 'r>,
    ) -> Result<Option<Cow<'a, Elements<'r>>>, Fault> {
        let elements = scope.shapes.elements(&self.at, scope.side(self.root), &scope.order.frame);
        Ok(is_list(&elements)?.then_some(elements))
    }

    /// What stands in its place, for an error.
    pub(crate) fn found<'r>(&self, scope: &Scope<'_, 'r>) -> Option<&'r str> {
        match scope.shapes.elements(&self.at, scope.side(self.root), &scope.order.frame).state {
            Found::Nothing => None,
            Found::Value(text) | Found::Blocked(text) => Some(text),
        }
    }
}

fn is_list(elements: &Elements<'_>) -> Result<bool, Fault> {
    match elements.state {
        Found::Nothing => Ok(false),
        Found::Value(_) => Ok(true),
        Found::Blocked(text) => Err(Fault::new(Kind::NotAnArray, Some(text), "an array")),
    }
}

fn value(found: Found<'_>) -> Result<Option<&str>, Fault> {
    match found {
        Found::Nothing => Ok(None),
        Found::Value(json) => Ok(Some(json)),
        Found::Blocked(json) => Err(Fault::new(Kind::WrongType, Some(json), "an object on the way there")),
    }
}

impl<'r> Order<'r> {
    /// Reads an order; `None` when it is no object.
    pub(crate) fn read(shapes: &Shapes, text: &'r str) -> Option<Order<'r>> {
        Some(Order { text, frame: shapes.read(text)? })
    }
}

impl<'a, 'r> Scope<'a, 'r> {
    /// The order itself.
    pub(crate) fn of(shapes: &'a Shapes, order: &'a Order<'r>) -> Scope<'a, 'r> {
        Scope { shapes, order, own: &order.frame.slots, text: order.text }
    }

    /// An element of one of its lists.
    pub(crate) fn element<'e>(&self, elements: &'e Elements<'r>, index: usize) -> Scope<'e, 'r>
    where
        'a: 'e,
    {
        Scope { own: elements.slots(index), text: elements.texts[index], ..*self }
    }

    fn side(&self, root: bool) -> &'a [Found<'r>] {
        if root { &self.order.frame.slots } else { self.own }
    }
}
