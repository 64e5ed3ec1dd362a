//! Text of others that a terminal would act on: in keys, numbers, names, answers and errors, in
//! every command and log.

use orderflow_tests::{Program, World};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::PROGRAM;

/// A title is set, the bell rings, C1 and bidi, what cannot be seen, and a line that looks like one
/// of ours.
const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{9b}31m\u{7f}\u{202e}a\u{200b}\rb\nerror: all is lost\u{85}\u{feff}";

/// The same as it stands in JSON: what JSON lets stand raw stands raw.
fn in_json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn orders() -> String {
    let order = |number: usize| {
        let id = in_json(&format!("k{number}{HOSTILE}"));
        let order_no = in_json(&format!("SO-{number}{HOSTILE}"));
        let name = in_json(&format!("n{number}{HOSTILE}"));
        // The field of the last ones is renamed, and its name is hostile too.
        let field = in_json(&if number > 40 { format!("new{HOSTILE}") } else { "old".into() });
        format!(
            "{{\"order_id\":{id},\"order_no\":{order_no},\"customer_name\":{name},{field}:1,\"amount\":{},\
             \"create_time\":\"2025-03-01 10:00:00\",\"update_time\":\"2025-03-01 10:{:02}:00\",\
             \"order_date\":\"2025-03-01\"}}\n",
            // What is no number is a dead letter of the mapping, whose message quotes it.
            if number == 7 { in_json(HOSTILE) } else { "\"1.5\"".into() },
            number % 60
        )
    };
    (1..=50).map(order).collect()
}

const MAPPING: &str = "key = \"order_id\"\nnumber = \"order_no\"\nversion = \"update_time\"\n\
    [[field]]\nto = \"orderId\"\nfrom = \"order_id\"\ntype = \"string\"\n\
    [[field]]\nto = \"customerName\"\nfrom = \"customer_name\"\ntype = \"string\"\n\
    [[field]]\nto = \"amount\"\nfrom = \"amount\"\ntype = \"decimal\"\n";

/// A target that refuses every order in hostile words.
async fn refusing_target() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 16_384];
                let _ = socket.read(&mut request).await;
                let said = in_json(&format!("no customer {HOSTILE}"));
                let body = format!("{{\"success\":false,\"code\":40001,\"message\":{said}}}");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            });
        }
    });
    format!("http://{address}")
}

fn assert_harmless(what: &str, text: &str) {
    let is_harmful =
        |c: char| (c.is_control() && c != '\n' && c != '\t') || "\u{202e}\u{200b}\u{feff}".contains(c);
    assert!(!text.contains(is_harmful), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("error: all is lost")), "{what}: {text}");
}

async fn told(folder: &TempDir, args: &[&str]) -> (i32, String, String) {
    let program =
        Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");
    let output = program.output().await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn nothing_that_others_wrote_acts_on_a_terminal() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("orders.ndjson");
    std::fs::write(&file, orders()).unwrap();
    let world = World::of_file(&file).await;
    world.map_with(MAPPING);
    let folder = world.folder_of_a_program("");
    let path = folder.path().join("orderflow.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let target = refusing_target().await;
    let config = config
        .replace(&format!("{}/execute", world.sandbox.url()), &format!("{target}/execute"))
        .replace("concurrency = 32", "concurrency = 4\nstop = { after = 0, of = 200 }");
    std::fs::write(&path, format!("{config}\n[writer]\nmax_attempts = 1\n")).unwrap();
    std::fs::copy(&file, folder.path().join("orders.ndjson")).unwrap();

    for format in ["text", "json"] {
        let (_, stdout, stderr) = told(&folder, &["up", "--once", "--log", format]).await;
        assert_harmless("up", &stdout);
        assert_harmless("up", &stderr);
        if format == "text" {
            assert!(stderr.contains("a dead letter is stored") && stderr.contains("\\u{1b}"), "{stderr}");
        }
    }
    let key = format!("k3{HOSTILE}");
    let list = told(&folder, &["dead", "list", "-o", "json", "--limit", "0"]).await.1;
    let letters: Vec<Value> = serde_json::from_str(&list).unwrap();
    let of_key = letters.iter().find(|letter| letter["key"] == key.as_str()).unwrap();
    let letter = of_key["letter"].to_string();
    let mapped_badly = letters.iter().find(|letter| letter["stage"] == "transform").unwrap();
    let other = mapped_badly["letter"].to_string();
    let set = format!("customerName=li{HOSTILE}");
    let commands: &[&[&str]] = &[
        &["dead", "list"],
        &["dead", "groups"],
        &["dead", "show", &letter],
        &["dead", "show", &other],
        &["dead", "export"],
        &["dead", "retry", "--all"],
        &["dead", "retry", "--key", &key],
        &["dead", "edit", &letter, "--set", &set],
        &["dead", "discard", &other, "--execute", "--reason", HOSTILE],
        &["trace", &key],
        &["trace", &format!("SO-3{HOSTILE}")],
        &["trace", &format!("nobody{HOSTILE}")],
        &["status"],
        &["windows"],
        &["windows", HOSTILE],
        &["ops", "list"],
        &["ops", "show", HOSTILE],
        &["reconcile", "--from", "2025-01-01"],
        &["replay", "--from", "raw"],
        &["map", "preview", &key],
        &["map", "preview", "orders.ndjson"],
        &["map", "preview", "orders.ndjson", "--all"],
        &["map", "drift", "--since", "2025-03-01 10:40:00"],
        &["alerts", "show"],
        &["--log", "text", "status", "--data", HOSTILE],
    ];
    for command in commands {
        let (status, stdout, stderr) = told(&folder, command).await;
        assert_harmless(&command.join(" "), &stdout);
        assert_harmless(&command.join(" "), &stderr);
        assert!(!format!("{stdout}{stderr}").contains("panicked"), "{command:?} {status}: {stderr}");
    }
    let shown = told(&folder, &["dead", "show", &letter]).await.1;
    assert!(
        shown.contains("k3\\u{1b}]0;x\\u{7}\\u{9b}31m\\u{7f}\\u{202e}a\\u{200b}\\rb\\nerror: all"),
        "{shown}"
    );
    assert!(shown.contains("no customer \\u{1b}"), "{shown}");

    // What programs read holds the very values.
    let trace = told(&folder, &["trace", &key, "-o", "json"]).await.1;
    assert_eq!(serde_json::from_str::<Value>(&trace).unwrap()["key"], key.as_str(), "{trace}");
    assert_harmless("trace -o json", &trace);
    let shown = told(&folder, &["dead", "show", &letter, "-o", "json"]).await.1;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let payload: Value = serde_json::from_str(shown["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["customerName"], format!("n3{HOSTILE}").as_str());
}

#[tokio::test]
async fn a_mapping_case_and_metadata_of_others_are_shown_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let basic = |text: &str| text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect::<String>();
    let case = format!(
        "{MAPPING}[[case]]\nname = \"case {}\"\ninput = '''{{\"order_id\":\"1\",\"customer_name\":{}}}'''\n\
         expect = '''{{\"orderId\":\"2\"}}'''\n",
        basic(HOSTILE),
        in_json(HOSTILE)
    );
    std::fs::write(folder.path().join("mapping.toml"), case).unwrap();
    let metadata = serde_json::json!({
        "api": format!("/v1{HOSTILE}"), HOSTILE: HOSTILE,
        "request": [{ "field": HOSTILE, "label": HOSTILE, "type": "string", "value": HOSTILE }]
    });
    std::fs::write(folder.path().join("source.json"), metadata.to_string()).unwrap();
    for command in [
        &["map", "test", "--mapping", "mapping.toml"][..],
        &["map", "import", "--source", "source.json", "--out", "imported"],
        &["check", "--mapping", "mapping.toml"],
    ] {
        let (_, stdout, stderr) = told(&folder, command).await;
        assert_harmless(&command.join(" "), &stdout);
        assert_harmless(&command.join(" "), &stderr);
    }
}
