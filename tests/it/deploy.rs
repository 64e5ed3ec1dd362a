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
        .split([' ', ':', '"', '\'', '\n', '[', ']', ',', '}'])
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
fn the_mapping_lies_in_a_folder_that_is_mounted_whole() {
    let config: toml::Table = toml::from_str(&read("deploy/orderflow.docker.toml")).unwrap();
    let file = PathBuf::from(config["mapping"]["file"].as_str().unwrap());
    let compose = read("docker-compose.yml");
    let mounts = compose.lines().filter_map(|line| line.trim().strip_prefix("- ./")?.split_once(':'));
    let within = |(from, to): (&str, &str)| {
        Some(root().join(from).join(file.strip_prefix(to.split(':').next()?).ok()?))
    };
    let found: Vec<PathBuf> = mounts.filter_map(within).collect();
    // Mounted by itself it would be the mount that is the file, and a file that takes its place would not be seen.
    assert!(found.len() == 1 && found[0].is_file(), "{file:?} lies at {found:?}");
    assert!(!compose.contains(&format!(":{}:", file.display())));
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
        ("Makefile", "deploy/get-postgres.sh"),
        ("Makefile", "deploy/get-pgbouncer.sh"),
        ("Makefile", ".ci/run"),
        (".ci/run", "make --no-print-directory test"),
    ] {
        assert!(read(file).contains(script), "{file} does not call {script}");
        let path = script.split(' ').next().unwrap();
        assert!(path == "make" || root().join(path).exists(), "there is no {path}");
    }
    assert!(root().join(".ci/run").exists());
}

/// The Rust sources that the image is built from.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "fuzz", ".git"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// The files that a source compiles in, by `include_str!` and `include_bytes!`.
fn compiled_in(source: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(source).unwrap();
    let named =
        ["include_str!(\"", "include_bytes!(\""].into_iter().flat_map(|call| text.split(call).skip(1));
    let named = named.map(|rest| rest.split('"').next().unwrap());
    named.map(|name| source.parent().unwrap().join(name)).collect()
}

#[test]
fn what_is_compiled_in_and_copied_lies_in_the_context_of_the_image() {
    let ignored = read(".dockerignore");
    let let_in: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "everything else stays out");
    let root = root().canonicalize().unwrap();
    let is_in_context = |path: &Path| {
        let path = path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let_in.iter().any(|name| path.starts_with(root.join(name)))
    };
    let mut all = Vec::new();
    ["services", "shared", "tests"].iter().for_each(|folder| sources(&root.join(folder), &mut all));
    let files: Vec<_> = all.iter().flat_map(|source| compiled_in(source)).collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        assert!(is_in_context(&file), "the image cannot be built without {}", file.display());
    }
    for member in ["Cargo.toml", "Cargo.lock", "services", "shared", "tests"] {
        assert!(is_in_context(&root.join(member)), "{member}");
    }
}

#[tokio::test]
async fn the_accounts_and_the_server_of_the_deployment_are_understood() {
    let binary = journal::find_server().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["nats-server.conf", "nats-accounts.conf"] {
        // Where the container keeps its streams, nobody may write here.
        let text =
            read(&format!("deploy/{name}")).replace("/data/jetstream", folder.path().to_str().unwrap());
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut server = std::process::Command::new(binary);
    server.arg("-t").arg("-c").arg(folder.path().join("nats-server.conf"));
    let refused = server.output().unwrap();
    assert!(!refused.status.success(), "without passwords nobody may be let in");
    let compose = read("docker-compose.yml");
    for user in ["FETCHER", "TRANSFORMER", "WRITER", "OPERATOR"] {
        let variable = format!("NATS_{user}_PASSWORD");
        assert!(
            compose.contains(&format!("{variable}: ${{{variable}:?")),
            "compose does not ask for {variable}"
        );
        server.env(variable, "x".repeat(48));
    }
    let output = server.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn containers_can_change_nothing_but_their_data() {
    let compose = read("docker-compose.yml");
    for expected in ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"] {
        assert!(compose.contains(expected), "{expected}");
    }
    let images = compose.lines().filter(|line| line.trim_start().starts_with("image:")).count();
    assert_eq!(
        images,
        1 + compose.matches("    <<: *hardened\n").count(),
        "the stages have it from their template"
    );
}

#[test]
fn a_download_with_another_checksum_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let ran = folder.path().join("ran");
    program("nats-server", "exit 1");
    program("apt-get", "exit 1");
    // A release that somebody has replaced, with checksums that fit it.
    let download = format!(
        "for last; do :; done; case $last in *SHA256SUMS) exit 1 ;; esac\n\
         d=$(mktemp -d); n=$(basename \"$last\" .tar.gz); mkdir \"$d/$n\"\n\
         printf '#!/bin/sh\\ntouch {}; echo nats-server: v9.9.9' >\"$d/$n/nats-server\"\n\
         while [ \"$1\" != -o ]; do shift; done; tar -czf \"$2\" -C \"$d\" \"$n\"",
        ran.display()
    );
    program("curl", &download);
    let output = std::process::Command::new("sh")
        .arg(root().join("deploy/get-nats-server.sh"))
        .env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()))
        .env("ORDERFLOW_CACHE", folder.path().join("cache"))
        .env_remove("NATS_SERVER")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
    assert!(said.contains("is not the file whose checksum this script knows"), "{said}");
    assert!(!ran.exists(), "it was run");
}
