//! Sources, targets and webhooks that repeat the secrets they were sent, in every encoding: none of
//! them is in a log, in what a command prints, or in the files of NATS.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use orderflow_tests::{Asked, PostgresServer, Program, Reply, Scripted, eventually};
use postgres::Postgres;
use serde_json::Value;
use tempfile::TempDir;

use crate::PROGRAM;
use crate::postgres::{COUNTED, row, settings, version};

const CLIENT_SECRET: &str = "cl13nt/S3cret+w=rd&\"1\\x";
const SOURCE_TOKEN: &str = "s0urce-Acc3ss/token+xyz==";
const HEADER: &str = "Bearer t4rget-T0ken/abc+def==";
const APP_SECRET: &str = "app-S3cret/\"quoted\"+x1";
const STORE_TOKEN: &str = "st0re-Acc3ss/token&xyz9";
const HOOK_KEY: &str = "w3bhook-K3y/abcdef+1";
const HOOK_SECRET: &str = "SEC-h00k-s1gn-abc";

const MAPPING: &str = "key = \"order_id\"\nnumber = \"order_no\"\nversion = \"update_time\"\n\
    [[field]]\nto = \"orderId\"\nfrom = \"order_id\"\ntype = \"string\"\n";

fn percent(text: &str, lower: bool) -> String {
    let one = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b if lower => format!("%{b:02x}"),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

fn unicode(text: &str) -> String {
    text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('/', "&#x2F;")
}

/// A secret as it may be repeated within a text of JSON.
fn encodings(secret: &str) -> Vec<String> {
    vec![
        escaped(secret),
        unicode(secret),
        percent(secret, false),
        percent(secret, true),
        html(secret).replace('\\', "\\\\"),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(format!("user:{secret}")),
        escaped(&escaped(secret)),
        percent(&percent(secret, false), false),
    ]
}

/// Texts of which none may be found anywhere. Of base64 only the part that the secret alone
/// decides.
fn traces(secret: &str) -> Vec<String> {
    let part = |text: String, from: usize| text[from..text.len() - 4].to_string();
    let mut traces = encodings(secret);
    traces.truncate(5);
    traces.extend([
        secret.to_string(),
        html(secret),
        part(STANDARD.encode(secret), 0),
        part(URL_SAFE_NO_PAD.encode(secret), 0),
        part(STANDARD.encode(format!("user:{secret}")), 8),
    ]);
    // A half of one would do as well.
    traces.push(secret.chars().take(12).collect());
    traces
}

fn secrets() -> Vec<&'static str> {
    let bearer = HEADER.trim_start_matches("Bearer ");
    vec![CLIENT_SECRET, SOURCE_TOKEN, bearer, APP_SECRET, STORE_TOKEN, HOOK_KEY, HOOK_SECRET]
}

#[track_caller]
fn assert_no_secret(place: &str, text: &[u8]) {
    for trace in secrets().into_iter().flat_map(traces) {
        let found = text.windows(trace.len()).position(|part| part == trace.as_bytes());
        if let Some(at) = found {
            let around = &text[at.saturating_sub(200)..text.len().min(at + 200)];
            panic!("{trace} is in {place}: {}", String::from_utf8_lossy(around));
        }
    }
}

fn assert_no_secret_in_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            assert_no_secret_in_files(&entry);
        } else if let Ok(bytes) = std::fs::read(&entry) {
            assert_no_secret(&entry.display().to_string(), &bytes);
        }
    }
}

/// What one of them says of all that it was sent, the `number`th time in the `number`th encoding.
fn echo(asked: &Asked, secrets: &[&str], number: usize) -> String {
    let encoded: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let all = encodings(secret);
            all[number % all.len()].clone()
        })
        .collect();
    let header = escaped(asked.header("authorization"));
    let body = String::from_utf8_lossy(&asked.body);
    let in_json = serde_json::to_string(&body).unwrap();
    format!("no, {} ({header}): {}", encoded.join(" and "), in_json.trim_matches('"'))
}

fn source_page() -> String {
    let order = |number: usize| {
        format!(
            "{{\"order_id\":\"k{number}\",\"order_no\":\"SO-{number}\",\
             \"update_time\":\"2025-03-01 10:{number:02}:00\"}}"
        )
    };
    let rows: Vec<String> = (1..=24).map(order).collect();
    format!("{{\"code\":200,\"data\":{{\"list\":[{}],\"count\":24}}}}", rows.join(","))
}

/// A source that refuses the first requests for a page in words that repeat everything.
async fn source(refusals: usize) -> Scripted {
    let number = AtomicUsize::new(0);
    Scripted::start(move |asked| {
        if asked.path.ends_with("access_token") {
            return Reply::json(format!("{{\"access_token\":\"{SOURCE_TOKEN}\",\"expires_in\":28800}}"));
        }
        let number = number.fetch_add(1, Ordering::SeqCst);
        let said = echo(asked, &[CLIENT_SECRET, SOURCE_TOKEN], number);
        match number {
            // Of the sorts that are logged, kept as dead letters, and waited out.
            _ if number >= refusals => Reply::json(source_page()),
            _ if number.is_multiple_of(2) => {
                Reply::json(format!("{{\"code\":50{number:02},\"message\":\"{said}\"}}"))
            }
            _ => Reply::json(format!("{{\"data\":{{\"list\":\"{said}\"}}}}")),
        }
    })
    .await
}

/// A target that refuses every order in another way.
async fn target() -> Scripted {
    let number = AtomicUsize::new(0);
    Scripted::start(move |asked| {
        if asked.path.ends_with("/oauth") {
            let content = format!("{{\"access_token\":\"{STORE_TOKEN}\",\"expires_in\":7200}}");
            return Reply::json(format!("{{\"success\":true,\"code\":0,\"content\":{content}}}"));
        }
        let number = number.fetch_add(1, Ordering::SeqCst);
        // What is repeated was sent to us: nobody knows a token before it is given out.
        let sent = if asked.path == "/execute" { [HEADER; 2] } else { [APP_SECRET, STORE_TOKEN] };
        let said = echo(asked, &sent, number);
        match number % 4 {
            0 | 1 => Reply::json(format!("{{\"success\":false,\"code\":40001,\"message\":\"{said}\"}}")),
            2 => Reply::json(format!("{{\"success\":false,\"code\":\"{said}\",\"message\":\"no\"}}")),
            _ => Reply { status: 400, headers: Vec::new(), body: said.into_bytes() },
        }
    })
    .await
}

async fn hook() -> Scripted {
    let number = AtomicUsize::new(0);
    Scripted::start(move |asked| {
        let said = echo(asked, &[HOOK_KEY, HOOK_SECRET], number.fetch_add(1, Ordering::SeqCst));
        let given = asked.query.get("access_token").cloned().unwrap_or_default();
        Reply::json(format!("{{\"errcode\":310000,\"errmsg\":\"{said} {}\"}}", escaped(&given)))
    })
    .await
}

fn folder(source: &str, target: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "flow = \"echo\"\n[source]\nclient_id = \"me\"\nbase_url = \"{source}\"\n\
         client_secret_file = \"client.secret\"\ntime_field = \"\"\n[source.limit]\nrequests_per_second = 0.0\n\
         [schedule]\nevery = \"1s\"\nsince = \"2025-01-01 00:00:00\"\nsettle = \"0s\"\n\
         [writer]\nmax_attempts = 2\n[writer.backoff]\ninitial = \"10ms\"\n\
         [[target]]\nname = \"one\"\nkind = \"execute\"\nurl = \"{target}/execute\"\nconcurrency = 2\n\
         headers = {{ Authorization = \"env:ECHO_TOKEN\" }}\nstop = {{ after = 0, of = 200 }}\n\
         [[target]]\nname = \"two\"\nkind = \"store\"\nurl = \"{target}\"\nconcurrency = 2\nscheme_id = \"s\"\n\
         app_key = \"key\"\nstop = {{ after = 0, of = 200 }}\n[target.limit]\nrequests_per_minute = 0\n\
         [alerts]\nevery = \"200ms\"\ndead_letters = 1\n\
         [[alerts.webhook]]\nname = \"duty\"\nkind = \"dingtalk\"\n"
    );
    std::fs::write(folder.path().join("orderflow.toml"), config).unwrap();
    std::fs::write(folder.path().join("mapping.toml"), MAPPING).unwrap();
    std::fs::write(folder.path().join("client.secret"), CLIENT_SECRET).unwrap();
    folder
}

fn program(folder: &TempDir, hook: &str, args: &[&str]) -> Program {
    let url = format!("{hook}/robot/send?access_token={}", percent(HOOK_KEY, false));
    Program::new(PROGRAM, folder.path(), args)
        .env("ECHO_TOKEN", HEADER)
        .env("ORDERFLOW_TARGET__TWO__APP_SECRET", APP_SECRET)
        .env("ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL", &url)
        .env("ORDERFLOW_ALERTS__WEBHOOK__DUTY__SECRET", HOOK_SECRET)
}

async fn told(folder: &TempDir, hook: &str, args: &[&str]) -> String {
    let (status, text) = program(folder, hook, args).said().await;
    assert!(status != 101 && status != 2, "{args:?}: {text}");
    assert_no_secret(&args.join(" "), text.as_bytes());
    text
}

/// Every command that shows what others said, as text and as JSON.
async fn look_everywhere(folder: &TempDir, hook: &str) -> usize {
    let list = told(folder, hook, &["dead", "list", "-o", "json", "--limit", "0"]).await;
    let letters: Vec<Value> = serde_json::from_str(&list).unwrap();
    for letter in letters.iter().step_by(9).map(|letter| letter["letter"].to_string()) {
        told(folder, hook, &["dead", "show", &letter]).await;
        told(folder, hook, &["dead", "show", &letter, "-o", "json"]).await;
    }
    for command in [
        &["status"][..],
        &["status", "-o", "json"],
        &["windows"],
        &["windows", "-o", "json"],
        &["dead", "list"],
        &["dead", "groups"],
        &["dead", "groups", "-o", "json"],
        &["dead", "export"],
        &["trace", "k1"],
        &["trace", "k1", "-o", "json"],
        &["alerts", "show"],
        &["alerts", "show", "-o", "json"],
        &["alerts", "test"],
        &["ops", "list"],
        &["check"],
    ] {
        told(folder, hook, command).await;
    }
    assert_no_secret_in_files(&folder.path().join(".orderflow"));
    letters.len()
}

#[tokio::test]
async fn what_was_sent_and_is_repeated_is_nowhere() {
    let (source, target, hook) = (source(3).await, target().await, hook().await);
    let folder = folder(&source.url(), &target.url());
    let text = told(&folder, &hook.url(), &["up", "--once", "--patience", "20"]).await;
    assert!(text.contains("***"), "something was repeated: {text}");
    let log = folder.path().join("log");
    let up = program(&folder, &hook.url(), &["up", "--log", "json"]).env("ORDERFLOW_LOG", "debug");
    let up = up.writing_to(&log).start();
    eventually("the webhook is told", || hook.asked().len() >= 3).await;
    Program::kill(up).await;
    assert_no_secret("the log", &std::fs::read(&log).unwrap());
    let letters = look_everywhere(&folder, &hook.url()).await;
    assert!(letters >= 48, "every order is refused by both: {letters}");
    let shown = told(&folder, &hook.url(), &["dead", "export"]).await;
    assert!(shown.contains("no, *** and ***"), "{shown}");
}

#[tokio::test]
async fn an_answer_that_is_no_page_is_kept_without_what_it_repeats() {
    let (source, target, hook) = (source(usize::MAX).await, target().await, hook().await);
    let folder = folder(&source.url(), &target.url());
    let text = told(&folder, &hook.url(), &["up", "--once", "--patience", "60"]).await;
    assert!(text.contains("cannot be fetched") && text.contains("***"), "{text}");
    assert!(look_everywhere(&folder, &hook.url()).await >= 1, "the answer is kept");
}

#[tokio::test]
async fn an_answer_that_may_hold_a_token_is_not_repeated() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let source = Scripted::start(move |request| {
        let number = counting.fetch_add(1, Ordering::SeqCst);
        let token = "n3ver-seen-token-77";
        let said = echo(request, &[CLIENT_SECRET], number);
        Reply::json(match number % 3 {
            0 => format!("{{\"accessToken\":\"{token}\",\"message\":\"{said}\"}}"),
            1 => format!("{{\"access_token\":\"{token}"),
            _ => format!("{{\"error\":\"{token}\",\"error_description\":\"{said}\"}}"),
        })
    })
    .await;
    let (target, hook) = (target().await, hook().await);
    let folder = folder(&source.url(), &target.url());
    let text = told(&folder, &hook.url(), &["up", "--once", "--patience", "60"]).await;
    assert!(text.contains("expected a JSON object with access_token"), "{text}");
    assert!(asked.load(Ordering::SeqCst) >= 3, "{text}");
    look_everywhere(&folder, &hook.url()).await;
    for command in [&["windows", "-o", "json"][..], &["status"], &["dead", "export"]] {
        let text = format!("{text}{}", told(&folder, &hook.url(), command).await);
        assert!(!text.contains("n3ver-seen"), "{text}");
    }
    // The payloads of letters are packed; the texts of all else are not.
    assert!(!has_file_with(&folder.path().join(".orderflow"), b"n3ver-seen"));
}

fn has_file_with(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => has_file_with(&path, wanted),
        false => {
            std::fs::read(&path).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|part| part == wanted))
        }
    })
}

#[tokio::test]
async fn an_order_that_holds_the_text_of_a_secret_arrives_exactly() {
    let name = format!("{CLIENT_SECRET} and {SOURCE_TOKEN}");
    let sent = name.clone();
    let row = serde_json::json!({ "order_id": sent, "update_time": "2025-03-01 10:00:00" });
    let source = Scripted::start(move |asked| match asked.path.ends_with("access_token") {
        true => Reply::json(format!("{{\"access_token\":\"{SOURCE_TOKEN}\"}}")),
        false => Reply::json(format!("{{\"code\":200,\"data\":{{\"list\":[{row}],\"count\":1}}}}")),
    })
    .await;
    let target = Scripted::start(|asked| match asked.path.ends_with("/oauth") {
        true => Reply::json("{\"success\":true,\"code\":0,\"content\":{\"access_token\":\"abcd-efgh\"}}"),
        false => Reply::json("{\"success\":true,\"code\":0}"),
    })
    .await;
    let (hook, folder) = (hook().await, folder(&source.url(), &target.url()));
    let (status, text) = program(&folder, &hook.url(), &["up", "--once", "--patience", "20"]).said().await;
    assert_eq!(status, 0, "{text}");
    let written = target.asked().into_iter().find(|asked| asked.path == "/execute").expect("an order");
    let written: Value = serde_json::from_slice(&written.body).unwrap();
    assert_eq!(written["data"]["orderId"], name.as_str());
}

#[tokio::test]
async fn what_a_database_repeats_is_not_passed_on() {
    const PASSWORD: &str = "pg-S3cret/pass&+w\"0rd";
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target =
        Postgres::new(postgres::Settings { password: Some(PASSWORD.into()), ..settings(server.url()) });
    let target = target.unwrap();
    for encoded in encodings(PASSWORD).into_iter().chain([PASSWORD.to_string()]) {
        let raised =
            format!("RAISE EXCEPTION USING MESSAGE = $m$no, {encoded}.$m$, DETAIL = $m$({encoded})$m$");
        let function = format!(
            "CREATE OR REPLACE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {raised}; END $f$;
             DROP TRIGGER IF EXISTS no ON orders;
             CREATE TRIGGER no BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION no()"
        );
        server.run(&function).await;
        let record = row("1", "{\"orderId\":\"1\"}", version(1));
        let error = target.write(&[record]).await.expect_err("refused");
        let told = [error.to_string(), service::chain(&error), error.theirs().unwrap_or_default().into()];
        for text in told {
            assert!(text.contains("no, ***") && text.contains("(***)"), "{encoded}: {text}");
            assert!(!traces(PASSWORD).iter().any(|trace| text.contains(trace)), "{encoded}: {text}");
        }
    }
}
