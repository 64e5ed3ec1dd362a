//! Secrets and headers with something around or within them: taken off where it means nothing,
//! refused where it cannot be sent, and never an order's fault.

use orderflow_tests::{Program, World};
use sandbox::Faults;
use tempfile::TempDir;

use crate::PROGRAM;

async fn said(program: Program) -> (i32, String) {
    let (status, said) = program.said().await;
    assert!(!said.contains("panicked") && !said.contains("t0k3n"), "{said}");
    (status, said)
}

/// A pipeline whose target wants a header, and whose secrets are in files.
async fn piped(header: &str) -> (World, TempDir) {
    let world = World::new(12, Faults::default()).await;
    let folder = world.folder_of_a_program("");
    let path = folder.path().join("orderflow.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config
        .replace("client_id = \"demo\"", "client_id = \"demo\"\nclient_secret_file = \"okki.secret\"")
        .replace("concurrency = 32", &format!("concurrency = 4\nheaders = {{ {header} }}"));
    std::fs::write(path, config).unwrap();
    std::fs::write(folder.path().join("okki.secret"), "\u{feff}demo-secret\r\n").unwrap();
    (world, folder)
}

#[tokio::test]
async fn what_stands_around_a_secret_is_taken_off() {
    let (world, folder) = piped("Authorization = \"env:QEASY_TOKEN\", X-Key = \"file:key\"").await;
    std::fs::write(folder.path().join("key"), b"\xef\xbb\xbft0k3n-of-a-file\r\n\n").unwrap();
    let up = Program::new(PROGRAM, folder.path(), &["up", "--once"]);
    let (status, text) = said(up.env("QEASY_TOKEN", "\u{feff}Bearer t0k3n\n")).await;
    assert_eq!(status, 0, "{text}");
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_check_and_at_the_start_and_named() {
    for (header, value, expected) in [
        ("A = \"env:QEASY_TOKEN\"", "Bearer t0k\n3n", "character 11 is U+000A (a line feed) in QEASY_TOKEN"),
        ("A = \"env:QEASY_TOKEN\"", "Bearer\u{a0}t0k", "character 7 is U+00A0 (a no-break space)"),
        ("A = \"env:QEASY_TOKEN\"", "t0k\u{200b}3n", "character 4 is U+200B (a zero-width space)"),
        ("A = \"env:QEASY_TOKEN\"", " \n", "QEASY_TOKEN is empty"),
        ("A = \"env:NOT_THERE_AT_ALL\"", "", "the environment has no NOT_THERE_AT_ALL"),
        ("A = \"file:key\"", "two\nlines", "character 4 is U+000A (a line feed)"),
        ("A = \"plain\\nvalue\"", "", "character 6 is U+000A (a line feed)"),
        ("\"A B\" = \"x\"", "", "character 2 is U+0020"),
        ("\"A:\" = \"x\"", "", "expected the name of a header"),
        ("A = \"x\" }\nidempotency_header = \"Key:\" # {", "", "`idempotency_header`: character 4 is U+003A"),
        ("A = \"x\" }\nidempotency_header = \"\" # {", "", "expected the name of a header"),
    ] {
        let (world, folder) = piped(header).await;
        std::fs::write(folder.path().join("key"), value).unwrap();
        for command in [&["check"][..], &["up", "--once", "--patience", "5"]] {
            let program = Program::new(PROGRAM, folder.path(), command).env("QEASY_TOKEN", value);
            let (status, text) = said(program).await;
            assert!(status == 2 && text.contains(expected), "{command:?} {header}: {status}: {text}");
        }
        assert_eq!(world.report().target.requests, 0);
    }
}

#[tokio::test]
async fn a_file_of_another_encoding_is_named() {
    let utf16 = |text: &str| {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        b"\xff\xfe".iter().copied().chain(units).collect::<Vec<u8>>()
    };
    let (_world, folder) = piped("A = \"x\"").await;
    for (bytes, expected) in [
        (utf16("demo-t0k3n"), "client_secret_file"),
        (utf16("demo-t0k3n")[2..].to_vec(), "NUL: is it UTF-16 text?"),
        (b"demo-t0k3n\xe9".to_vec(), "no UTF-8 text from byte 11 on"),
        (Vec::new(), "the file holds nothing"),
    ] {
        std::fs::write(folder.path().join("okki.secret"), &bytes).unwrap();
        let up = Program::new(PROGRAM, folder.path(), &["up", "--once", "--patience", "5"]);
        let (status, text) = said(up).await;
        assert!(status == 2 && text.contains(expected) && text.contains("okki.secret"), "{status}: {text}");
    }
    let path = folder.path().join("orderflow.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, utf16(&config)).unwrap();
    let (status, text) = said(Program::new(PROGRAM, folder.path(), &["check"])).await;
    assert!(status == 2 && text.contains("UTF-16 text; save it as UTF-8"), "{text}");
    std::fs::write(&path, format!("\u{feff}{config}")).unwrap();
    std::fs::write(folder.path().join("okki.secret"), "demo-secret").unwrap();
    let (status, text) = said(Program::new(PROGRAM, folder.path(), &["check"])).await;
    assert_eq!(status, 0, "{text}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_by_check_and_at_the_start() {
    let (world, folder) = piped("A = \"x\"").await;
    let path = folder.path().join("orderflow.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let url = world.sandbox.url();
    let webhook = "[[alerts.webhook]]\nname = \"duty\"\nkind = \"wecom\"\n";
    for (from, to, variable, expected) in [
        (
            "url = \"URL/execute\"",
            "url = \"http://[::1/execute\"",
            ("A", "b"),
            "target qeasy, url and headers: ",
        ),
        (
            "url = \"URL/execute\"",
            "url = \"http://h:99999/execute\"",
            ("A", "b"),
            "target qeasy, url and headers: ",
        ),
        ("base_url = \"URL\"", "base_url = \"http://ho st\"", ("A", "b"), "source.base_url and the paths"),
        ("base_url = \"URL\"", "base_url = \"URL?x=1\"", ("A", "b"), "source.base_url`: found ? or #"),
        (
            "base_url = \"URL\"",
            "base_url = \"URL\"\napi = \"v1/list\"",
            ("A", "b"),
            "source.api`: expected a path",
        ),
        ("[writer]", "[writer]", ("ORDERFLOW_SOURCE__BASE_URL", "ftp://me:t0k3n@h"), "found scheme \"ftp\""),
        (
            "[writer]",
            "[writer]",
            ("ORDERFLOW_TARGET__QEASY__URL", "http://me:t0k3n@h:x/"),
            "target qeasy, url and",
        ),
        ("[writer]", "[writer]", ("ORDERFLOW_NATS__URL", "nats://me:t0k3n@h:port"), "nats.url: found"),
        ("[writer]", "[writer]", ("HTTP_PROXY", "http://me:t0k3n@[::1"), "HTTP_PROXY names no proxy"),
        (
            "[writer]",
            "[writer]",
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:t0k3n@[::1"),
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
    ] {
        let (from, to) = (from.replace("URL", &url), to.replace("URL", &url));
        let config = format!("{config}\n[writer]\n");
        let wrong = config.replace(&from, &to);
        assert!(wrong != config || from == to, "{from}");
        std::fs::write(&path, wrong).unwrap();
        for command in [&["check"][..], &["up", "--once", "--patience", "4"]] {
            let program = Program::new(PROGRAM, folder.path(), command).env(variable.0, variable.1);
            let (status, text) = said(program).await;
            let is_refused = status == 2 || (status == 1 && variable.0.starts_with("OTEL"));
            assert!(is_refused && text.contains(expected), "{command:?} {to} {variable:?}: {status}: {text}");
        }
    }
    let (dead, _, _) = world.journal.size(&world.names(), journal::Stream::Dead).await.unwrap_or_default();
    assert_eq!((dead, world.report().target.requests), (0, 0));
    std::fs::write(&path, format!("{config}\n{webhook}")).unwrap();
    let check = Program::new(PROGRAM, folder.path(), &["check"]);
    let check = check.env("ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL", "https://[::1/robot?key=t0k3n");
    let (status, text) = said(check).await;
    assert!(status == 2 && text.contains("alerts.webhook duty: `url` is no address"), "{status}: {text}");
    std::fs::write(&path, config).unwrap();
    let up = Program::new(PROGRAM, folder.path(), &["up", "--once"]);
    assert_eq!(said(up).await.0, 0);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_secret_in_an_address_is_refused_in_the_file_and_not_shown_otherwise() {
    let (world, folder) = piped("A = \"x\"").await;
    let path = folder.path().join("orderflow.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let host = world.sandbox.url().trim_start_matches("http://").to_string();
    for (from, to, expected) in [
        (
            format!("base_url = \"http://{host}"),
            format!("base_url = \"http://me:t0k3n@{host}"),
            "ORDERFLOW_SOURCE__BASE_URL",
        ),
        (
            format!("url = \"http://{host}/execute"),
            format!("url = \"http://me:t0k3n@{host}/execute"),
            "ORDERFLOW_TARGET__QEASY__URL",
        ),
        (
            format!("{host}/execute"),
            format!("{host}/execute?access_token=t0k3n"),
            "ORDERFLOW_TARGET__QEASY__URL",
        ),
        ("A = \"x\"".into(), "Authorization = \"Bearer t0k3n\"".into(), "env:NAME"),
        ("url = \"nats://".into(), "url = \"nats://me:t0k3n@".into(), "ORDERFLOW_NATS__URL"),
    ] {
        let wrong = config.replace(&from, &to);
        assert_ne!(wrong, config, "{from}");
        std::fs::write(&path, wrong).unwrap();
        let (status, text) = said(Program::new(PROGRAM, folder.path(), &["check"])).await;
        assert!(status == 2 && text.contains("in this file") && text.contains(expected), "{to}: {text}");
    }
    std::fs::write(&path, &config).unwrap();
    let url = format!("http://me:t0k3n-of-url@{host}/execute?access_token=t0k3n-of-query&env=test");
    for command in [&["check"][..], &["up", "--once"], &["status"]] {
        let program = Program::new(PROGRAM, folder.path(), command);
        let (status, text) = said(program.env("ORDERFLOW_TARGET__QEASY__URL", &url)).await;
        assert_eq!(status, 0, "{text}");
        let shown = format!("http://{host}/execute?access_token=***&env=test");
        assert!(command[0] != "check" || text.contains(&shown), "{text}");
    }
    world.assert_all_arrived_once();
    // Nobody is there: the address is in errors and in the log.
    let url = "http://me:t0k3n-of-url@127.0.0.1:9/execute?access_token=t0k3n-of-query";
    let (_, second) = (world, World::new(3, Faults::default()).await);
    let folder = second.folder_of_a_program("");
    let up = Program::new(PROGRAM, folder.path(), &["up", "--once", "--patience", "3"]);
    let up =
        up.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").env("ORDERFLOW_TARGET__QEASY__URL", url);
    let (status, text) = said(up).await;
    assert!(
        status == 1 && text.contains("no connection to http://127.0.0.1:9/execute?access_token=***"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_not_wise_is_told_by_check_and_logged_at_the_start() {
    use std::os::unix::fs::PermissionsExt;
    let (_world, folder) = piped("A = \"x\"").await;
    let secret = folder.path().join("okki.secret");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let target = ("ORDERFLOW_TARGET__QEASY__URL", "http://erp.example.invalid/execute");
    for command in [&["check"][..], &["up", "--once", "--patience", "1"]] {
        let program = Program::new(PROGRAM, folder.path(), command).env(target.0, target.1);
        let (_, text) = said(program).await;
        assert!(
            text.contains("target qeasy, url: orders and credentials go to erp.example.invalid"),
            "{text}"
        );
        assert!(text.contains("source.client_secret_file: every user of this machine may read"), "{text}");
    }
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (status, text) = said(Program::new(PROGRAM, folder.path(), &["check"])).await;
    assert!(status == 0 && !text.contains("warning"), "loopback is exempt: {text}");
    let chinese = Program::new(PROGRAM, folder.path(), &["check", "--lang", "zh"]).env(target.0, target.1);
    let (_, text) = said(chinese).await;
    assert!(text.contains("警告：target qeasy, url：订单和凭据以明文发往 erp.example.invalid"), "{text}");
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_is_refused_and_not_waited_for() {
    let (_world, folder) = piped("A = \"file:key\"").await;
    let make = |name: &str| {
        let path = folder.path().join(name);
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    };
    make("key");
    make("pipe.toml");
    for (command, expected) in [
        (&["check"][..], "target qeasy, header A"),
        (&["up", "--once", "--patience", "3"], "target qeasy, header A"),
        (&["--config", "pipe.toml", "check"], "pipe.toml: found a pipe"),
        (&["check", "--mapping", "key"], "mapping.file key: found a pipe"),
    ] {
        let program = Program::new(PROGRAM, folder.path(), command);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(30), said(program)).await;
        let (status, text) = ended.expect("it does not wait for a writer");
        assert!(status == 2 && text.contains(expected), "{command:?}: {status}: {text}");
        assert!(text.contains("expected a regular file"), "{text}");
    }
    std::fs::remove_file(folder.path().join("key")).unwrap();
    std::fs::write(folder.path().join("key"), vec![b'k'; 8 << 20]).unwrap();
    let (status, text) = said(Program::new(PROGRAM, folder.path(), &["check"])).await;
    assert!(status == 2 && text.contains("more than 65536 bytes"), "{text}");
    // What the shell names is meant.
    let shell =
        "cat orderflow.toml | sed 's/file:key/plain/' | ORDERFLOW_LANG=en \"$0\" --config /dev/stdin check";
    let shell = std::process::Command::new("sh")
        .args(["-c", shell, PROGRAM])
        .current_dir(folder.path())
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
        .env("ORDERFLOW_MAPPING__FILE", folder.path().join("mapping.toml"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[shell.stdout, shell.stderr].concat()).into_owned();
    assert!(shell.status.success() && text.contains("/dev/stdin: ok"), "{text}");
}

#[tokio::test]
async fn a_letter_that_held_a_secret_can_be_overwritten() {
    let orders = tempfile::tempdir().unwrap();
    let order = |number: usize, amount: &str| {
        format!(
            "{{\"order_id\":\"k{number}\",\"order_no\":\"SO-{number}\",\"amount\":\"{amount}\",\
             \"update_time\":\"2025-03-01 10:00:0{number}\",\"create_time\":\"2025-03-01 10:00:00\"}}\n"
        )
    };
    let file = orders.path().join("orders.ndjson");
    std::fs::write(&file, [order(1, "1.5"), order(2, "old-s3cret"), order(3, "2")].concat()).unwrap();
    let world = World::of_file(&file).await;
    world.map_with(
        "key = \"order_id\"\nversion = \"update_time\"\n[[field]]\nto = \"orderId\"\nfrom = \"order_id\"\n\
         [[field]]\nto = \"amount\"\nfrom = \"amount\"\ntype = \"decimal\"\n",
    );
    let folder = world.folder_of_a_program("");
    let run = async |args: &[&str]| {
        let program = Program::new(PROGRAM, folder.path(), args);
        program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").said().await
    };
    assert_eq!(run(&["up", "--once"]).await.0, 4, "one order is dead");
    let (_, found) = run(&["dead", "export"]).await;
    assert!(found.contains("old-s3cret"), "{found}");
    let (_, list) = run(&["dead", "list", "-o", "json"]).await;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let letter = list[0]["letter"].to_string();
    let (status, text) = run(&["dead", "discard", &letter, "--execute", "--reason", "a secret"]).await;
    assert_eq!(status, 0, "{text}");
    // What `nats stream rmm` asks for.
    let stream = world.names().stream(journal::Stream::Dead);
    let request = serde_json::json!({ "seq": list[0]["letter"], "no_erase": false });
    world.nats.ask_jetstream(&format!("$JS.API.STREAM.MSG.DELETE.{stream}"), &request).await;
    for command in [&["dead", "export", "--all"][..], &["status"], &["dead", "list"], &["up", "--once"]] {
        let (status, text) = run(command).await;
        assert!([0, 3].contains(&status), "{command:?}: {status}: {text}");
        assert!(!text.contains("old-s3cret") && !text.contains("panicked"), "{text}");
    }
}
