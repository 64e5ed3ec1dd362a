//! What `check` finds in the files, what `check --live` tries, and the warnings of a weak NATS at every start.

use std::path::Path;

use orderflow_tests::{Nats, PostgresServer, Program, Reply, Scripted, World, eventually};
use sandbox::Faults;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::PROGRAM;

const MAPPING: &str = "key = \"order_id\"\nversion = \"update_time\"\n[[field]]\nto = \"orderId\"\nfrom = \"order_id\"\n\
                       [[field]]\nto = \"totalAmount\"\nfrom = \"amount\"\ntype = \"decimal\"\n";

/// A folder with a configuration against a source and some targets.
fn folder(source: &str, rest: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[source]\nbase_url = \"{source}\"\nclient_id = \"demo\"\n[schedule]\nsince = \"2025-01-01\"\n{rest}"
    );
    std::fs::write(folder.path().join("orderflow.toml"), config).unwrap();
    std::fs::write(folder.path().join("mapping.toml"), MAPPING).unwrap();
    folder
}

async fn check(folder: &TempDir, secret: &str) -> (i32, String) {
    let mut program = Program::new(PROGRAM, folder.path(), &["check", "--live"])
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", secret);
    let config = std::fs::read_to_string(folder.path().join("orderflow.toml")).unwrap();
    if config.contains("kind = \"store\"") {
        program = program.env("ORDERFLOW_TARGET__STORE__APP_SECRET", "demo-secret");
    }
    let (status, said) = program.said().await;
    assert!(
        !said.contains("panicked") && !said.contains("demo-secret") && !said.contains("wrong-one"),
        "{said}"
    );
    (status, said)
}

#[tokio::test]
async fn what_would_go_wrong_later_is_found_without_a_connection() {
    let targets = "[[target]]\nname = \"qeasy\"\nkind = \"store\"\nurl = \"https://api.qeasy.cloud/v2/open-api\"\n\
                   scheme_id = \"S1\"\napp_key = \"k\"\nkey = \"orderId\"\n";
    let folder = folder("https://okki.example/v1", targets);
    let mapping = format!("{MAPPING}[[when]]\nis = 'status_name != 草稿'\nreason = \"draft\"\n");
    std::fs::write(folder.path().join("mapping.toml"), mapping).unwrap();
    let check = async |args: &[&str]| {
        let program = Program::new(PROGRAM, folder.path(), args);
        program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").said().await
    };
    let (status, text) = check(&["check"]).await;
    assert_eq!(status, 2, "{text}");
    let findings: Vec<&str> = text.lines().filter(|line| line.starts_with("problem: ")).collect();
    for (finding, expected) in findings.iter().zip([
        "orderflow.toml: source.base_url: found https://okki.example/v1, so that \
         https://okki.example/v1/v1/invoices/order/list is called, expected https://okki.example",
        "orderflow.toml: target qeasy, app_secret: found nothing, expected ORDERFLOW_TARGET__QEASY__APP_SECRET",
        "orderflow.toml: target qeasy, url: found https://api.qeasy.cloud/v2/open-api, so that",
        "mapping.toml:11: when 1 (`draft`): is: found the field 草稿, which no order is known to have",
    ]) {
        assert!(finding.starts_with(&format!("problem: {expected}")), "{finding}");
    }
    assert_eq!(findings.len(), 4, "one line a finding: {text}");
    let (status, text) = check(&["check", "--mapping", "mapping.toml"]).await;
    assert!(status == 2 && text.contains("is: found the field 草稿"), "{text}");
    let (status, text) = check(&["check", "--lang", "zh"]).await;
    assert!(status == 2 && text.contains("应为 带双引号的 \"草稿\""), "{text}");
}

/// A nats-server as it is without a configuration of ours: it flushes late, takes small messages, and says so.
struct WeakNats {
    _child: Child,
    _folder: TempDir,
    url: String,
    monitor: String,
}

impl WeakNats {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().to_string()
        };
        let (listen, monitor) = (free(), free());
        let streams = folder.path().join("streams").display().to_string();
        let text =
            format!("listen: \"{listen}\"\nhttp: \"{monitor}\"\njetstream {{ store_dir: \"{streams}\" }}\n");
        let config = folder.path().join("nats.conf");
        std::fs::write(&config, text).unwrap();
        let binary = journal::find_server().await.unwrap();
        let mut command = Command::new(binary);
        command
            .arg("-c")
            .arg(&config)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let child = command.kill_on_drop(true).spawn().unwrap();
        eventually("it listens", || std::net::TcpStream::connect(&listen).is_ok()).await;
        eventually("it is monitored", || std::net::TcpStream::connect(&monitor).is_ok()).await;
        let (url, monitor) = (format!("nats://{listen}"), format!("http://{monitor}"));
        Self { _child: child, _folder: folder, url, monitor }
    }

    fn section(&self) -> String {
        format!("[nats]\nurl = \"{}\"\nmonitor_url = \"{}\"\n", self.url, self.monitor)
    }
}

#[tokio::test]
async fn everything_is_tried_and_nothing_is_written() {
    let world = World::new(30, Faults::default()).await;
    let url = world.sandbox.url();
    let targets = format!(
        "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"{url}/execute\"\n\
         [[target]]\nname = \"store\"\nkind = \"store\"\nurl = \"{url}\"\nscheme_id = \"S1\"\napp_key = \"demo\"\n\
         [nats]\nurl = \"{}\"\n",
        world.nats.url()
    );
    let (status, text) = check(&folder(&url, &targets), "demo-secret").await;
    assert_eq!(status, 0, "{text}");
    for line in [
        "source, token: given, good for",
        "source, one order: read; 30 orders since schedule.since",
        "mapping, that order: it becomes a record",
        "target qeasy: it answers HTTP 405 to a GET",
        "target store: http://127.0.0.1",
        "/v2/oauth gives a token",
        "NATS, sync_interval: only the monitoring port says it",
        "NATS, permissions of write: may publish all that it needs",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let report = world.report();
    assert_eq!((report.target.requests, report.source.list_requests), (0, 1), "{report}");
    let streams = world.nats.ask_jetstream("$JS.API.STREAM.NAMES", &serde_json::json!({})).await;
    assert_eq!(streams["total"], 0, "no stream was made: {streams}");
}

#[tokio::test]
async fn a_permission_is_tried_and_nothing_is_stored() {
    let world = World::new(1, Faults::default()).await;
    let names = world.names();
    world.journal.ensure(&names).await.unwrap();
    let stages = [events::Stage::Fetch, events::Stage::Transform, events::Stage::Write];
    for subject in stages.iter().flat_map(|stage| names.published_by(*stage, &world.targets())) {
        assert_eq!(world.journal.permission(&subject).await, journal::Permission::Granted, "{subject}");
    }
    for stream in journal::Stream::ALL {
        let (_, last, _) = world.journal.size(&names, stream).await.unwrap();
        assert_eq!(last, 0, "{stream:?} has stored something");
    }
}

#[tokio::test]
async fn a_user_that_may_run_one_stage_is_told_which() {
    let nats = Nats::start().await;
    let accounts = "authorization { users: [ { user: f, password: longenough, permissions: { subscribe: \"_INBOX.>\", \
                    publish: { allow: [ \"$JS.API.INFO\", \"$JS.API.STREAM.INFO.*\", \"okki-orders.sync.>\", \"okki-orders.job.*\", \
                    \"okki-orders.raw.*\", \"okki-orders.op.*\", \"okki-orders.dead.fetch.*\", \"okki-orders.state.>\" ] } } } ] }";
    nats.sign_in(accounts, "f", "longenough").await;
    let url = nats.url().replace("f:longenough@", "");
    let folder = folder("http://127.0.0.1:9", &format!("[nats]\nurl = \"{url}\"\nuser = \"f\"\n"));
    let program = Program::new(PROGRAM, folder.path(), &["check", "--live"])
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "long-enough")
        .env("ORDERFLOW_NATS__PASSWORD", "longenough");
    let (status, text) = program.said().await;
    assert_eq!(status, 4, "the source is away: {text}");
    assert!(text.contains("works      NATS, permissions of fetch"), "{text}");
    let refused = "not tried  NATS, permissions of transform: may not publish on okki-orders.mapped.0";
    assert!(text.contains(refused), "{text}");
    let program = Program::new(PROGRAM, folder.path(), &["check", "--live"])
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "long-enough")
        .env("ORDERFLOW_NATS__PASSWORD", "another-one");
    let (status, text) = program.said().await;
    assert!(status == 2 && text.contains("REFUSED") && !text.contains("another-one"), "{status} {text}");
}

#[tokio::test]
async fn what_does_not_work_is_named_with_its_status() {
    let world = World::new(3, Faults::default()).await;
    let url = world.sandbox.url();
    let nats = format!("[nats]\nurl = \"{}\"\n", world.nats.url());
    let (status, text) = check(&folder(&url, &nats), "wrong-one").await;
    assert!(status == 4 && text.contains("FAILS      source, token: the source does not accept"), "{text}");
    assert!(text.contains("not tried  source, one order"), "{text}");

    let away = "[nats]\nurl = \"nats://127.0.0.1:9\"\n[[target]]\nname = \"t\"\nkind = \"execute\"\nurl = \"http://127.0.0.1:9/x\"\n";
    let (status, text) = check(&folder(&url, away), "demo-secret").await;
    assert!(status == 7 && text.contains("UNREACHED  NATS: no NATS server answers"), "{status} {text}");
    assert!(text.contains("FAILS      target t: "), "{text}");

    let page = Scripted::start(|_| Reply::page(200, "<html>down</html>")).await;
    let (status, text) = check(&folder(&page.url(), &nats), "demo-secret").await;
    assert!(status == 4 && text.contains("FAILS      source, token"), "{text}");
}

#[tokio::test]
async fn programs_read_findings_and_tries_in_english() {
    let world = World::new(3, Faults::default()).await;
    let nats = format!("[nats]\nurl = \"{}\"\n", world.nats.url());
    let folder = folder(&format!("{}/v1", world.sandbox.url()), &nats);
    let program = Program::new(PROGRAM, folder.path(), &["check", "--live", "-o", "json"])
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
        .env("ORDERFLOW_LANG", "zh");
    let (status, text) = program.said().await;
    let json: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((status, json["findings"][0]["key"].as_str()), (2, Some("source.base_url")), "{text}");
    assert_eq!(json["tried"][0]["what"], "source, token", "{text}");
    assert_eq!(json["tried"][0]["outcome"], "fails", "{text}");
}

#[tokio::test]
async fn a_table_is_looked_at() {
    let server = PostgresServer::start().await;
    let world = World::new(3, Faults::default()).await;
    let target = format!(
        "[[target]]\nname = \"w\"\nkind = \"postgres\"\nurl = \"{}\"\ntable = \"orders\"\n[nats]\nurl = \"{}\"\n",
        server.url(),
        world.nats.url()
    );
    let folder = folder(&world.sandbox.url(), &target);
    let (status, text) = check(&folder, "demo-secret").await;
    assert!(status == 4 && text.contains("FAILS      target w: table orders: it is not there"), "{text}");
    server.run("CREATE TABLE orders (\"orderId\" bigint)").await;
    let (status, text) = check(&folder, "demo-secret").await;
    let lacks = "no column for totalAmount; \"orderId\" is neither the primary key nor unique";
    assert!(status == 4 && text.contains(lacks), "{text}");
    server.run("ALTER TABLE orders ADD COLUMN \"totalAmount\" numeric, ADD PRIMARY KEY (\"orderId\")").await;
    let (status, text) = check(&folder, "demo-secret").await;
    assert!(status == 0 && text.contains("table orders: columns, key and rights are there"), "{text}");
    let ledger =
        server.value("SELECT count(*)::text FROM pg_tables WHERE tablename = 'orderflow_versions'").await;
    assert_eq!(ledger.as_deref(), Some("0"), "nothing was made");
}

#[tokio::test]
async fn a_weak_nats_is_named_by_a_check_and_at_every_start() {
    let (nats, world) = (WeakNats::start().await, World::new(5, Faults::default()).await);
    let url = world.sandbox.url();
    let rest = format!(
        "settle = \"1s\"\n[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"{url}/execute\"\n{}",
        nats.section()
    );
    let folder = folder(&url, &rest);
    let (status, text) = check(&folder, "demo-secret").await;
    assert_eq!(status, 4, "{text}");
    assert!(text.contains("WEAK       NATS: sync_interval: found 2m, expected always"), "{text}");
    assert!(
        text.contains("WEAK       NATS: max_payload: found 1048576 bytes, expected at least 8388608"),
        "{text}"
    );

    for args in [&["up", "--once"][..], &["fetch", "--once"]] {
        let program =
            Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");
        let (status, text) = program.said().await;
        assert_eq!(status, 0, "it works: {text}");
        let warned: Vec<&str> = text.lines().filter(|line| line.contains("NATS works and is weak")).collect();
        assert_eq!(warned.len(), 2, "each once: {text}");
        assert!(warned.iter().all(|line| line.contains("\"level\":\"WARN\"")), "{warned:?}");
        assert!(warned.iter().any(|line| line.contains("sync_interval: found 2m")), "{warned:?}");
    }
    let said = folder.path().join("said.log");
    for stage in ["fetch", "transform", "write"] {
        let _ = std::fs::remove_file(&said);
        let child = Program::new(PROGRAM, folder.path(), &[stage])
            .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
            .writing_to(Path::new(&said))
            .start();
        let read = || std::fs::read_to_string(&said).unwrap_or_default();
        eventually("it warns", || read().matches("NATS works and is weak").count() == 2).await;
        Program::kill(child).await;
    }
}

#[tokio::test]
async fn a_stream_that_loses_messages_is_named() {
    let world = World::new(1, Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let forgets = |config: &mut serde_json::Value| config["max_age"] = 86_400_000_000_000_u64.into();
    world.nats.update_stream("demo-RAW", forgets).await;
    let facts = world.journal.server_facts(&world.names(), &journal::Monitor::Ours).await;
    assert_eq!((facts.streams.len(), facts.sync), (8, journal::SyncPolicy::Always));
    let said: Vec<String> = journal::weaknesses(&facts).iter().map(ToString::to_string).collect();
    assert!(said.len() == 1 && said[0].starts_with("stream demo-RAW: found max_age 1440m"), "{said:?}");
}
