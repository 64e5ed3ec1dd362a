//! An environment that others made: what is no text, what Kubernetes sets for services, and
//! proxies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orderflow_tests::{Program, World};
use sandbox::Faults;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::PROGRAM;

fn program(folder: &TempDir, args: &[&str]) -> Program {
    Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
}

fn sound() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = "[source]\nclient_id = \"me\"\nbase_url = \"http://127.0.0.1:9\"\n\
        [[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"http://127.0.0.1:9/execute\"\n";
    std::fs::write(folder.path().join("orderflow.toml"), config).unwrap();
    let mapping = "key = \"order_id\"\n[[field]]\nto = \"orderId\"\nfrom = \"order_id\"\n";
    std::fs::write(folder.path().join("mapping.toml"), mapping).unwrap();
    folder
}

#[tokio::test]
async fn variables_that_are_no_text_stop_no_command() {
    let folder = sound();
    for (name, value) in [
        (&b"LESS_TERMCAP"[..], &b"\xff\xfe"[..]),
        (b"SOME_\xff_NAME", b"x"),
        (b"ORDERFLOW_\xff", b"x"),
        (b"LANG", b"zh_CN.\xff"),
        (b"NO_COLOR", b"\xff"),
        (b"OTEL_RESOURCE_ATTRIBUTES", b"a=\xff"),
        (b"OTEL_SERVICE_NAME", b"\xff"),
        (b"HTTP_PROXY", b"\xff"),
        (b"ORDERFLOW_SERVICE_HOST", b"\xff"),
        (b"TZ", b"\xff"),
        (b"HOSTNAME", b"\xff"),
        (b"USER", b"\xff"),
    ] {
        for command in [&["check"][..], &["map", "reference"], &["man"], &["check", "--defaults"]] {
            let (status, said) = program(&folder, command).env_bytes(name, value).said().await;
            assert_eq!(status, 0, "{command:?} with {name:?}: {said}");
        }
    }
    let exporting = program(&folder, &["check"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .env_bytes(b"OTEL_EXPORTER_OTLP_HEADERS", b"a=\xff");
    let (status, said) = exporting.said().await;
    assert!(status == 0 && !said.contains("panicked"), "{status}: {said}");
    // What is ours has to be a text, and is named.
    for (name, expected) in [
        ("ORDERFLOW_NATS__URL", "ORDERFLOW_NATS__URL: the value is not UTF-8"),
        ("ORDERFLOW_LOG", "ORDERFLOW_LOG is not UTF-8"),
    ] {
        let (status, said) = program(&folder, &["check"]).env_bytes(name.as_bytes(), b"s3\xff").said().await;
        assert!(status != 0 && status != 101 && said.contains(expected), "{status}: {said}");
        assert!(!said.contains("s3"), "{said}");
    }
}

#[tokio::test]
async fn variables_of_kubernetes_are_not_ours_and_a_mistyped_key_is_an_error() {
    let folder = sound();
    let mut kubernetes = program(&folder, &["check"]);
    for service in ["ORDERFLOW", "ORDERFLOW_NATS", "ORDERFLOW_SANDBOX_V2"] {
        for (name, value) in [
            ("SERVICE_HOST", "10.96.0.1"),
            ("SERVICE_PORT", "4222"),
            ("SERVICE_PORT_CLIENT", "4222"),
            ("PORT", "tcp://10.96.0.1:4222"),
            ("PORT_4222_TCP", "tcp://10.96.0.1:4222"),
            ("PORT_4222_TCP_PROTO", "tcp"),
            ("PORT_4222_TCP_PORT", "4222"),
            ("PORT_4222_TCP_ADDR", "10.96.0.1"),
            ("PORT_53_UDP_ADDR", "10.96.0.1"),
        ] {
            kubernetes = kubernetes.env(&format!("{service}_{name}"), value);
        }
    }
    let (status, said) = kubernetes.said().await;
    assert_eq!(status, 0, "{said}");
    for (name, meant) in [
        ("ORDERFLOW_NATS_URL", "did you mean ORDERFLOW_NATS__URL?"),
        ("ORDERFLOW_PORT", "unknown key `port`"),
        ("ORDERFLOW_WRITTER__PARTITIONS", "did you mean ORDERFLOW_WRITER__PARTITIONS?"),
    ] {
        let (status, said) = program(&folder, &["check"]).env(name, "4222").said().await;
        assert!(status == 2 && said.contains(name) && said.contains(meant), "{status}: {said}");
    }
}

/// Something that counts who calls, and hangs up.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counting.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 1_024];
            let _ = socket.read(&mut request).await;
            let _ = socket.shutdown().await;
        }
    });
    (address, calls)
}

#[tokio::test]
async fn a_proxy_is_not_asked_for_what_is_on_this_machine_and_is_named_when_it_fails() {
    let world = World::new(20, Faults::default()).await;
    let (address, calls) = proxy().await;
    let url = format!("http://me:s3cret@{address}");
    let folder = world.folder_of_a_program("");
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let run = program(&folder, &["up", "--once", "--patience", "30"]).env(variable, &url);
        let (status, said) = run.said().await;
        assert_eq!(status, 0, "{said}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "the sandbox is on this machine");
    world.assert_all_arrived_once();

    // A name that only the proxy could find.
    let world = World::new(20, Faults::default()).await;
    let folder = world.folder_of_a_program("");
    let path = folder.path().join("orderflow.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace(&world.sandbox.url(), "http://okki.example.invalid")).unwrap();
    let run = program(&folder, &["up", "--once", "--patience", "3"]).env("HTTP_PROXY", &url);
    let (status, said) = run.said().await;
    assert_eq!(status, 1, "{said}");
    assert!(
        said.contains(&format!("through the proxy http://{address}, which the environment names")),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    let asked = calls.load(Ordering::SeqCst);
    assert!(asked > 0, "it was asked");
    let direct = program(&folder, &["up", "--once", "--patience", "3"])
        .env("HTTP_PROXY", &url)
        .env("NO_PROXY", "other.invalid, example.invalid");
    let (_, said) = direct.said().await;
    assert!(!said.contains("through the proxy"), "{said}");
    assert_eq!(calls.load(Ordering::SeqCst), asked, "it is excepted");
}
