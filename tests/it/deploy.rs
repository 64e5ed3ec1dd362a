//! The deployment files: every path, command and flag they name exists.

use std::path::{Path, PathBuf};

use orderflow_tests::Program;
use service::Config;

use crate::PROGRAM;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_file_that_compose_and_the_image_name_exists() {
    let compose = read("docker-compose.yml");
    let named: Vec<&str> = compose
        .split([' ', ':', '"', '\'', '\n', '[', ']', ','])
        .filter(|word| word.starts_with("./") || word.starts_with("deploy/"))
        .collect();
    assert!(named.len() >= 3, "{named:?}");
    for path in named {
        assert!(root().join(path).exists(), "docker-compose.yml names {path}");
    }
    let image = read("deploy/Dockerfile");
    for line in image.lines().filter(|line| line.starts_with("COPY") && !line.contains("--from")) {
        let mut words: Vec<&str> =
            line.split_whitespace().skip(1).filter(|word| !word.starts_with("--")).collect();
        words.pop();
        for path in words {
            assert!(root().join(path).exists(), "deploy/Dockerfile copies {path}");
        }
    }
}

#[tokio::test]
async fn every_command_that_compose_names_is_understood() {
    let compose = read("docker-compose.yml");
    let folder = tempfile::tempdir().unwrap();
    for command in ["fetch", "transform", "write", "sandbox"] {
        assert!(compose.contains(command), "docker-compose.yml starts no {command}");
        let (status, help) = Program::new(PROGRAM, folder.path(), &[command, "--help"]).said().await;
        assert_eq!(status, 0, "{help}");
        let lines = compose.lines().filter(|line| line.contains("command:") && line.contains(command));
        for flag in
            lines.flat_map(|line| line.split([' ', '"', ',', '['])).filter(|word| word.starts_with("--"))
        {
            assert!(help.contains(flag), "{command} has no {flag}");
        }
    }
}

#[test]
fn the_configurations_that_are_shipped_are_sound() {
    for name in ["deploy/orderflow.docker.toml", "deploy/examples/demo.toml"] {
        let path = root().join(name);
        let variables = [("ORDERFLOW_SOURCE__CLIENT_SECRET".to_string(), "x".to_string())].into_iter();
        // A secret file of the container is not here; the rest of the configuration must be sound.
        let text: String = read(name)
            .lines()
            .filter(|line| !line.contains("_file ="))
            .map(|line| format!("{line}\n"))
            .collect();
        let config = Config::parse(&path, &text, variables).unwrap_or_else(|error| panic!("{error}"));
        assert!(!config.targets.is_empty(), "{name}");
    }
    for name in ["deploy/examples/case.mapping.toml", "deploy/examples/okki.mapping.toml"] {
        let zone = service::Config::parse(Path::new("x"), "", std::iter::empty()).unwrap().zone();
        mapping::Plan::compile(name, &read(name), &zone).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_server_of_the_deployment_flushes_before_it_acknowledges() {
    let config = read("deploy/nats-server.conf");
    assert!(config.contains("sync_interval: always"), "acknowledged messages would be lost in a power cut");
}

#[test]
fn every_script_that_make_and_ci_call_exists() {
    for (file, script) in [
        ("Makefile", "deploy/get-nats-server.sh"),
        ("Makefile", ".ci/run"),
        (".ci/run", "make --no-print-directory test"),
    ] {
        assert!(read(file).contains(script), "{file} does not call {script}");
    }
    assert!(root().join("deploy/get-nats-server.sh").exists() && root().join(".ci/run").exists());
}
