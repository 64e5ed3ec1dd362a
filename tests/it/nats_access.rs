//! Who we are at NATS, and over what: every way is tried against a real server, the wrong ones as well.

use std::path::Path;
use std::time::Duration;

use journal::{Journal, JournalError, Topology};
use orderflow_tests::{Nats, Program, until};
use tempfile::TempDir;

use crate::PROGRAM;

const TARGET: &str =
    "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"http://127.0.0.1:9/execute\"\n";
const SECRET: &str = "p@ss:w/rd";
/// The pair of the documentation of NATS.
const NKEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

/// A server with the streams of a flow.
async fn server() -> Nats {
    let nats = Nats::start().await;
    let names = Topology::new("okki-orders", 16);
    nats.journal().await.ensure(&names).await.expect("streams");
    nats
}

/// What `orderflow status` says with this `[nats]`, and files beside the configuration; never the secret. An address with
/// credentials goes into the environment, for the file may not hold any.
async fn status(nats: &str, files: &[(&str, &str)], environment: &[(&str, &str)]) -> (i32, String) {
    let (addresses, others): (Vec<&str>, Vec<&str>) = nats.lines().partition(|line| line.contains('@'));
    let folder = folder(&others.join("\n"), files);
    let mut program = Program::new(PROGRAM, folder.path(), &["status"]);
    if let Some(address) = addresses.first() {
        program = program.env("ORDERFLOW_NATS__URL", address.trim_start_matches("url = ").trim_matches('"'));
    }
    for (name, value) in environment {
        program = program.env(name, value);
    }
    let (status, said) = program.said().await;
    assert!(!said.contains(SECRET) && !said.contains(SEED) && !said.contains("panicked"), "{said}");
    (status, said)
}

fn folder(nats: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!("[nats]\n{nats}\n{TARGET}");
    std::fs::write(folder.path().join("orderflow.toml"), config).expect("written");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn host(nats: &Nats) -> String {
    nats.url().trim_start_matches("nats://").to_string()
}

#[tokio::test]
async fn a_user_is_known_by_every_way_to_say_it_and_a_wrong_password_is_named() {
    let nats = server().await;
    nats.configure(&format!("authorization {{ user: me, password: \"{SECRET}\" }}")).await;
    let (url, host) = (nats.url(), host(&nats));
    let encoded = "me:p%40ss%3Aw%2Frd";
    let plain = format!("url = \"{url}\"\nuser = \"me\"\n");
    let file = ("secret", SECRET);
    for (config, files, environment) in [
        (format!("url = \"nats://{encoded}@{host}\""), vec![], vec![]),
        (format!("url = \"nats://{encoded}@{host}, nats://{encoded}@127.0.0.1:9\""), vec![], vec![]),
        (format!("url = \"nats://127.0.0.1:9, nats://{encoded}@{host}\""), vec![], vec![]),
        (plain.clone(), vec![], vec![("ORDERFLOW_NATS__PASSWORD", SECRET)]),
        (format!("{plain}password_file = \"secret\""), vec![file], vec![]),
    ] {
        let (status, said) = status(&config, &files, &environment).await;
        assert_eq!(status, 0, "{config}: {said}");
    }
    for config in [
        format!("url = \"nats://me:wrong@{host}\""),
        format!("url = \"{url}\""),
        format!("url = \"nats://wrong@{host}\""),
    ] {
        let (status, said) = status(&config, &[], &[]).await;
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("refuses our credentials (Authorization Violation)"), "{said}");
        assert!(said.contains("nats.password"), "what to do: {said}");
    }
}

#[tokio::test]
async fn a_token_and_an_nkey_let_us_in() {
    let nats = server().await;
    nats.configure(&format!("authorization {{ token: \"{SECRET}\" }}")).await;
    let (url, host) = (nats.url(), host(&nats));
    for (config, files, environment) in [
        (format!("url = \"nats://p%40ss%3Aw%2Frd@{host}\""), vec![], vec![]),
        (format!("url = \"{url}\"\ntoken_file = \"secret\""), vec![("secret", SECRET)], vec![]),
        (format!("url = \"{url}\""), vec![], vec![("ORDERFLOW_NATS__TOKEN", SECRET)]),
    ] {
        let (status, said) = status(&config, &files, &environment).await;
        assert_eq!(status, 0, "{config}: {said}");
    }
    nats.configure(&format!("authorization {{ users [ {{ nkey: {NKEY} }} ] }}")).await;
    let config = format!("url = \"{url}\"\nnkey_file = \"seed\"");
    let (right, said) = status(&config, &[("seed", SEED)], &[]).await;
    assert_eq!(right, 0, "{said}");
    let (wrong, said) = status(&config, &[("seed", "SUAnothing")], &[]).await;
    assert!(
        wrong == 2 && said.contains("nats.nkey_file") && said.contains("seed of a user's nkey"),
        "{said}"
    );
    let (missing, said) = status(&config, &[], &[]).await;
    assert!(missing == 2 && said.contains("nats.nkey_file"), "{said}");
}

#[tokio::test]
async fn a_refused_permission_names_its_subject() {
    let nats = server().await;
    let denied = "publish: { deny: [\"$JS.API.>\"] }, subscribe: \">\"";
    nats.configure(&format!(
        "authorization {{ users [ {{ user: me, password: any, permissions: {{ {denied} }} }} ] }}"
    ))
    .await;
    let (status, said) = status(&format!("url = \"nats://me:any@{}\"", host(&nats)), &[], &[]).await;
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("does not permit") && said.contains("\"$JS.API.INFO\""), "{said}");
}

#[tokio::test]
async fn credentials_that_change_later_are_said_to_be_refused_and_not_away() {
    let nats = server().await;
    nats.configure("authorization { user: me, password: first }").await;
    let connection = journal::Connection {
        url: format!("nats://me:first@{}", host(&nats)).into(),
        name: "test".into(),
        ..Default::default()
    };
    let journal = Journal::connect(&connection).await.expect("connected");
    let names = Topology::new("okki-orders", 16);
    nats.configure("authorization { user: me, password: second }").await;
    until("it is said", async || {
        let asked = tokio::time::timeout(Duration::from_secs(15), journal.size(&names, journal::Stream::Raw));
        matches!(asked.await, Ok(Err(JournalError::Unauthorized { .. })))
    })
    .await;
    nats.configure("authorization { user: me, password: first }").await;
    until("we are let in again", async || journal.size(&names, journal::Stream::Raw).await.is_ok()).await;
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_with_its_line() {
    let url = "url = \"nats://127.0.0.1:9\"";
    for (config, place, message) in [
        (format!("{url}\nuser = \"me\"\ntoken_file = \"t\""), ":4", "found it beside nats.user"),
        ("url = \"nats://a:b@127.0.0.1:9\"\nnkey_file = \"n\"".to_string(), ":2", "found it beside nats.url"),
        (format!("{url}\npassword_file = \"p\""), ":3", "found a password without nats.user"),
        (format!("{url}\ntls = {{ cert_file = \"c\" }}"), ":3", "found cert_file without key_file"),
        (format!("{url}\npassword = \"p\""), ":3", "ORDERFLOW_NATS__PASSWORD"),
        (format!("{url}\ntoken = \"p\""), ":3", "ORDERFLOW_NATS__TOKEN"),
        ("nkey_file = \"n\"".to_string(), ":2", "there is no nats.url"),
    ] {
        let (status, said) = status(&config, &[], &[]).await;
        assert_eq!(status, 2, "{said}");
        let place = format!("orderflow.toml{place}");
        assert!(said.contains(&place) && said.contains(message), "{config}: {said}");
    }
}

/// A certificate and its key.
struct Certificate {
    pem: String,
    key: String,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).expect("made");
    Certificate { pem: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn write_certificate(folder: &Path, name: &str, certificate: &Certificate) -> String {
    let (pem, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&pem, &certificate.pem).expect("written");
    std::fs::write(&key, &certificate.key).expect("written");
    format!("cert_file: \"{}\", key_file: \"{}\"", pem.display(), key.display())
}

#[tokio::test]
async fn tls_is_used_with_an_authority_of_our_own_and_a_certificate_of_ours() {
    let nats = server().await;
    let (ours, servers, other) = (certificate(), certificate(), certificate());
    let folder = tempfile::tempdir().expect("a folder");
    let tls = write_certificate(folder.path(), "server", &servers);
    nats.configure(&format!("tls {{ {tls} }}")).await;
    let (url, host) = (nats.url(), host(&nats));
    let files = [
        ("ca.pem", servers.pem.as_str()),
        ("other.pem", other.pem.as_str()),
        ("ours.pem", ours.pem.as_str()),
        ("ours.key", ours.key.as_str()),
        ("none.pem", "no certificate"),
    ];
    let with = |url: &str, ca: &str| format!("url = \"{url}\"\ntls = {{ ca_file = \"{ca}\" }}");
    // The server asks for TLS, and so may we.
    for url in [url.clone(), format!("tls://{host}")] {
        let (right, said) = status(&with(&url, "ca.pem"), &files, &[]).await;
        assert_eq!(right, 0, "{said}");
        let (wrong, said) = status(&with(&url, "other.pem"), &files, &[]).await;
        assert!(wrong == 7 && said.contains("nats.tls.ca_file"), "{wrong}: {said}");
    }
    for ca in ["none.pem", "missing.pem"] {
        let (wrong, said) = status(&with(&url, ca), &files, &[]).await;
        assert!(wrong == 2 && said.contains(ca) && said.contains("as PEM"), "{wrong}: {said}");
    }
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, &ours.pem).expect("written");
    nats.configure(&format!("tls {{ {tls}, ca_file: \"{}\", verify: true }}", trusted.display())).await;
    let (missing, said) = status(&with(&url, "ca.pem"), &files, &[]).await;
    assert!(missing == 7 && said.contains("nats.tls.cert_file"), "{missing}: {said}");
    let shown = "ca_file = \"ca.pem\", cert_file = \"ours.pem\", key_file = \"ours.key\"";
    let (right, said) =
        status(&format!("url = \"{url}\"\n[nats.tls]\n{}", shown.replace(", ", "\n")), &files, &[]).await;
    assert_eq!(right, 0, "{said}");
}

#[tokio::test]
async fn a_server_without_tls_is_not_given_what_was_to_be_encrypted() {
    let nats = server().await;
    let own = certificate();
    let tls = "tls = { ca_file = \"ca.pem\" }";
    for config in
        [format!("url = \"tls://{}\"\n{tls}", host(&nats)), format!("url = \"{}\"\n{tls}", nats.url())]
    {
        let (status, said) = status(&config, &[("ca.pem", &own.pem)], &[]).await;
        assert!(status == 7 && said.contains("it offers no TLS there"), "{status}: {said}");
    }
}
