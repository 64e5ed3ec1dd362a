//! The tables have everything that is said, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

/// The texts in the sources, with the names of the values that are given with them.
fn said() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

fn folder(path: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            folder(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&entry).expect("a file");
            tokens(text.parse().expect("Rust"), found);
        }
    }
}

/// Everything like `t!("text", name = value)`, however deep.
fn tokens(stream: TokenStream, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let all: Vec<TokenTree> = stream.into_iter().collect();
    for three in all.windows(3) {
        if let [TokenTree::Ident(name), TokenTree::Punct(mark), TokenTree::Group(group)] = three
            && *name == "t"
            && mark.as_char() == '!'
        {
            call(group.stream(), found);
        }
    }
    for tree in all {
        if let TokenTree::Group(group) = tree {
            tokens(group.stream(), found);
        }
    }
}

fn call(stream: TokenStream, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let all: Vec<TokenTree> = stream.into_iter().collect();
    // The definition of the macro has no text.
    let Some(TokenTree::Literal(text)) = all.first() else { return };
    let text = syn::parse_str::<syn::LitStr>(&text.to_string()).expect("a text").value();
    let is = |tree: &TokenTree, mark| matches!(tree, TokenTree::Punct(found) if found.as_char() == mark);
    let given: BTreeSet<String> = all
        .windows(3)
        .filter(|three| is(&three[0], ',') && is(&three[2], '='))
        .map(|three| three[1].to_string())
        .collect();
    let known = found.entry(text.clone()).or_insert_with(|| given.clone());
    assert_eq!(*known, given, "{text}: not everybody who says it gives the same values");
}

/// The names in a text: those of `%{name}`.
fn names(text: &str) -> BTreeSet<String> {
    let parts = text.split("%{").skip(1);
    parts.map(|part| part.split_once('}').expect("a name ends").0.to_string()).collect()
}

fn table() -> BTreeMap<String, String> {
    let table = crate::_rust_i18n_backend().messages_for_locale("zh").expect("Chinese");
    table.into_iter().map(|(english, chinese)| (english.into_owned(), chinese.into_owned())).collect()
}

#[test]
fn whatever_is_said_has_a_translation_and_nothing_else_has() {
    let (said, help, table) = (said(), crate::help::all(), table());
    assert!(said.len() > 200 && help.len() > 100, "the sources are found: {}, {}", said.len(), help.len());
    let used: BTreeSet<&String> = said.keys().chain(&help).collect();
    let missing: Vec<_> = used.iter().filter(|text| !table.contains_key(**text)).collect();
    assert!(missing.is_empty(), "these have no entry in locales: {missing:#?}");
    let idle: Vec<_> = table.keys().filter(|text| !used.contains(text)).collect();
    assert!(idle.is_empty(), "nobody says these entries of locales: {idle:#?}");
}

#[test]
fn the_values_of_a_text_are_given_and_translated() {
    for (text, given) in said() {
        assert_eq!(names(&text), given, "{text}");
    }
    for (english, chinese) in table() {
        assert_eq!(names(&english), names(&chinese), "{english}: {chinese}");
    }
}

#[test]
fn an_entry_stands_in_one_table_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("locales");
    let mut entries = 0;
    for file in std::fs::read_dir(folder).expect("the tables") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a table");
        entries += text.lines().filter(|line| line.starts_with('"')).count();
    }
    assert_eq!(entries, table().len(), "a text is translated twice");
}
