//! The fields of the target as the `[[field]]`s of mapping.toml.

use std::collections::BTreeSet;

use super::kind::{Kind, Origin};
use super::metadata::Entry;
use super::object::Literal;
use super::origin::origin;
use super::report::{Report, advice_for, is_secret, shown};
use super::scope::{Reference, Scope};
use super::template::{Path, Piece, pieces};
use super::toml_text::{self, comment, string};
use super::tree::{Node, tree};

/// Keys of a field that change its value: without them it would be written wrongly, so it is not written at all.
const DECISIVE: [&str; 6] = ["parser", "mapping", "map", "condition", "conditions", "filter"];

/// The fields as text, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) text: String,
    /// How many are written.
    pub(super) written: usize,
    /// The members of the order that they read.
    pub(super) reads: BTreeSet<String>,
}

/// Makes the fields of a request.
pub(super) fn fields(file: &str, request: &[Entry], report: &mut Report) -> Fields {
    let (nodes, lost) = tree(request);
    let mut writer = Writer { file, report, lists: Vec::new(), unset: Vec::new(), fields: Fields::default() };
    writer.list(&nodes, &Scope::default(), &[], &mut Vec::new());
    for entry in lost {
        let parent = entry.parent.as_deref().unwrap_or("the field above it");
        let to = [entry.field.clone()];
        let advice =
            "no field (or more than one) is called so, or it is below itself; say where it belongs in `to`";
        writer.lose(entry, &Scope::default(), &to, &format!("parent {parent:?}"), advice);
    }
    let (unset, fields) = (writer.unset, writer.fields);
    if !unset.is_empty() {
        report.note(format!("fields without a value in the metadata are left out: {}", unset.join(", ")));
    }
    fields
}

struct Writer<'r> {
    file: &'r str,
    report: &'r mut Report,
    /// The lists that we are within, as the target calls them.
    lists: Vec<String>,
    unset: Vec<String>,
    fields: Fields,
}

impl Writer<'_> {
    /// `taken` holds what stands in the same object already: neither of two names may be, or contain, the other.
    fn list(&mut self, nodes: &[Node<'_>], scope: &Scope, above: &[String], taken: &mut Vec<Vec<String>>) {
        for node in nodes {
            let entry = node.entry;
            let to = [above, std::slice::from_ref(&entry.field)].concat();
            if entry.field.contains('.') {
                self.report.note(format!(
                    "the dot in the field name {:?} is taken to be part of the name",
                    entry.field
                ));
            }
            if let Some((key, value)) = entry.unknown.iter().find(|(key, _)| DECISIVE.contains(&key.as_str()))
            {
                let below = match node.below() {
                    0 => String::new(),
                    below => format!(" (with {below} below it)"),
                };
                let found = format!("{key} {}{below}", shown(&entry.field, value.text()));
                self.lose(entry, scope, &to, &found, advice_for(key));
                continue;
            }
            let kind = self.kind(entry, &to);
            if kind == Kind::Array && !node.children.is_empty() {
                self.each(node, scope, &to, taken);
            } else if !node.children.is_empty() {
                if let Some(value) = entry.value.as_ref().filter(|value| !value.is_empty()) {
                    let found = format!("value {} beside fields below it", shown(&entry.field, value.text()));
                    self.lose(entry, scope, &to, &found, "only the fields below it were carried over");
                }
                self.unknown_keys(entry, &to);
                self.list(&node.children, scope, &to, taken);
            } else {
                self.leaf(entry, kind, scope, &to, taken);
            }
        }
    }

    /// A field as it is named in messages, from the record on.
    fn named(&self, to: &[String]) -> String {
        [self.lists.as_slice(), to].concat().join(".")
    }

    fn kind(&mut self, entry: &Entry, to: &[String]) -> Kind {
        let Some(name) = &entry.kind else { return Kind::String };
        Kind::named(name).unwrap_or_else(|| {
            self.report.note(format!(
                "field {:?}: the type {name:?} is not known here; taken as string",
                self.named(to)
            ));
            Kind::String
        })
    }

    fn leaf(
        &mut self,
        entry: &Entry,
        kind: Kind,
        scope: &Scope,
        to: &[String],
        taken: &mut Vec<Vec<String>>,
    ) {
        let Some(value) = entry.value.as_ref().filter(|value| !value.is_empty()) else {
            self.unset.push(self.named(to));
            return self.unknown_keys(entry, to);
        };
        let literal = pieces(value.text()).iter().all(|piece| matches!(piece, Piece::Text(_)));
        if literal && is_secret(&entry.field, value) {
            let advice = "secrets do not belong in mapping.toml; give it in headers of [[target]] as env:NAME or file:PATH";
            return self.lose(entry, scope, to, &shown("secret", value.text()), advice);
        }
        let place = format!("{}, field {:?}", self.file, self.named(to));
        let report = &mut *self.report;
        let mut remark = |text: String| report.note(format!("{place}: {text}"));
        match origin(value, kind, scope, &mut remark) {
            Ok((origin, kind)) => {
                if self.place(entry, scope, to, taken) {
                    self.write(entry, &origin, kind, scope, to);
                }
            }
            Err(advice) => self.lose(entry, scope, to, &shown(&entry.field, value.text()), &advice),
        }
    }

    /// A list: one object for each element of a list of the order.
    fn each(&mut self, node: &Node<'_>, scope: &Scope, to: &[String], taken: &mut Vec<Vec<String>>) {
        let entry = node.entry;
        let list = match self.list_of(entry, scope, to) {
            Ok(list) => list,
            Err((found, advice)) => {
                let found = format!("{found} (with {} below it)", node.below());
                return self.lose(entry, scope, to, &found, &advice);
            }
        };
        if !self.place(entry, scope, to, taken) {
            return;
        }
        let around = std::mem::take(&mut self.fields.text);
        let before = self.fields.written;
        let inner = scope.within(scope.absolute(&list));
        self.lists.push(to.join("."));
        self.list(&node.children, &inner, &[], &mut Vec::new());
        self.lists.pop();
        let inside = std::mem::replace(&mut self.fields.text, around);
        if self.fields.written == before {
            let advice = "none of the fields below it could be carried over";
            self.lose(entry, scope, to, &format!("a list with {} fields", node.below()), advice);
        } else {
            self.fields.reads.extend(list.member().map(str::to_owned));
            self.open(entry, scope, to);
            self.fields.text.push_str(&format!("each = {}\n", string(&list.path())));
        }
        self.fields.text.push_str(&inside);
    }

    /// The list that the value of an array names, with or without braces.
    fn list_of(
        &mut self,
        entry: &Entry,
        scope: &Scope,
        to: &[String],
    ) -> Result<Reference, (String, String)> {
        let advice = "say which list of the order it is made of, as each = \"...\" with the fields below it";
        let Some(value) = entry.value.as_ref().filter(|value| !value.is_empty()) else {
            return Err(("an array that names no list".into(), advice.into()));
        };
        let found = || shown(&entry.field, value.text());
        let path = match pieces(value.text()).as_slice() {
            [Piece::Text(name)] if matches!(value, Literal::Text(_)) => Path::read(name),
            [Piece::Path { path, filter: None }] => Some(path.clone()),
            _ => None,
        };
        let path = path.ok_or_else(|| (found(), advice.to_owned()))?;
        let place = format!("{}, field {:?}", self.file, self.named(to));
        let report = &mut *self.report;
        let mut remark = |text: String| report.note(format!("{place}: {text}"));
        let list = scope.refer(&path, &mut remark).map_err(|advice| (found(), advice))?;
        match scope.depth() > 0 && !list.is_of_element() {
            true => {
                Err((found(), "the list is not one of the list around it; say it as each = \"...\"".into()))
            }
            false => Ok(list),
        }
    }

    /// Whether a name is still free.
    fn place(&mut self, entry: &Entry, scope: &Scope, to: &[String], taken: &mut Vec<Vec<String>>) -> bool {
        if toml_text::path(to).is_none() {
            self.lose(entry, scope, to, "a name with a quote or a control character", "give it another name");
            return false;
        }
        if taken.iter().any(|other| other.starts_with(to) || to.starts_with(other)) {
            self.lose(entry, scope, to, "a second field of this name", "keep the one that is meant");
            return false;
        }
        taken.push(to.to_vec());
        true
    }

    fn write(&mut self, entry: &Entry, origin: &Origin, kind: Kind, scope: &Scope, to: &[String]) {
        let paths = |found: &[Reference]| found.iter().map(Reference::path).collect::<Vec<_>>();
        let read: &[Reference] = match origin {
            Origin::From(found) | Origin::Formatted(found, _) => std::slice::from_ref(found),
            Origin::Concat(found, _) | Origin::Expression(_, found) | Origin::Sum(_, _, found) => found,
            Origin::Constant(_) => &[],
        };
        self.fields.reads.extend(read.iter().filter_map(Reference::member).map(str::to_owned));
        let mut lines = match origin {
            Origin::From(found) | Origin::Formatted(found, _) => {
                format!("from = {}\n", string(&found.path()))
            }
            Origin::Sum(list, None, _) => format!("sum = {}\n", string(list)),
            Origin::Sum(list, Some(of), _) => format!("sum = {}\nof = {}\n", string(list), string(of)),
            Origin::Concat(found, by) if by.is_empty() => {
                format!("concat = {}\n", toml_text::strings(&paths(found)))
            }
            Origin::Concat(found, by) => {
                format!("concat = {}\nseparator = {}\n", toml_text::strings(&paths(found)), string(by))
            }
            Origin::Expression(text, _) => format!("expr = {}\n", string(text)),
            Origin::Constant(toml) => format!("value = {toml}\n"),
        };
        lines.push_str(&format!("type = \"{}\"\n", kind.name()));
        if let Origin::Formatted(_, format) = origin {
            lines.push_str(&format!("to_format = {}\n", string(format)));
        } else if kind == Kind::Datetime {
            // As the platform writes it; without this it would be written with its offset.
            lines.push_str("to_format = \"%Y-%m-%d %H:%M:%S\"\n");
        }
        if entry.required && !matches!(origin, Origin::Constant(_)) {
            lines.push_str("required = true\n");
        }
        self.open(entry, scope, to);
        self.fields.text.push_str(&lines);
        self.fields.written += 1;
    }

    /// The head of a field, with what people said of it as a comment.
    fn open(&mut self, entry: &Entry, scope: &Scope, to: &[String]) {
        let said = comment(&described(entry));
        let head = header(scope);
        let name = toml_text::path(to).unwrap_or_default();
        self.fields.text.push_str(&format!("\n{said}"));
        for (key, value) in &entry.unknown {
            let text = format!("not carried over: {key} {}", shown(key, value.text()));
            self.fields.text.push_str(&comment(&text));
        }
        self.fields.text.push_str(&format!("{head}\nto = {}\n", string(&name)));
        self.unknown_keys(entry, to);
    }

    fn unknown_keys(&mut self, entry: &Entry, to: &[String]) {
        for (key, value) in &entry.unknown {
            let place = format!("{}, field {:?}, `{key}`", self.file, self.named(to));
            self.report.lose(place, shown(key, value.text()), advice_for(key));
        }
    }

    /// Says that a field is not carried over, and leaves its place visible in the file.
    fn lose(&mut self, entry: &Entry, scope: &Scope, to: &[String], found: &str, advice: &str) {
        self.report.lose(format!("{}, field {:?}", self.file, self.named(to)), found, advice);
        let name = toml_text::path(to).unwrap_or_default();
        let mut block = format!("Not carried over: found {found}\n{advice}\n{}\n", described(entry));
        block.push_str(&format!("{}\nto = {}\n", header(scope), string(&name)));
        if let Some(kind) = entry.kind.as_deref().and_then(Kind::named) {
            block.push_str(&format!("type = \"{}\"\n", kind.name()));
        }
        self.fields.text.push_str(&format!("\n{}", comment(&block)));
    }
}

fn header(scope: &Scope) -> String {
    format!("[[field{}]]", ".field".repeat(scope.depth()))
}

/// What people said of a field. Marks of the platform (`_autoFill...`) are not for people.
pub(super) fn described(entry: &Entry) -> String {
    let said = [
        entry.label.as_deref(),
        entry.describe.as_deref().filter(|text| Some(*text) != entry.label.as_deref()),
    ];
    let said: Vec<&str> = said
        .into_iter()
        .flatten()
        .filter(|text| {
            !text.starts_with('_') && **text != entry.field && !super::report::holds_a_secret(text)
        })
        .collect();
    said.join(": ")
}
