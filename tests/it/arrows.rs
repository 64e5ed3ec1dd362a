//! The house keeps its arrows: downwards only, one crate a foreign library, no floats near money.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The dependencies that a room names, without those for its tests.
fn dependencies(room: &Path) -> Vec<String> {
    let manifest: toml::Table =
        toml::from_str(&std::fs::read_to_string(room.join("Cargo.toml")).unwrap()).unwrap();
    let named = manifest.get("dependencies").and_then(toml::Value::as_table);
    named.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

fn rooms() -> BTreeMap<String, PathBuf> {
    ["shared", "services"]
        .iter()
        .flat_map(|floor| std::fs::read_dir(root().join(floor)).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .collect()
}

/// Which floor a room is on; an arrow leads to a lower floor only.
fn floor(room: &str) -> u8 {
    match room {
        "events" | "secrets" => 0,
        "http" | "mapping" => 1,
        "journal" | "okki" | "postgres" | "qeasy" | "service" => 2,
        "operations" => 3,
        "alerter" | "fetcher" | "transformer" | "writer" | "sandbox" => 4,
        "orderflow" => 5,
        other => panic!("{other} is a new room: give it a floor here and a place in ARCHITECTURE.md"),
    }
}

#[test]
fn arrows_run_downwards() {
    let rooms = rooms();
    for (room, path) in &rooms {
        for other in dependencies(path).iter().filter(|name| rooms.contains_key(*name)) {
            assert!(floor(other) < floor(room), "{room} must not know {other}");
        }
    }
}

#[test]
fn one_room_knows_each_foreign_door() {
    for (library, owner) in [
        ("async-nats", "journal"),
        ("reqwest", "http"),
        ("backoff", "http"),
        ("rhai", "mapping"),
        ("tokio-postgres", "postgres"),
    ] {
        for (room, path) in rooms().iter().filter(|(room, _)| *room != owner) {
            assert!(!dependencies(path).iter().any(|name| name == library), "{room} must not know {library}");
        }
    }
    let with_backoff = sources(&root().join("shared/http"), |text| text.contains("use backoff"));
    assert_eq!(with_backoff.len(), 1, "{with_backoff:?}");
}

#[test]
fn the_vocabulary_and_the_mapping_do_no_io() {
    for room in ["events", "mapping"] {
        let path = root().join("shared").join(room);
        for library in ["tokio", "async-nats", "reqwest", "axum", "tracing"] {
            assert!(
                !dependencies(&path).iter().any(|name| name == library),
                "{room} must not know {library}"
            );
        }
        let doing_io =
            sources(&path.join("src"), |text| text.contains("std::fs") || text.contains("std::net"));
        assert!(doing_io.is_empty(), "{doing_io:?}");
    }
}

#[test]
fn no_float_touches_an_amount_or_an_id() {
    for room in ["shared/events/src", "shared/mapping/src", "services/transformer/src"] {
        let floats = sources(&root().join(room), |text| {
            text.lines().any(|line| {
                !line.trim_start().starts_with("//") && (line.contains("f64") || line.contains("f32"))
            })
        });
        assert!(floats.is_empty(), "{floats:?}");
    }
}

#[test]
fn files_hold_one_idea() {
    for floor in ["shared", "services", "tests"] {
        let long = sources(&root().join(floor), |text| text.lines().count() > 400);
        assert!(long.is_empty(), "more than 400 lines: {long:?}");
    }
    let wiring = sources(&root().join("services"), |text| text.lines().count() > 40);
    assert!(wiring.iter().all(|path| !path.ends_with("main.rs")), "{wiring:?}");
}

#[test]
fn only_tests_start_a_server_that_lets_anybody_in() {
    let open = |floor: &str| sources(&root().join(floor), |text| text.contains("start_open("));
    let server = root().join("shared/journal/src/server.rs");
    assert_eq!((open("services"), open("shared")), (Vec::new(), vec![server]));
}

fn sources(folder: &Path, wanted: impl Fn(&str) -> bool + Copy) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path, wanted));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && wanted(&std::fs::read_to_string(&path).unwrap())
        {
            found.push(path);
        }
    }
    found
}
