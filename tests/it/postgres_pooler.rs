//! The PostgreSQL target behind a PgBouncer that gives a session of the server away after each
//! transaction.

use std::collections::HashSet;
use std::time::Duration;

use events::Outcome;
use http::Class;
use journal::Stream;
use orderflow_tests::{PgBouncer, PostgresServer, World};
use postgres::{Postgres, Row, Settings, Verdict};
use sandbox::Faults;

use crate::postgres::{COUNTED, row, settings, version, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_two_sessions_and_each_version_is_written_once() {
    const WRITERS: i64 = 6;
    const VERSIONS: i64 = 40;
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let pooler = PgBouncer::start(&server, 2).await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        // A target of its own has connections of its own, and records with other fields make other
        // statements.
        let target = Postgres::new(settings(pooler.url())).unwrap();
        writers.push(tokio::spawn(async move {
            let field = if writer % 2 == 0 { "a" } else { "b" };
            for at in 1..=VERSIONS {
                let keys: Vec<String> = (0..=writer).map(|n| format!("{writer}-{n}")).collect();
                let record = |key: &String| format!(r#"{{"orderId":"{key}","{field}":"{at}"}}"#);
                let records: Vec<String> = keys.iter().map(record).collect();
                let rows: Vec<Row<'_>> =
                    keys.iter().zip(&records).map(|(key, record)| row(key, record, version(at))).collect();
                assert_eq!(write(&target, &rows).await, vec![Verdict::Written; rows.len()]);
                // Asked again what an answer would have said that was lost.
                assert_eq!(write(&target, &rows[..1]).await, [Verdict::Already]);
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let held = server.run("SELECT coalesce(a, b), writes FROM orders").await;
    assert_eq!(held.len(), 1 + 2 + 3 + 4 + 5 + 6);
    for order in held {
        assert_eq!(order, [Some(VERSIONS.to_string()), Some(VERSIONS.to_string())]);
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orderflow'";
    assert!(server.value(sessions).await.unwrap().parse::<u32>().unwrap() <= 2, "they are shared");
}

#[tokio::test]
async fn nothing_of_ours_stays_on_a_session_that_others_get() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let pooler = PgBouncer::start(&server, 1).await;
    let (other, connection) = tokio_postgres::connect(&pooler.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let state = "SELECT current_setting('statement_timeout'), current_setting('synchronous_commit'), \
        current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation'), \
        (SELECT count(*) FROM pg_prepared_statements)::text";
    let seen = async || {
        let rows = other.simple_query(state).await.unwrap();
        let row = rows.iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        (0..5).map(|at| row.unwrap().get(at).unwrap().to_string()).collect::<Vec<_>>()
    };
    server.run("ALTER SYSTEM SET synchronous_commit = off").await;
    server.run("SELECT pg_reload_conf()").await;
    orderflow_tests::until("it is so", async || seen().await[1] == "off").await;
    let before = seen().await;
    let target = Postgres::new(settings(pooler.url())).unwrap();
    let record = r#"{"orderId":"1","a":"1"}"#;
    let wrong = r#"{"orderId":"2\u0000","a":"1"}"#;
    assert_eq!(write(&target, &[row("1", record, version(1))]).await, [Verdict::Written]);
    for rows in
        [&[row("2", wrong, version(1))][..], &[row("1", record, version(2)), row("2", wrong, version(1))]]
    {
        assert_eq!(target.write(rows).await.expect_err("refused").class(), Class::Permanent);
        assert_eq!(seen().await, before);
    }
    let other_order = r#"{"orderId":"3","b":"1"}"#;
    let another = other_order.replace('3', "4");
    let batch =
        [row("1", record, version(2)), row("3", other_order, version(1)), row("4", &another, version(1))];
    assert_eq!(write(&target, &batch).await, [Verdict::Written; 3]);
    assert_eq!(seen().await, before);
    // Whoever shares the session with us may have a statement of any name there already.
    let theirs: String = (0..200).map(|n| format!("PREPARE s{n} AS SELECT 1;")).collect();
    other.batch_execute(&theirs).await.unwrap();
    assert_eq!(write(&target, &[row("1", record, version(3))]).await, [Verdict::Written]);
    assert_eq!(
        write(&target, &[row("1", record, version(4)), row("3", other_order, version(4))]).await,
        [Verdict::Written; 2]
    );
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up_by_the_server_also_behind_a_pooler() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let pooler = PgBouncer::start(&server, 2).await;
    let target =
        Postgres::new(Settings { timeout: Duration::from_millis(1_500), ..settings(pooler.url()) }).unwrap();
    let record = r#"{"orderId":"1","a":"1"}"#;
    assert_eq!(write(&target, &[row("1", record, version(1))]).await, [Verdict::Written]);
    let (holder, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    holder.batch_execute("BEGIN; LOCK TABLE orders IN EXCLUSIVE MODE").await.unwrap();
    let error = target.write(&[row("1", record, version(2))]).await.expect_err("locked");
    assert_eq!(error.sqlstate(), Some("57014"), "{error}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(write(&target, &[row("1", record, version(2))]).await, [Verdict::Written]);
}

#[tokio::test]
async fn orders_arrive_through_a_pooler_alone_and_in_batches() {
    let server = PostgresServer::start().await;
    server.run(crate::targets::TABLE).await;
    let pooler = PgBouncer::start(&server, 2).await;
    let mut world = World::new(300, Faults::default()).await;
    let target = |name: &str, batch: usize| {
        let mut target = crate::targets::warehouse(&server, batch);
        target.name = name.into();
        target.url = pooler.url();
        target.versions = format!("{name}_versions");
        target
    };
    world.config.targets = vec![target("alone", 1), target("together", 20)];
    let run = world.sync_with(2).await;
    assert!(run.account.is_complete(), "{:?}", run.account);
    let outcomes: HashSet<(u64, u64)> =
        run.account.targets.iter().map(|target| (target.of(Outcome::Written), target.dead)).collect();
    assert_eq!(outcomes, HashSet::from([(300, 0)]));
    assert_eq!(world.journal.size(&world.names(), Stream::Dead).await.unwrap().0, 0);
    assert_eq!(server.value("SELECT count(*) FROM orders").await.unwrap(), "300");
}
