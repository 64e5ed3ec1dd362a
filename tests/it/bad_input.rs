//! Rubbish in: a message that says what, where and what to do, and an exit status that says whose turn it is.

use orderflow_tests::{Nats, Program};
use tempfile::TempDir;

use crate::PROGRAM;

const TARGET: &str =
    "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"http://127.0.0.1:9/execute\"\n";
const MAPPING: &str = "key = \"order_id\"\n[[field]]\nto = \"orderId\"\nfrom = \"order_id\"\n";

fn folder(config: &str, mapping: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("orderflow.toml"), config).unwrap();
    std::fs::write(folder.path().join("mapping.toml"), mapping).unwrap();
    folder
}

async fn said(folder: &TempDir, args: &[&str]) -> (i32, String) {
    let program = Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "s3cret");
    let (status, said) = program.said().await;
    assert!(!said.contains("panicked") && !said.contains("s3cret"), "{said}");
    (status, said.replace(&folder.path().display().to_string(), "FOLDER"))
}

fn source() -> String {
    format!("[source]\nclient_id = \"me\"\nbase_url = \"http://127.0.0.1:9\"\n{TARGET}")
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_said_once_and_exactly() {
    let mut all = String::new();
    for (config, mapping) in [
        ("[sorce]\nid = \"x\"\n".to_string(), MAPPING),
        ("flow = [\n".to_string(), MAPPING),
        ("[source.limit]\nburst = \"many\"\n".to_string(), MAPPING),
        ("[schedule]\noverlap = \"ten minutes\"\n".to_string(), MAPPING),
        (TARGET.to_string(), MAPPING),
        (source(), "key = \"order_id\"\n[[field]]\nto = \"a\"\nform = \"b\"\n"),
        (source(), "key = \"order_id\"\n[[field]]\nto = \"a\"\nsum = \"items\"\nof = \"quantity *\"\n"),
        (source(), "[[field]]\nto = \"a\"\nfrom = \"b\"\n"),
        (source().replace("[source]", "[source.request]\nend_time = \"{{NOW|date}}\"\n[source]"), MAPPING),
    ] {
        let (status, text) = said(&folder(&config, mapping), &["check"]).await;
        assert_eq!(status, 2, "{text}");
        let error: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("error")).collect();
        all.push_str(&format!("{}\n\n", error.join("\n")));
    }
    let missing = tempfile::tempdir().unwrap();
    let (status, text) = said(&missing, &["check"]).await;
    assert_eq!(status, 2);
    all.push_str(&text);
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn a_sound_configuration_is_said_to_be_sound() {
    let (status, text) = said(&folder(&source(), MAPPING), &["check"]).await;
    assert_eq!(status, 0, "{text}");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_printed_defaults_are_a_configuration() {
    let (status, text) = said(&folder("", MAPPING), &["check", "--defaults"]).await;
    assert_eq!(status, 0);
    let (status, text) = said(&folder(&text, MAPPING), &["check"]).await;
    assert!(status == 2 && text.contains("`source.client_id` is missing"), "{text}");
}

#[tokio::test]
async fn nats_that_is_not_there_is_exit_status_7() {
    let config = source();
    for stage in ["fetch", "transform", "write", "status"] {
        let folder = folder(&config, MAPPING);
        let (status, text) = Program::new(PROGRAM, folder.path(), &[stage])
            .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "s3cret")
            .env("ORDERFLOW_NATS__URL", "nats://user:pass@127.0.0.1:9")
            .said()
            .await;
        assert_eq!(status, 7, "{text}");
        assert!(
            text.contains("no NATS server answers at nats://127.0.0.1:9: start it, or correct nats.url")
                || text
                    .contains("no NATS server answers at nats://127.0.0.1:9: start one, or correct nats.url"),
            "{text}"
        );
    }
    let (status, text) = said(&folder(&source(), MAPPING), &["fetch"]).await;
    assert!(status != 0 && text.contains("nats.url is missing"), "{text}");
}

#[tokio::test]
async fn a_source_that_answers_html_gives_up_with_a_reason_and_loses_nothing() {
    let nats = Nats::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8_192];
            let _ = socket.read(&mut request).await;
            let page = "<html>maintenance</html>";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let config = format!("[nats]\nurl = \"{}\"\n{}", nats.url(), source())
        .replace("127.0.0.1:9\"", &format!("{address}\""));
    let (status, text) = said(&folder(&config, MAPPING), &["up", "--once", "--patience", "60"]).await;
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("with HTTP 200, text/html, 24 bytes, which is no JSON object"), "{text}");
    assert!(
        text.contains("expected a JSON object with access_token") && !text.contains("maintenance"),
        "{text}"
    );
}

#[tokio::test]
async fn wrong_credentials_are_named_and_not_hammered() {
    let world = orderflow_tests::World::new(10, sandbox::Faults::default()).await;
    let config = format!("[nats]\nurl = \"{}\"\n{}", world.nats.url(), source())
        .replace("http://127.0.0.1:9\"", &format!("{}\"", world.sandbox.url()));
    let (status, text) = said(&folder(&config, MAPPING), &["up", "--once", "--patience", "3"]).await;
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("the source does not accept our credentials: invalid_client"), "{text}");
    assert!(text.contains("source.client_id"), "what to do: {text}");
    assert!(world.report().source.token_requests <= 4, "{}", world.report());
}

#[tokio::test]
async fn a_port_in_use_and_a_folder_in_use_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder("", MAPPING);
    let (status, text) = said(&folder, &["sandbox", "--count", "1", "--listen", &address]).await;
    assert!(status != 0 && text.contains(&address), "{text}");

    std::fs::create_dir_all(folder.path().join(".orderflow/demo-1-1")).unwrap();
    let lock = std::fs::File::create(folder.path().join(".orderflow/demo-1-1/lock")).unwrap();
    lock.lock().unwrap();
    let (status, text) = said(&folder, &["up", "--demo", "--once", "--count", "1"]).await;
    assert_eq!(status, 1);
    assert!(text.contains("another `orderflow up` uses .orderflow/demo-1-1"), "{text}");
}

#[tokio::test]
async fn a_data_folder_that_nats_server_cannot_be_told_is_refused() {
    let folder = folder(&source(), MAPPING);
    for name in ["a\u{1b}b", "a\nb"] {
        let (status, text) = said(&folder, &["up", "--once", "--data", name]).await;
        assert!(status == 2 && text.contains("--data: ") && text.contains("choose another folder"), "{text}");
        assert!(!folder.path().join(name).exists());
    }
}
