//! The fields of a request as a tree: some metadata nests them in `children`, some names their `parent`.

use super::metadata::Entry;

/// A field with the fields below it.
#[derive(Debug)]
pub(super) struct Node<'m> {
    pub(super) entry: &'m Entry,
    pub(super) children: Vec<Node<'m>>,
}

impl Node<'_> {
    /// How many fields there are below it.
    pub(super) fn below(&self) -> usize {
        self.children.iter().map(|child| 1 + child.below()).sum()
    }
}

/// An entry, and the position of the one it belongs to.
type Flat<'m> = Vec<(&'m Entry, Option<usize>)>;

/// The tree, and the entries whose parent is not to be found (or is below themselves).
pub(super) fn tree(request: &[Entry]) -> (Vec<Node<'_>>, Vec<&Entry>) {
    let mut flat = Flat::new();
    flatten(request, None, &mut flat);
    let mut lost = Vec::new();
    for at in 0..flat.len() {
        // Within `children` the place says it already.
        if let (entry, None) = flat[at]
            && let Some(parent) = &entry.parent
        {
            match named(&flat, at, parent) {
                Some(parent) => flat[at].1 = Some(parent),
                None => lost.push(at),
            }
        }
    }
    let roots: Vec<usize> =
        (0..flat.len()).filter(|at| flat[*at].1.is_none() && !lost.contains(at)).collect();
    let mut reached = vec![false; flat.len()];
    let nodes = roots.into_iter().map(|root| node(&flat, root, &mut reached)).collect();
    let unreached = flat.iter().zip(reached).filter(|(_, reached)| !reached).map(|((entry, _), _)| *entry);
    (nodes, unreached.collect())
}

fn flatten<'m>(entries: &'m [Entry], parent: Option<usize>, flat: &mut Flat<'m>) {
    for entry in entries {
        flat.push((entry, parent));
        let here = flat.len() - 1;
        flatten(&entry.children, Some(here), flat);
    }
}

/// The one entry that is meant by a `parent`; `None` when there is none, or several.
fn named(flat: &Flat<'_>, child: usize, parent: &str) -> Option<usize> {
    let only = |is: &dyn Fn(&Entry) -> bool| {
        let mut found = (0..flat.len()).filter(|at| *at != child && is(flat[*at].0));
        found.next().filter(|_| found.next().is_none())
    };
    only(&|entry| entry.id.as_deref() == Some(parent)).or_else(|| only(&|entry| entry.field == parent))
}

fn node<'m>(flat: &Flat<'m>, at: usize, reached: &mut Vec<bool>) -> Node<'m> {
    reached[at] = true;
    let below: Vec<usize> = (0..flat.len()).filter(|child| flat[*child].1 == Some(at)).collect();
    Node { entry: flat[at].0, children: below.into_iter().map(|child| node(flat, child, reached)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(field: &str, parent: &str, children: Vec<Entry>) -> Entry {
        let parent = (!parent.is_empty()).then(|| parent.to_owned());
        Entry { field: field.into(), parent, children, ..Entry::default() }
    }

    fn shown(nodes: &[Node<'_>]) -> String {
        let each = |node: &Node<'_>| format!("{}({})", node.entry.field, shown(&node.children));
        nodes.iter().map(each).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn parents_and_children_make_one_tree_in_the_order_of_the_metadata() {
        let request = [
            entry("sku", "lines", vec![]),
            entry("a", "", vec![entry("lines", "a", vec![])]),
            entry("qty", "lines", vec![]),
            entry("b", "", vec![]),
        ];
        let (nodes, lost) = tree(&request);
        assert_eq!((shown(&nodes).as_str(), lost.len()), ("a(lines(sku() qty())) b()", 0));
    }

    #[test]
    fn what_hangs_nowhere_is_named() {
        let request = [
            entry("a", "b", vec![]),
            entry("b", "a", vec![]),
            entry("c", "nobody", vec![]),
            entry("d", "c", vec![]),
        ];
        let (nodes, lost) = tree(&request);
        assert!(nodes.is_empty());
        assert_eq!(lost.iter().map(|entry| entry.field.as_str()).collect::<String>(), "abcd");
    }
}
