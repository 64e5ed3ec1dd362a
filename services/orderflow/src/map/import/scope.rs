//! Where the paths of a field start: the metadata always counts from the order, mapping.toml from the element of a list.

use super::template::{Path, Step};

/// The lists that we are within, each as a path from the order, the outermost first.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    lists: Vec<Path>,
    /// What an expression calls the element of the innermost list; `None`: its members stand by themselves.
    element: Option<&'static str>,
}

/// A value, as seen from a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    path: Path,
    start: Start,
    /// What an expression calls the element it is of.
    element: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The order, and we are there.
    Here,
    /// The order, from within a list.
    Order,
    /// The element of the list.
    Element,
}

impl Scope {
    /// Within one more list.
    pub(super) fn within(&self, list: Path) -> Self {
        let mut lists = self.lists.clone();
        lists.push(list);
        Self { lists, element: None }
    }

    /// The same, for an expression that calls the element so.
    pub(super) fn with_element(self, element: &'static str) -> Self {
        Self { element: Some(element), ..self }
    }

    /// How many lists we are within.
    pub(super) fn depth(&self) -> usize {
        self.lists.len()
    }

    /// A value that the metadata names. `remark` takes what had to be assumed for it.
    ///
    /// # Errors
    /// What to do by hand, when mapping.toml has no way to name it.
    pub(super) fn refer(&self, path: &Path, remark: &mut impl FnMut(String)) -> Result<Reference, String> {
        let Some((list, around)) = self.lists.split_last() else {
            return Ok(Reference { path: path.clone(), start: Start::Here, element: None });
        };
        if let Some(path) = path.behind(list) {
            return Ok(Reference { path, start: Start::Element, element: self.element });
        }
        if let Some(below) = flattened(path, list) {
            remark(format!("{path} is taken to be {below} of each element of {list}"));
            return Ok(Reference { path: below, start: Start::Element, element: self.element });
        }
        if around.iter().any(|list| path.behind(list).is_some() || flattened(path, list).is_some()) {
            return Err(format!(
                "an element of the list around {list} cannot be named from within it; say it with an expression over \
                 the outer list"
            ));
        }
        remark(format!("{path}, used within the list {list}, is taken to be the order's own"));
        Ok(Reference { path: path.clone(), start: Start::Order, element: None })
    }

    /// The path from the order of a list that stands in this scope.
    pub(super) fn absolute(&self, list: &Reference) -> Path {
        match (list.start, self.lists.last()) {
            (Start::Element, Some(around)) => Path([around.0.as_slice(), list.path.0.as_slice()].concat()),
            _ => list.path.clone(),
        }
    }
}

/// `product_list_count` is how the platform writes `count` of `product_list` where it has flattened the order.
fn flattened(path: &Path, list: &Path) -> Option<Path> {
    let start = format!("{}_", list.to_string().replace('.', "_"));
    let name = path.first().strip_prefix(&start).filter(|name| !name.is_empty())?;
    let mut steps = vec![Step::Name(name.into())];
    steps.extend(path.0.iter().skip(1).cloned());
    Some(Path(steps))
}

impl Reference {
    /// Whether it is an element's, and not the order's.
    pub(super) fn is_of_element(&self) -> bool {
        self.start == Start::Element
    }

    /// The member of the order that is read, when it is the order's.
    pub(super) fn member(&self) -> Option<&str> {
        (!self.is_of_element()).then(|| self.path.first())
    }

    /// As a path of mapping.toml.
    pub(super) fn path(&self) -> String {
        match self.start {
            Start::Order => format!("$.{}", self.path),
            Start::Here | Start::Element => self.path.to_string(),
        }
    }

    /// As an expression of mapping.toml; an object that is absent on the way there is no error.
    pub(super) fn expression(&self) -> String {
        let root = match (self.start, self.element) {
            (Start::Element, Some(element)) => element,
            (Start::Element, None) => "line",
            (Start::Here | Start::Order, _) => "order",
        };
        let is_rooted = self.start == Start::Order || self.element.is_some();
        let mut out = String::new();
        for (at, step) in self.path.0.iter().enumerate() {
            match step {
                Step::Index(index) => out.push_str(&format!("?[{index}]")),
                Step::Name(name) => match (is_identifier(name), at) {
                    (true, 0) if !is_rooted => out.push_str(name),
                    (true, 0) => out.push_str(&format!("{root}.{name}")),
                    (true, _) => out.push_str(&format!("?.{name}")),
                    (false, 0) => out.push_str(&format!("{root}[\"{name}\"]")),
                    (false, _) => out.push_str(&format!("?[\"{name}\"]")),
                },
            }
        }
        out
    }
}

/// Names that mean something else in an expression: Rhai's keywords and reserved words, and our own two.
const TAKEN: &str = " order line true false let if else switch do while loop until for in continue break return throw try \
    catch fn private import export as const global Fn call curry this is_def_fn is_def_var is_shared type_of print debug eval \
    var static shared goto exit match case public protected new use with is module package super thread spawn go sync \
    async await yield default void null nil then each ";

fn is_identifier(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let letter = name.trim_start_matches('_').starts_with(|letter: char| letter.is_ascii_alphabetic());
    plain && letter && !TAKEN.contains(&format!(" {name} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::read(text).expect(text)
    }

    fn both(scope: &Scope, text: &str) -> Result<(String, String), String> {
        scope.refer(&path(text), &mut |_| {}).map(|found| (found.path(), found.expression()))
    }

    #[test]
    fn paths_start_at_the_order_or_at_the_element() {
        let order = Scope::default();
        let lines = order.within(path("product_list"));
        let parts = lines.within(path("product_list.parts"));
        let as_is = |path: &str, expression: &str| Ok((path.to_owned(), expression.to_owned()));
        assert_eq!(both(&order, "company.name"), as_is("company.name", "company?.name"));
        assert_eq!(both(&order, "1101060384"), as_is("1101060384", "order[\"1101060384\"]"));
        assert_eq!(both(&order, "订单"), as_is("订单", "order[\"订单\"]"));
        assert_eq!(both(&order, "default"), as_is("default", "order[\"default\"]"));
        assert_eq!(both(&lines, "product_list.count"), as_is("count", "count"));
        assert_eq!(both(&lines, "product_list_count"), as_is("count", "count"));
        assert_eq!(both(&lines, "order_no"), as_is("$.order_no", "order.order_no"));
        assert_eq!(both(&parts, "product_list.parts.code"), as_is("code", "code"));
        assert!(
            both(&parts, "product_list.sku").expect_err("the element around").contains("cannot be named")
        );
    }

    #[test]
    fn what_was_assumed_is_remarked() {
        let mut remarks = Vec::new();
        let lines = Scope::default().within(path("product_list"));
        for text in ["product_list.sku", "product_list_count", "currency"] {
            lines.refer(&path(text), &mut |remark| remarks.push(remark)).expect(text);
        }
        assert_eq!(remarks.len(), 2, "{remarks:?}");
    }
}
