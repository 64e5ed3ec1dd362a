//! The demo's configuration in a folder, and the program in it.

use std::path::Path;

use orderflow_tests::Program;

use crate::PROGRAM;

const DEMO: &str = include_str!("../../deploy/examples/demo.toml");
const CASE: &str = include_str!("../../deploy/examples/case.mapping.toml");

/// Writes it for a sandbox at `url`, with these lines of it replaced.
pub fn write(folder: &Path, url: &str, changes: &[(&str, &str)]) {
    let base = format!("client_id = \"demo\"\nbase_url = \"{url}\"");
    let target = format!("{url}/execute");
    let places = [("client_id = \"demo\"", base.as_str()), ("http://127.0.0.1/execute", &target)];
    let config = places.iter().chain(changes).fold(DEMO.to_string(), |config, (from, to)| {
        assert!(config.contains(from), "the demo's configuration has {from}");
        config.replace(from, to)
    });
    std::fs::write(folder.join("orderflow.toml"), config).unwrap();
    std::fs::write(folder.join("mapping.toml"), CASE).unwrap();
}

/// A command line in such a folder; without `nats` the program has a server of its own.
pub fn program(folder: &Path, args: &[&str], nats: Option<&str>) -> Program {
    let program = Program::new(PROGRAM, folder, args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");
    match nats {
        Some(url) => program.env("ORDERFLOW_NATS__URL", url),
        None => program,
    }
}
