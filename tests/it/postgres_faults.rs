//! The PostgreSQL target when several write, when the server dies, when an answer is lost, and when we are not let in.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Class;
use orderflow_tests::PostgresServer;
use postgres::{Postgres, PostgresError, Row, Settings, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::postgres::{COUNTED, row, settings, target, version, write};

/// The same numbers every time: small, and good enough to mix things up.
fn mixed(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_of_the_same_orders_end_with_the_newest() {
    const KEYS: usize = 5;
    const VERSIONS: usize = 60;
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let mut writers = Vec::new();
    for writer in 0..8_u64 {
        // Each has a pool of its own, and all of them make the table of versions at once.
        let target = target(&server);
        writers.push(tokio::spawn(async move {
            let mut state = writer;
            let mut left: Vec<(usize, usize)> =
                (0..KEYS).flat_map(|key| (0..VERSIONS).map(move |version| (key, version))).collect();
            let mut written = 0;
            while !left.is_empty() {
                let size = (1 + mixed(&mut state) % 8).min(left.len());
                let chosen: Vec<(String, String, i64)> = (0..size)
                    .map(|_| left.swap_remove(mixed(&mut state) % left.len()))
                    .map(|(key, version)| {
                        let record = format!(r#"{{"orderId":"{key}","a":"{version}","b":"{version}"}}"#);
                        (key.to_string(), record, i64::try_from(version).unwrap())
                    })
                    .collect();
                let rows: Vec<Row<'_>> =
                    chosen.iter().map(|(key, record, at)| row(key, record, version(*at))).collect();
                let verdicts = write(&target, &rows).await;
                written += verdicts.iter().filter(|verdict| **verdict == Verdict::Written).count();
            }
            written
        }));
    }
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    let newest = (VERSIONS - 1).to_string();
    for held in server.run("SELECT a, b FROM orders").await {
        assert_eq!(held, [Some(newest.clone()), Some(newest.clone())]);
    }
    let versions = format!("SELECT count(*) FROM orderflow_versions WHERE updated_at = {newest}");
    assert_eq!(server.value(&versions).await.unwrap(), KEYS.to_string());
    // Every write that was reported happened, and no other one.
    assert_eq!(server.value("SELECT sum(writes) FROM orders").await.unwrap(), written.to_string());
    assert!(written < 8 * KEYS * VERSIONS, "they did not meet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_and_doubles_nothing() {
    const WRITERS: usize = 4;
    const VERSIONS: i64 = 200;
    let mut server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = Arc::new(target(&server));
    let (done, under_way, is_up) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (target, done, under_way, is_up) =
            (target.clone(), done.clone(), under_way.clone(), is_up.clone());
        writers.push(tokio::spawn(async move {
            let mut classes = HashMap::new();
            for at in 1..=VERSIONS {
                let keys: Vec<String> = (0..=writer).map(|n| format!("{writer}-{n}")).collect();
                let records: Vec<String> =
                    keys.iter().map(|key| format!(r#"{{"orderId":"{key}","a":"{at}"}}"#)).collect();
                let rows: Vec<Row<'_>> =
                    keys.iter().zip(&records).map(|(key, record)| row(key, record, version(at))).collect();
                loop {
                    let up_again = is_up.notified();
                    match target.write(&rows).await {
                        Ok(verdicts) => {
                            assert!(!verdicts.contains(&Verdict::Newer), "{verdicts:?}");
                            break;
                        }
                        Err(error) => {
                            *classes.entry(error.class().name()).or_insert(0) += 1;
                            // Until the server is up again, or a moment: it may have come up before we asked.
                            let _ = tokio::time::timeout(Duration::from_millis(50), up_again).await;
                        }
                    }
                }
                if done.fetch_add(1, Ordering::SeqCst) + 1 == WRITERS * 50 {
                    under_way.notify_one();
                }
            }
            classes
        }));
    }
    under_way.notified().await;
    server.kill().await;
    assert!(done.load(Ordering::SeqCst) < WRITERS * 200, "killed in the middle");
    server.restart().await;
    is_up.notify_waiters();
    let mut seen = HashMap::new();
    for writer in writers {
        for (class, times) in writer.await.unwrap() {
            *seen.entry(class).or_insert(0) += times;
        }
    }
    assert!(!seen.is_empty(), "nobody noticed");
    assert!(seen.keys().all(|class| ["uncertain", "outage"].contains(class)), "{seen:?}");
    let held = server.run("SELECT a, writes FROM orders").await;
    assert_eq!(held.len(), 1 + 2 + 3 + 4);
    // Each version once: not lost, and not done again where the answer was.
    for order in held {
        assert_eq!(order, [Some(VERSIONS.to_string()), Some(VERSIONS.to_string())]);
    }
}

/// Stands between a target and a server; once told to, it lets everything reach the server, and breaks the connection
/// instead of passing an answer on.
struct Between {
    port: u16,
    deaf: Arc<AtomicBool>,
}

impl Between {
    async fn new(server: &PostgresServer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, deaf) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let (is_deaf, behind) = (deaf.clone(), port_of(&server.url()));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let is_deaf = is_deaf.clone();
                tokio::spawn(async move {
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let there = tokio::spawn(async move {
                        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    });
                    let mut bytes = vec![0; 65_536];
                    while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
                        if is_deaf.load(Ordering::SeqCst)
                            || to_client.write_all(&bytes[..read]).await.is_err()
                        {
                            break;
                        }
                    }
                    there.abort();
                });
            }
        });
        Self { port, deaf }
    }
}

fn port_of(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_and_asked_for_again() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let between = Between::new(&server).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", between.port);
    let target = Postgres::new(settings(url)).unwrap();
    let records: Vec<String> = (0..4).map(|n| format!(r#"{{"orderId":"1","a":"{n}"}}"#)).collect();
    assert_eq!(write(&target, &[row("1", &records[0], version(0))]).await, [Verdict::Written]);

    between.deaf.store(true, Ordering::SeqCst);
    let newer = [row("1", &records[1], version(1))];
    let error = target.write(&newer).await.expect_err("no answer");
    assert_eq!(error.class(), Class::Uncertain, "{error}");
    between.deaf.store(false, Ordering::SeqCst);
    assert_eq!(write(&target, &newer).await, [Verdict::Already]);

    // A batch has not been told to commit by then, so its end is the other one.
    let newer = [row("1", &records[2], version(2)), row("1", &records[3], version(3))];
    between.deaf.store(true, Ordering::SeqCst);
    assert_eq!(target.write(&newer).await.expect_err("no answer").class(), Class::Uncertain);
    assert_eq!(server.value("SELECT a FROM orders").await.unwrap(), "1");
    between.deaf.store(false, Ordering::SeqCst);
    assert_eq!(write(&target, &newer).await, [Verdict::Written; 2]);
    assert_eq!(server.run("SELECT a, writes FROM orders").await, [[Some("3".into()), Some("4".into())]]);
}

#[tokio::test]
async fn a_lock_that_others_hold_costs_the_time_that_is_given_and_no_more() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target =
        Postgres::new(Settings { timeout: Duration::from_millis(1_500), ..settings(server.url()) }).unwrap();
    let record = r#"{"orderId":"1","a":"1"}"#;
    // Connected, and the versions are there: what follows waits for the lock alone.
    assert_eq!(write(&target, &[row("1", record, version(1))]).await, [Verdict::Written]);
    let (holder, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    holder.batch_execute("BEGIN; LOCK TABLE orders IN EXCLUSIVE MODE").await.unwrap();
    for rows in
        [&[row("1", record, version(2))][..], &[row("1", record, version(2)), row("2", record, version(2))]]
    {
        let error = target.write(rows).await.expect_err("locked");
        assert!([Class::Retryable, Class::Uncertain].contains(&error.class()), "{error}");
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(write(&target, &[row("1", record, version(2))]).await, [Verdict::Written]);
    assert_eq!(server.value("SELECT writes FROM orders").await.unwrap(), "2");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so_and_no_password_is_repeated() {
    let mut server = PostgresServer::start().await;
    server.run(COUNTED).await;
    server
        .run(
            "CREATE USER locked PASSWORD 'right-password'; GRANT SELECT, INSERT, UPDATE ON orders TO locked;
             REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        )
        .await;
    let url = server.url_as(PostgresServer::LOCKED);
    let with = |url: &str, password: Option<&str>| {
        let password = password.map(str::to_string);
        Postgres::new(Settings { password, ..settings(url.to_string()) }).unwrap()
    };
    let record = r#"{"orderId":"1","a":"1"}"#;
    let rows = [row("1", record, version(1))];
    let inside = url.replace("locked@", "locked:wrong-password@");
    let mut said = Vec::new();
    for target in [with(&url, Some("wrong-password")), with(&inside, None), with(&url, None)] {
        let error = target.write(&rows).await.expect_err("not let in");
        assert_eq!(error.class(), Class::Credentials, "{error}");
        said.push(error);
    }
    // Let in, but the table of versions cannot be made; the statement for its owner is in the error.
    let target = with(&url, Some("right-password"));
    let error = target.write(&rows).await.expect_err("no right");
    assert_eq!(error.class(), Class::Credentials, "{error}");
    let create = error.to_string();
    server.run(&create[create.find("CREATE TABLE").expect("suggested")..]).await;
    said.push(error);
    let error = target.write(&rows).await.expect_err("no right");
    assert_eq!((error.class(), error.sqlstate()), (Class::Credentials, Some("42501")), "{error}");
    said.push(error);
    server.run("GRANT SELECT, INSERT, UPDATE ON orderflow_versions TO locked").await;
    assert_eq!(write(&target, &rows).await, [Verdict::Written]);

    let nowhere = with(&format!("{}-not", server.url()), None);
    let error = nowhere.write(&rows).await.expect_err("no such database");
    assert_eq!((error.class(), error.sqlstate()), (Class::Outage, Some("3D000")), "{error}");
    server.kill().await;
    for _ in 0..2 {
        // First on a connection that has ended, then on none.
        let error = target.write(&rows).await.expect_err("nobody is there");
        assert!([Class::Outage, Class::Uncertain].contains(&error.class()), "{error}");
        said.push(error);
    }
    assert!(said.iter().any(|error| matches!(error, PostgresError::Connect { .. })), "{said:?}");
    for error in said {
        let text = format!("{error} {error:?} {error:#?}");
        assert!(
            !text.contains("password\"") && !text.contains("wrong-") && !text.contains("right-"),
            "{text}"
        );
    }
    let shown = format!("{:?}", Settings { password: Some("right-password".into()), ..settings(inside) });
    assert!(!shown.contains("password"), "{shown}");
}

#[tokio::test]
async fn a_server_that_only_reads_is_waited_for() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = target(&server);
    let record = r#"{"orderId":"1","a":"1"}"#;
    assert_eq!(write(&target, &[row("1", record, version(1))]).await, [Verdict::Written]);
    server.run("ALTER SYSTEM SET default_transaction_read_only = on").await;
    server.run("SELECT pg_reload_conf()").await;
    let reading = Postgres::new(settings(server.url())).unwrap();
    orderflow_tests::until("it reads only", async || {
        let rows = [row("1", record, version(1))];
        reading.write(&rows).await.is_err_and(|error| error.class() == Class::Outage)
    })
    .await;
}

#[tokio::test]
async fn tls_is_used_as_far_as_the_url_asks_for_it() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right.pem"), folder.path().join("wrong.pem"));
    std::fs::write(&right, certified.cert.pem()).unwrap();
    std::fs::write(&wrong, other.cert.pem()).unwrap();
    let server =
        PostgresServer::start_with_tls(&certified.cert.pem(), &certified.signing_key.serialize_pem()).await;
    server.run(COUNTED).await;
    let record = r#"{"orderId":"1","a":"1"}"#;
    let rows = [row("1", record, version(1))];
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE ssl AND application_name = ";
    let verified = format!("sslmode=verify-full&sslrootcert={}", right.display());
    for (query, expected) in [
        ("", "1"),
        ("sslmode=prefer", "1"),
        ("sslmode=require", "1"),
        (&verified, "1"),
        ("sslmode=disable", "0"),
    ] {
        let name = format!("of-{}", query.len());
        let url = format!("{}?application_name={name}&{query}", server.url());
        let target = Postgres::new(settings(url)).unwrap();
        write(&target, &rows).await;
        assert_eq!(server.value(&format!("{encrypted}'{name}'")).await.unwrap(), expected, "{query}");
    }
    // Somebody else's certificate, and one that no machine trusts.
    for query in
        [format!("sslmode=verify-full&sslrootcert={}", wrong.display()), "sslmode=verify-full".into()]
    {
        // A machine that trusts nobody at all cannot even begin.
        if let Ok(target) = Postgres::new(settings(format!("{}?{query}", server.url()))) {
            let error = target.write(&rows).await.expect_err("not proved");
            assert_eq!(error.class(), Class::Outage, "{error}");
            assert!(error.to_string().contains("TLS"), "{error}");
        }
    }
    let plain = PostgresServer::start().await;
    let target = Postgres::new(settings(format!("{}?sslmode=require", plain.url()))).unwrap();
    let error = target.write(&rows).await.expect_err("there is no TLS");
    assert_eq!(error.class(), Class::Outage, "{error}");
    assert!(error.to_string().contains("TLS"), "{error}");
}
