//! What a plan wants of a row, and the row read once for it: each wanted value the
//! text it was sent as, everything else stepped over.

use crate::cursor::Cursor;
use crate::names::Names;
use crate::path::Step;

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
    /// The slots below, to be emptied or blocked together.
    slots_below: Vec<usize>,
    /// The lists below that are read with the order.
    lists_below: Vec<usize>,
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
        node.child(steps, |above| above.slots_below.push(slot)).slot = Some(slot);
        slot
    }

    /// The list behind these steps, which hold no `All`.
    pub(crate) fn list(&mut self, shape: usize, steps: &[Step]) -> ListAt {
        let (new, with_order) = (self.0.len(), shape == ORDER);
        let known = self.0[shape].node.child(steps, |_| {}).list;
        let list = known.unwrap_or(new);
        if known.is_none() {
            let note = |above: &mut Child| above.lists_below.extend(with_order.then_some(new));
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
            let wanted = cursor.name().decoded().and_then(|name| node.names.find(name.as_bytes()));
            match wanted {
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
        child.set_below(Found::Nothing, slots, lists);
        match (cursor.byte(), &child.node) {
            (b'{', Some(node)) => self.members(node, cursor, slots, lists),
            (b'[', _) if !child.elements.is_empty() => {
                let mut index = 0;
                let mut more = cursor.enter();
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
            _ if child.list.is_some_and(|list| self.0[list].with_order) => {}
            _ => {
                let text = cursor.value();
                if !is_nothing(text) {
                    child.set_below(Found::Blocked(text), slots, lists);
                }
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
    fn child(&mut self, steps: &[Step], note: impl FnMut(&mut Child)) -> &mut Child {
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
    fn child(&mut self, steps: &[Step], mut note: impl FnMut(&mut Child)) -> &mut Child {
        let mut here = self;
        let mut rest = steps;
        while let Some((first, after)) = rest.split_first() {
            note(here);
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

    fn set_below<'r>(&self, found: Found<'r>, slots: &mut [Found<'r>], lists: &mut [Elements<'r>]) {
        self.slots_below.iter().for_each(|slot| slots[*slot] = found);
        for list in &self.lists_below {
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::path::Path;

    fn steps(path: &str) -> Vec<Step> {
        Path::read(path).unwrap().steps
    }

    /// What lies behind some paths of an order, read in one go.
    fn at<'r>(paths: &[&str], order: &'r str) -> Vec<Found<'r>> {
        let mut shapes = Shapes::new();
        let slots: Vec<usize> = paths.iter().map(|path| shapes.slot(ORDER, &steps(path))).collect();
        let frame = shapes.read(order).unwrap();
        slots.into_iter().map(|slot| frame.slots[slot]).collect()
    }

    /// The values of members of a list's elements.
    fn elements<'r>(list: &str, members: &[&str], order: &'r str) -> (Found<'r>, Vec<Vec<Found<'r>>>) {
        let mut shapes = Shapes::new();
        let list = shapes.list(ORDER, &steps(list));
        let slots: Vec<usize> = members.iter().map(|path| shapes.slot(list.shape, &steps(path))).collect();
        let frame = shapes.read(order).unwrap();
        let found = shapes.elements(&list, &[], &frame);
        let of = |index| slots.iter().map(|slot| found.slots(index)[*slot]).collect();
        (found.state, (0..found.texts.len()).map(of).collect())
    }

    use Found::{Blocked, Nothing, Value};

    #[test]
    fn values_are_found_at_any_depth() {
        let order = r#"{"a": 1.50 ,"skip":{"a":[1]},"b":{"c":{"d": "x\u00e9"},"e":[{"f":1},[7]]}}"#;
        let paths = ["a", "b.c.d", "b.c", "b.x.d", "b.e[0].f", "b.e[1]", "b.e[2].f", "a.b", "z"];
        assert_eq!(
            at(&paths, order),
            [
                Value("1.50"),
                Value(r#""x\u00e9""#),
                Value(r#"{"d": "x\u00e9"}"#),
                Nothing,
                Value("1"),
                Value("[7]"),
                Nothing,
                Blocked("1.50"),
                Nothing,
            ]
        );
    }

    #[test]
    fn the_last_of_repeated_names_wins() {
        assert_eq!(at(&["a"], r#"{"a":1,"\u0061":2,"a":null}"#), [Value("null")]);
        assert_eq!(at(&["b.a"], r#"{"b":{"a":1},"b":{"a":2}}"#), [Value("2")]);
        assert_eq!(at(&["b.a", "b"], r#"{"b":{"a":1},"b":null}"#), [Nothing, Value("null")]);
        assert_eq!(elements("l", &["a"], r#"{"l":[{"a":1}],"l":[]}"#), (Value("[]"), vec![]));
    }

    #[test]
    fn names_beyond_unicode_and_deep_nesting_do_no_harm() {
        assert_eq!(at(&["a"], r#"{"\ud800":"\ud800","a":1}"#), [Value("1")]);
        let deep = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(9999), "]".repeat(9999));
        assert_eq!(at(&["a"], &deep), [Value("1")]);
    }

    #[test]
    fn empty_php_arrays_stand_for_absent_objects() {
        for absent in ["[]", "[ ]", "null", "\"\""] {
            assert_eq!(at(&["b.a"], &format!(r#"{{"b":{absent}}}"#)), [Nothing]);
        }
        assert_eq!(at(&["b.a"], r#"{"b":[1]}"#), [Blocked("[1]")]);
    }

    #[test]
    fn a_list_has_the_wanted_members_of_each_element() {
        let order = r#"{"l":[{"a":1,"z":{"y":[2]}}, {"b":"x"},7],"m":{"l":3}}"#;
        let (state, found) = elements("l", &["a", "z.y[0]"], order);
        assert_eq!(state, Value(r#"[{"a":1,"z":{"y":[2]}}, {"b":"x"},7]"#));
        assert_eq!(
            found,
            [vec![Value("1"), Value("2")], vec![Nothing, Nothing], vec![Blocked("7"), Blocked("7")]]
        );
        assert_eq!(elements("m.l", &["a"], order), (Blocked("3"), vec![]));
        assert_eq!(elements("m.l.n", &["a"], order), (Blocked("3"), vec![]));
        assert_eq!(elements("x", &["a"], order), (Nothing, vec![]));
    }

    #[test]
    fn one_value_can_be_wanted_in_several_ways() {
        let mut shapes = Shapes::new();
        let whole = shapes.slot(ORDER, &steps("l"));
        let list = shapes.list(ORDER, &steps("l"));
        let again = shapes.list(ORDER, &steps("l"));
        let second = shapes.slot(ORDER, &steps("l[1].a"));
        let member = shapes.slot(list.shape, &steps("a"));
        let inner = shapes.list(list.shape, &steps("k"));
        let deep = shapes.slot(inner.shape, &steps("a"));
        assert_eq!(list.shape, again.shape);
        let text = r#"{"l":[{"a":1,"k":[{"a":5},{"a":6}]},{"a":2}]}"#;
        let frame = shapes.read(text).unwrap();
        assert_eq!((frame.slots[whole], frame.slots[second]), (Value(&text[5..text.len() - 1]), Value("2")));
        let elements = shapes.elements(&list, &[], &frame);
        assert_eq!(elements.slots(1)[member], Value("2"));
        let inner = shapes.elements(&inner, elements.slots(0), &frame);
        assert_eq!([inner.slots(0)[deep], inner.slots(1)[deep]], [Value("5"), Value("6")]);
    }
}
