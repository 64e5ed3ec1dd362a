//! The server of `up` among other users of the machine: nobody else is let in, and nobody else is
//! taken for it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use journal::{ClientCertificate, Connection, Journal, TlsFiles};
use orderflow_tests::{Program, World, eventually};
use sandbox::{Faults, TargetFaults};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::PROGRAM;

/// A user of the machine that is not the one who runs the tests.
const NOBODY: u32 = 65_534;

/// A folder with a configuration for the world's sandbox, and a server of the program's own. Others
/// may enter it.
fn folder(world: &World) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let url = world.sandbox.url();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/demo.toml");
    let text = std::fs::read_to_string(demo)
        .unwrap()
        .replace("client_id = \"demo\"", &format!("client_id = \"demo\"\nbase_url = \"{url}\""))
        .replace("http://127.0.0.1/execute", &format!("{url}/execute"));
    std::fs::write(folder.path().join("orderflow.toml"), text).unwrap();
    std::fs::copy(&world.config.mapping.file, folder.path().join("mapping.toml")).unwrap();
    folder
}

fn program(folder: &Path, args: &[&str]) -> Program {
    Program::new(PROGRAM, folder, args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
}

fn nats(folder: &TempDir) -> PathBuf {
    folder.path().join(".orderflow/nats")
}

/// The process id of its server, and the address where it listens.
fn server(nats: &Path) -> (String, String) {
    let pid = std::fs::read_to_string(nats.join("pid")).unwrap();
    let port = std::fs::read_to_string(nats.join("port")).unwrap();
    (pid, format!("127.0.0.1:{port}"))
}

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
}

/// A certificate that anybody can make for himself.
fn strangers_identity(folder: &Path) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    let file = folder.join("stranger.pem");
    std::fs::write(&file, format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem())).unwrap();
    file
}

fn tls(ca_file: &Path, own: Option<&Path>) -> Option<TlsFiles> {
    let client = own.map(|own| ClientCertificate { cert_file: own.into(), key_file: own.into() });
    Some(TlsFiles { ca_file: Some(ca_file.into()), client })
}

async fn connected(address: &str, tls: Option<TlsFiles>) -> bool {
    let url = format!("nats://{address}").into();
    Journal::connect(&Connection { url, tls, ..Connection::default() }).await.is_ok()
}

#[tokio::test]
async fn who_cannot_read_the_folder_is_not_let_in() {
    let slow = TargetFaults { latency_ms: 20, ..TargetFaults::default() };
    let world = World::new(2_000, Faults { target: slow, ..Faults::default() }).await;
    let folder = folder(&world);
    let up = program(folder.path(), &["up"]).start();
    eventually("orders arrive", || world.report().target.distinct_orders > 0).await;
    let (_, address) = server(&nats(&folder));

    let (identity, stranger) = (nats(&folder).join("identity.pem"), strangers_identity(folder.path()));
    assert!(connected(&address, tls(&identity, Some(&identity))).await, "we are let in");
    assert!(!connected(&address, None).await, "without a certificate");
    assert!(!connected(&address, tls(&identity, None)).await, "who knows only that of the server");
    assert!(!connected(&address, tls(&identity, Some(&stranger))).await, "with a certificate of his own");
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"CONNECT {\"verbose\":false}\r\nSUB > 1\r\nPING\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await; // it may hang up the hard way
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!said.contains("PONG") && !said.contains("MSG "), "without TLS: {said}");

    for (path, mode) in
        [("", 0o700), ("identity.pem", 0o600), ("nats-server.conf", 0o600), ("../lock", 0o600)]
    {
        let found = nats(&folder).join(path).metadata().unwrap().mode() & 0o777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
    let (status, said) = program(folder.path(), &["status"]).said().await;
    assert_eq!(status, 0, "{said}");
    as_another_user(folder.path());
    Program::kill(up).await;
    kill(&server(&nats(&folder)).0);
}

/// What another user of the machine gets to see.
fn as_another_user(folder: &Path) {
    if folder.metadata().unwrap().uid() != 0 {
        eprintln!("SKIPPED: only root can try what another user is allowed");
        return;
    }
    let another = |command: &[&str]| {
        let id = NOBODY.to_string();
        let user = ["--reuid", &id, "--regid", &id, "--clear-groups", "--"];
        Command::new("setpriv").args(user).args(command).output().unwrap()
    };
    let identity = folder.join(".orderflow/nats/identity.pem");
    assert!(another(&["true"]).status.success(), "setpriv works");
    assert!(!another(&["cat", identity.to_str().unwrap()]).status.success());
    let mut status = Command::new("setpriv");
    let id = NOBODY.to_string();
    status.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--", PROGRAM, "status"]);
    status.current_dir(folder).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "x").env("ORDERFLOW_LANG", "en");
    match status.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
            assert!(!said.contains("panicked"), "{said}");
        }
        Err(error) => eprintln!("SKIPPED: another user cannot run the program here: {error}"),
    }
}

/// A server that somebody else has started on an address, with a name; `tls`: with a certificate of
/// his own.
fn stranger(folder: &Path, binary: &Path, address: &str, name: &str, tls: bool) -> std::process::Child {
    let identity = strangers_identity(folder).display().to_string();
    let tls = if tls {
        format!("tls {{ cert_file: \"{identity}\", key_file: \"{identity}\" }}\n")
    } else {
        String::new()
    };
    let config = folder.join("stranger.conf");
    let streams = folder.join("stranger").display().to_string();
    let text = format!(
        "server_name: \"{name}\"\nlisten: \"{address}\"\n{tls}jetstream {{ store_dir: \"{streams}\" }}\n"
    );
    std::fs::write(&config, text).unwrap();
    Command::new(binary).arg("-c").arg(&config).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn who_listens_on_our_port_is_not_taken_for_our_server() {
    let binary = journal::find_server().await.unwrap();
    for with_tls in [false, true] {
        let world = World::new(300, Faults::default()).await;
        let (folder, elsewhere) = (folder(&world), tempfile::tempdir().unwrap());
        let up = program(folder.path(), &["up"]).start();
        eventually("orders arrive", || world.report().target.distinct_orders > 0).await;
        let (pid, address) = server(&nats(&folder));
        let config = std::fs::read_to_string(nats(&folder).join("nats-server.conf")).unwrap();
        let name = config.split('"').nth(1).unwrap().to_string();
        // Everything ends at once, as when the power fails: what was written down stays.
        Program::kill(up).await;
        kill(&pid);
        eventually("the port is free", || std::net::TcpListener::bind(&address).is_ok()).await;
        let mut stranger = stranger(elsewhere.path(), &binary, &address, &name, with_tls);
        eventually("the stranger listens", || std::net::TcpStream::connect(&address).is_ok()).await;

        let (status, said) = program(folder.path(), &["status"]).said().await;
        assert_eq!(status, 4, "it starts a server of ours to ask, and nobody runs: {said}");
        assert!(said.contains("2") && !said.contains("streams are missing"), "{said}");
        let (status, said) = program(folder.path(), &["up", "--once"]).said().await;
        assert_eq!(status, 0, "{said}");
        world.assert_all_arrived_once();
        assert_ne!(server(&nats(&folder)).1, address, "ours listens elsewhere");
        let streams = elsewhere.path().join("stranger/jetstream/$G/streams");
        let got = std::fs::read_dir(streams).map(Iterator::count).unwrap_or_default();
        assert_eq!(got, 0, "the stranger was given nothing");
        stranger.kill().and_then(|()| stranger.wait()).unwrap();
    }
}

#[tokio::test]
async fn links_and_folders_of_others_are_not_used() {
    let world = World::new(10, Faults::default()).await;
    let folder = folder(&world);
    let up = async || program(folder.path(), &["up", "--once"]).said().await;
    let (data, victim) = (folder.path().join(".orderflow"), folder.path().join("victim"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(&victim, "precious").unwrap();

    symlink(&victim, data.join("lock")).unwrap();
    let (status, said) = up().await;
    assert!(status == 2 && said.contains("lock is a symbolic link"), "{status}: {said}");
    std::fs::remove_file(data.join("lock")).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), data.join("nats")).unwrap();
    if lchown(data.join("nats"), Some(NOBODY), None).is_ok() {
        let (status, said) = up().await;
        assert!(status == 2 && said.contains("nats is a symbolic link"), "{status}: {said}");
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        lchown(data.join("nats"), Some(0), None).unwrap();
    }
    let (status, said) = up().await;
    assert_eq!(status, 0, "one of our own leads to another disk: {said}");
    assert!(elsewhere.path().join("data/jetstream").is_dir());
    std::fs::remove_file(data.join("nats")).unwrap();

    std::fs::create_dir(data.join("nats")).unwrap();
    if chown(data.join("nats"), Some(NOBODY), None).is_ok() {
        for command in [&["up", "--once"][..], &["status"]] {
            let (status, said) = program(folder.path(), command).said().await;
            assert!(status == 2 && said.contains("belongs to user 65534"), "{command:?}: {status}: {said}");
        }
        chown(data.join("nats"), Some(0), None).unwrap();
    } else {
        eprintln!("SKIPPED: only root can give a folder away");
    }

    symlink(&victim, data.join("nats/nats-server.conf")).unwrap();
    symlink(&victim, data.join("nats/port")).unwrap();
    let (status, said) = up().await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "links are replaced, not followed");
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_folder_may_have_any_name() {
    let world = World::new(10, Faults::default()).await;
    let folder = folder(&world);
    for name in ["it's \"mine\"", "back\\slash", "订单 数据", "$HOME #1", "{a: b}"] {
        let (status, said) = program(folder.path(), &["up", "--once", "--data", name]).said().await;
        assert_eq!(status, 0, "{name}: {said}");
        assert!(folder.path().join(name).join("nats/data/jetstream").is_dir(), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_was_left_running_open_is_started_anew() {
    let world = World::new(40, Faults::default()).await;
    let folder = folder(&world);
    let (status, said) = program(folder.path(), &["up", "--once"]).said().await;
    assert_eq!(status, 0, "{said}");
    let binary = journal::find_server().await.unwrap();
    let open = journal::LocalServer::start_open(&binary, &nats(&folder)).await.unwrap();
    let pid = open.pid();
    drop(open);
    let (status, said) = program(folder.path(), &["up", "--once"]).said().await;
    assert_eq!(status, 0, "{said}");
    assert!(!orderflow_tests::signal(pid, "0").await, "the open one has ended");
    world.assert_all_arrived_once();
}
