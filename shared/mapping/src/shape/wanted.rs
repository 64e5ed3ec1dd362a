//! The paths of everything that a plan wants of an order.

use super::{Child, Node, ORDER, Shapes};

/// What stands in a path for every element of a list.
pub(crate) const EVERY: &str = "*";

impl Shapes {
    /// The paths of the values that are wanted of an order, as the names that lead to each; [`EVERY`] is every element of a list.
    pub(crate) fn wanted_paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        self.paths_below(&self.0[ORDER].node, &[], &mut paths);
        paths
    }

    fn paths_below(&self, node: &Node, above: &[String], paths: &mut Vec<Vec<String>>) {
        for (name, child) in node.names.iter().zip(&node.children) {
            let path = [above, &[name.to_owned()]].concat();
            self.known_paths_of(child, &path, paths);
        }
    }

    fn known_paths_of(&self, child: &Child, path: &[String], paths: &mut Vec<Vec<String>>) {
        if child.slot.is_some() || child.list.is_some() {
            paths.push(path.to_vec());
        }
        if let Some(node) = &child.node {
            self.paths_below(node, path, paths);
        }
        for (index, element) in &child.elements {
            self.known_paths_of(element, &[path, &[index.to_string()]].concat(), paths);
        }
        if let Some(shape) = child.list {
            self.paths_below(&self.0[shape].node, &[path, &[EVERY.to_owned()]].concat(), paths);
        }
    }
}
