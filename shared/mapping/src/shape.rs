//! What a plan wants of a row, and the row read once for it: each wanted value the
//! text it was sent as, everything else stepped over.

mod wanted;

use crate::cursor::Cursor;
use crate::names::Names;
use crate::path::Step;

mod paths;

pub(crate) use paths::{ReadPath, has_value};

/// The number of the shape of the whole order.
pub(crate) const ORDER: usize = 0;

/// A value that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Found<'r> {
    /// There is none.
    #[default]
    Nothing,
    /// Its JSON.
    Value(&'r str),
    /// The path leads through this, which is not what it needs to be.
    Blocked(&'r str),
}

/// What is wanted of one object: the order, or an element of a list.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    node: Node,
    /// How many slots it has.
    width: usize,
    /// Whether its list is read with the order. A list within a list is read when it is used.
    with_order: bool,
}

#[derive(Debug, Default)]
struct Node {
    names: Names,
    children: Vec<Child>,
}

/// A wanted member or element.
#[derive(Debug, Default)]
struct Child {
    /// Wanted itself.
    slot: Option<usize>,
    /// Members of it are wanted.
    node: Option<Box<Node>>,
    /// Certain elements of it are wanted.
    elements: Vec<(usize, Child)>,
    /// All elements of it are wanted, each in this shape.
    list: Option<usize>,
    /// What lies below its members, and below its elements.
    in_members: Below,
    in_elements: Below,
}

/// Slots, and lists that are read with the order, to be emptied or blocked together.
#[derive(Debug, Default)]
struct Below {
    slots: Vec<usize>,
    lists: Vec<usize>,
}

/// All shapes of a plan; the first is that of the order.
#[derive(Debug)]
pub(crate) struct Shapes(Vec<Shape>);

/// A list that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct ListAt {
    /// The shape of its elements.
    pub(crate) shape: usize,
    /// The slot its text is in; `None` when it is read with the order.
    slot: Option<usize>,
}

/// One object read: its slots, and the lists read with it.
#[derive(Debug)]
pub(crate) struct Frame<'r> {
    pub(crate) slots: Vec<Found<'r>>,
    /// By shape; those that are not read with the order stay empty.
    lists: Vec<Elements<'r>>,
}

/// The elements of a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Elements<'r> {
    pub(crate) state: Found<'r>,
    width: usize,
    slots: Vec<Found<'r>>,
    /// The text of each element.
    pub(crate) texts: Vec<&'r str>,
}

impl<'r> Elements<'r> {
    /// The slots of an element.
    pub(crate) fn slots(&self, index: usize) -> &[Found<'r>] {
        &self.slots[index * self.width..(index + 1) * self.width]
    }
}

impl Shapes {
    pub(crate) fn new() -> Shapes {
        Shapes(vec![Shape::default()])
    }

    /// The slot of the value behind these steps, which hold no `All`.
    pub(crate) fn slot(&mut self, shape: usize, steps: &[Step]) -> usize {
        let Shape { node, width, .. } = &mut self.0[shape];
        if let Some(known) = node.child(steps, |_| {}).slot {
            return known;
        }
        let slot = *width;
        *width += 1;
        node.child(steps, |above| above.slots.push(slot)).slot = Some(slot);
        slot
    }

    /// The list behind these steps, which hold no `All`.
    pub(crate) fn list(&mut self, shape: usize, steps: &[Step]) -> ListAt {
        let (new, with_order) = (self.0.len(), shape == ORDER);
        let known = self.0[shape].node.child(steps, |_| {}).list;
        let list = known.unwrap_or(new);
        if known.is_none() {
            let note = |above: &mut Below| above.lists.extend(with_order.then_some(new));
            self.0[shape].node.child(steps, note).list = Some(new);
            self.0.push(Shape { with_order, ..Shape::default() });
        }
        let slot = (!with_order).then(|| self.slot(shape, steps));
        ListAt { shape: list, slot }
    }

    /// The top-level names of the order that are wanted.
    pub(crate) fn order_names(&self) -> &Names {
        &self.0[ORDER].node.names
    }

    /// The first wanted top-level name that an order has more than once; the last value is the one
    /// that counts.
    pub(crate) fn repeated_name<'r>(&self, json: &'r str) -> Option<std::borrow::Cow<'r, str>> {
        let names = self.order_names();
        let mut cursor = Cursor::new(json);
        let mut seen = vec![false; self.0[ORDER].node.children.len()];
        let mut more = cursor.byte() == b'{' && cursor.enter();
        while more {
            let name = cursor.name();
            if let Some(at) = name.among(names)
                && std::mem::replace(&mut seen[at], true)
            {
                return name.decoded();
            }
            cursor.value();
            more = cursor.more();
        }
        None
    }

    /// Reads an order; `None` when it is no object.
    pub(crate) fn read<'r>(&self, json: &'r str) -> Option<Frame<'r>> {
        let mut cursor = Cursor::new(json);
        if cursor.byte() != b'{' {
            return None;
        }
        let lists = self.0.iter().map(|shape| Elements { width: shape.width, ..Elements::default() });
        let mut frame = Frame { slots: vec![Found::Nothing; self.0[ORDER].width], lists: lists.collect() };
        self.members(&self.0[ORDER].node, &mut cursor, &mut frame.slots, &mut frame.lists);
        Some(frame)
    }

    /// The elements of a list that was read with the order, or of one within an element, which is read now.
    pub(crate) fn elements<'f, 'r>(
        &self,
        list: &ListAt,
        own: &[Found<'r>],
        order: &'f Frame<'r>,
    ) -> std::borrow::Cow<'f, Elements<'r>> {
        let Some(slot) = list.slot else {
            return std::borrow::Cow::Borrowed(&order.lists[list.shape]);
        };
        let mut elements = Elements { width: self.0[list.shape].width, ..Elements::default() };
        match own[slot] {
            Found::Value(text) => self.elements_of(list.shape, &mut Cursor::new(text), &mut elements),
            other => elements.state = other,
        }
        std::borrow::Cow::Owned(elements)
    }

    fn members<'r>(
        &self,
        node: &Node,
        cursor: &mut Cursor<'r>,
        slots: &mut [Found<'r>],
        lists: &mut [Elements<'r>],
    ) {
        let mut more = cursor.enter();
        while more {
            match cursor.name().among(&node.names) {
                Some(at) => self.child(&node.children[at], cursor, slots, lists),
                None => {
                    cursor.value();
                }
            }
            more = cursor.more();
        }
    }

    /// Reads the value of a wanted member; of repeated names the last wins.
    fn child<'r>(
        &self,
        child: &Child,
        cursor: &mut Cursor<'r>,
        slots: &mut [Found<'r>],
        lists: &mut [Elements<'r>],
    ) {
        let start = cursor.position();
        child.in_members.set(Found::Nothing, slots, lists);
        child.in_elements.set(Found::Nothing, slots, lists);
        let is_list_alone = child.list.is_some_and(|list| self.0[list].with_order) && child.slot.is_none();
        match (cursor.byte(), &child.node) {
            (b'{', Some(node)) => self.members(node, cursor, slots, lists),
            (b'[', _) if !child.elements.is_empty() => self.chosen(child, cursor, slots, lists),
            // Read below, and not twice.
            _ if is_list_alone && child.node.is_none() && child.elements.is_empty() => {}
            _ => {
                cursor.value();
            }
        }
        let text = cursor.since(start);
        // What is no object has no members, and what is no list no elements, also where the other kind is wanted too.
        if !text.is_empty() && !is_nothing(text) {
            if !text.starts_with('{') {
                child.in_members.set(Found::Blocked(text), slots, lists);
            }
            if !text.starts_with('[') {
                child.in_elements.set(Found::Blocked(text), slots, lists);
            }
        }
        if let Some(list) = child.list.filter(|list| self.0[*list].with_order) {
            // Members or elements may have been read before: then the list is read once more.
            let text = cursor.since(start);
            let elements = &mut lists[list];
            elements.slots.clear();
            elements.texts.clear();
            if text.is_empty() {
                self.elements_of(list, cursor, elements);
            } else {
                self.elements_of(list, &mut Cursor::new(text), elements);
            }
        }
        if let Some(slot) = child.slot {
            slots[slot] = Found::Value(cursor.since(start));
        }
    }

    /// Reads the elements of a list that are wanted by their number.
    fn chosen<'r>(
        &self,
        child: &Child,
        cursor: &mut Cursor<'r>,
        slots: &mut [Found<'r>],
        lists: &mut [Elements<'r>],
    ) {
        let (mut index, mut more) = (0, cursor.enter());
        while more {
            match child.elements.iter().find(|(at, _)| *at == index) {
                Some((_, element)) => self.child(element, cursor, slots, lists),
                None => {
                    cursor.value();
                }
            }
            index += 1;
            more = cursor.more();
        }
    }

    /// Reads the value here as a list.
    fn elements_of<'r>(&self, list: usize, cursor: &mut Cursor<'r>, elements: &mut Elements<'r>) {
        let start = cursor.position();
        if cursor.byte() != b'[' {
            let text = cursor.value();
            let nothing = is_nothing(text) || is_blank(text);
            elements.state = if nothing { Found::Nothing } else { Found::Blocked(text) };
            return;
        }
        let shape = &self.0[list];
        let mut more = cursor.enter();
        while more {
            let (first, from) = (elements.slots.len(), cursor.position());
            elements.slots.resize(first + shape.width, Found::Nothing);
            if cursor.byte() == b'{' {
                self.members(&shape.node, cursor, &mut elements.slots[first..], &mut []);
            } else {
                let text = cursor.value();
                elements.slots[first..].fill(Found::Blocked(text));
            }
            elements.texts.push(cursor.since(from));
            more = cursor.more();
        }
        elements.state = Found::Value(cursor.since(start));
    }
}

impl Node {
    /// The child behind these steps; `note` is told of every child on the way there.
    fn child(&mut self, steps: &[Step], note: impl FnMut(&mut Below)) -> &mut Child {
        let Some((Step::Member(name), rest)) = steps.split_first() else {
            unreachable!("a path starts with a name, see Path::read");
        };
        self.member(name).child(rest, note)
    }

    fn member(&mut self, name: &str) -> &mut Child {
        let at = self.names.slot(name);
        if at == self.children.len() {
            self.children.push(Child::default());
        }
        &mut self.children[at]
    }
}

impl Child {
    fn child(&mut self, steps: &[Step], mut note: impl FnMut(&mut Below)) -> &mut Child {
        let mut here = self;
        let mut rest = steps;
        while let Some((first, after)) = rest.split_first() {
            note(match first {
                Step::Member(_) => &mut here.in_members,
                _ => &mut here.in_elements,
            });
            here = match first {
                Step::Index(index) => {
                    let known = here.elements.iter().position(|(at, _)| at == index);
                    let at = known.unwrap_or_else(|| {
                        here.elements.push((*index, Child::default()));
                        here.elements.len() - 1
                    });
                    &mut here.elements[at].1
                }
                Step::Member(name) => here.node.get_or_insert_default().member(name),
                Step::All => unreachable!("a slot or a list is named without `[*]`, see Path::list"),
            };
            rest = after;
        }
        here
    }
}

impl Below {
    fn set<'r>(&self, found: Found<'r>, slots: &mut [Found<'r>], lists: &mut [Elements<'r>]) {
        self.slots.iter().for_each(|slot| slots[*slot] = found);
        for list in &self.lists {
            lists[*list].slots.clear();
            lists[*list].texts.clear();
            lists[*list].state = found;
        }
    }
}

/// PHP writes an empty object as `[]` and an absent one sometimes as `""`.
fn is_nothing(json: &str) -> bool {
    matches!(json, "null" | "\"\"") || is_empty_array(json)
}

/// Whether a JSON text is a string of blanks.
fn is_blank(json: &str) -> bool {
    json.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .is_some_and(|inside| inside.trim_ascii().is_empty())
}

/// Whether a JSON text is an array without elements.
pub(crate) fn is_empty_array(json: &str) -> bool {
    json.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| inside.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests;
