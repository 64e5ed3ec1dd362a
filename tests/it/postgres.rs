//! The PostgreSQL target against a real server: what the table holds afterwards, and what is said when it cannot.

use std::time::Duration;

use events::{ContentHash, Version};
use http::Class;
use orderflow_tests::PostgresServer;
use postgres::{DEFAULT_LEDGER, Postgres, PostgresError, Row, Settings, Verdict};

/// A table that counts what really happens to its rows.
pub(crate) const COUNTED: &str = r#"
    CREATE TABLE orders ("orderId" text PRIMARY KEY, a text, b text, writes int NOT NULL DEFAULT 1);
    CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END $$;
    CREATE TRIGGER counted BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION counted()"#;

pub(crate) fn settings(url: String) -> Settings {
    Settings {
        url,
        password: None,
        table: "orders".into(),
        key: "orderId".into(),
        ledger: DEFAULT_LEDGER.into(),
        scope: "flow/target".into(),
        connections: 4,
        timeout: Duration::from_secs(60),
    }
}

pub(crate) fn target(server: &PostgresServer) -> Postgres {
    Postgres::new(settings(server.url())).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn version(updated_at: i64) -> Version {
    Version { updated_at: Some(updated_at), raw_seq: 1, generation: 0 }
}

pub(crate) fn row<'a>(key: &'a str, record: &'a str, version: Version) -> Row<'a> {
    Row { key, record: record.as_bytes(), version, content: ContentHash::of(record.as_bytes()) }
}

pub(crate) async fn write(target: &Postgres, rows: &[Row<'_>]) -> Vec<Verdict> {
    target.write(rows).await.unwrap_or_else(|error| panic!("{error}\n{error:?}"))
}

async fn refused(target: &Postgres, rows: &[Row<'_>]) -> PostgresError {
    target.write(rows).await.expect_err("refused")
}

/// What follows the colon before it: the statement that an error suggests.
fn suggestion(error: &PostgresError) -> String {
    let text = error.to_string();
    let start = text.find("CREATE TABLE").or(text.find("ALTER TABLE")).unwrap_or_else(|| panic!("{text}"));
    text[start..].to_string()
}

#[tokio::test]
async fn every_digit_and_every_nested_value_arrives() {
    let server = PostgresServer::start().await;
    server
        .run(
            r#"CREATE TABLE orders ("orderId" text PRIMARY KEY, amount numeric, big numeric, tiny numeric, paid boolean,
               lines jsonb, "to" jsonb, name text, n bigint, at timestamptz, kept text DEFAULT 'default')"#,
        )
        .await;
    let target = target(&server);
    let record = r#"{"orderId":"O-1","amount":12345678901234567890.10,"big":98765432109876543210,
        "tiny":0.000000000000000000000000000001,"paid":true,"lines":[{"price":0.1000000000000000000001,"of":[[1,[2]]]}],
        "to":{"city":"北京","none":null},"name":"O'Neil \"x\" \\ 😀","n":9007199254740993,"at":"2024-05-06T07:08:09+08:00"}"#;
    assert_eq!(write(&target, &[row("1", record, version(1))]).await, [Verdict::Written]);
    let held = server
        .run(
            r#"SELECT amount, big, tiny, paid, lines, "to" ->> 'city', name, n, at = '2024-05-05T23:08:09Z', kept FROM orders"#,
        )
        .await;
    let expected = [
        "12345678901234567890.10",
        "98765432109876543210",
        "0.000000000000000000000000000001",
        "t",
        r#"[{"of": [[1, [2]]], "price": 0.1000000000000000000001}]"#,
        "北京",
        r#"O'Neil "x" \ 😀"#,
        "9007199254740993",
        "t",
        "default",
    ];
    let held: Vec<&str> = held[0].iter().map(|value| value.as_deref().unwrap()).collect();
    assert_eq!(held, expected);
}

#[tokio::test]
async fn a_number_that_a_column_would_round_is_refused_and_nothing_is_written() {
    let server = PostgresServer::start().await;
    server
        .run(
            r#"CREATE DOMAIN money2 AS numeric(12,2);
               CREATE TABLE orders ("orderId" text PRIMARY KEY, cents numeric(12,2), ratio float8, own money2)"#,
        )
        .await;
    let target = target(&server);
    let fits = r#"{"orderId":"1","cents":"1.50","ratio":0.1,"own":7}"#;
    assert_eq!(write(&target, &[row("1", fits, version(1))]).await, [Verdict::Written]);
    for (field, value) in [("cents", "1.005"), ("ratio", "12345678901234567890"), ("own", "0.001")] {
        let record = format!(r#"{{"orderId":"1","{field}":{value}}}"#);
        let other = r#"{"orderId":"2"}"#;
        for rows in [
            &[row("1", &record, version(2))][..],
            &[row("2", other, version(2)), row("1", &record, version(2))],
        ] {
            let error = refused(&target, rows).await;
            assert_eq!(error.class(), Class::Permanent, "{error}");
            assert!([field, value].iter().all(|word| error.to_string().contains(word)), "{error}");
            assert_eq!(error.theirs(), Some(value), "{error}");
        }
    }
    let held = server.run(r#"SELECT "orderId", cents, ratio, own FROM orders"#).await;
    assert_eq!(held, [["1", "1.50", "0.1", "7.00"].map(|text| Some(text.to_string()))]);
    assert_eq!(server.value("SELECT updated_at FROM orderflow_versions").await.unwrap(), "1");
}

#[tokio::test]
async fn newer_wins_and_a_version_is_written_once() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = target(&server);
    let versioned = |updated_at, raw_seq, generation| Version { updated_at, raw_seq, generation };
    // Ascending as events::Version has it; a record names only what it has, the other column stays.
    let ascending = [
        (versioned(None, 9, 0), r#"{"orderId":"1","a":"0"}"#),
        (versioned(Some(-5), 5, 0), r#"{"orderId":"1","b":"1"}"#),
        (versioned(Some(0), 5, 0), r#"{"orderId":"1","a":"2"}"#),
        (versioned(Some(0), 5, 1), r#"{"orderId":"1","a":"3"}"#),
        (versioned(Some(0), 6, 0), r#"{"orderId":"1","a":"4"}"#),
        (versioned(Some(1), 1, 0), r#"{"orderId":"1","a":"5"}"#),
    ];
    assert!(ascending.is_sorted_by_key(|(version, _)| *version));
    for (at, (version, record)) in ascending.iter().enumerate() {
        assert_eq!(write(&target, &[row("1", record, *version)]).await, [Verdict::Written], "{version:?}");
        assert_eq!(write(&target, &[row("1", record, *version)]).await, [Verdict::Already], "{version:?}");
        for (older, record) in &ascending[..at] {
            assert_eq!(write(&target, &[row("1", record, *older)]).await, [Verdict::Newer], "{older:?}");
        }
        assert_eq!(server.value("SELECT writes FROM orders").await.unwrap(), (at + 1).to_string());
    }
    assert_eq!(server.run("SELECT a, b FROM orders").await, [[Some("5".into()), Some("1".into())]]);
    // The same reading under another mapping: not the same thing, so it is written.
    let (newest, other) = (ascending[5].0, r#"{"orderId":"1","a":"6"}"#);
    assert_eq!(write(&target, &[row("1", other, newest)]).await, [Verdict::Written]);
    assert_eq!(server.value("SELECT a FROM orders").await.unwrap(), "6");
    // Another target has versions of its own.
    let elsewhere = Settings { scope: "flow/other".into(), ..settings(server.url()) };
    let elsewhere = Postgres::new(elsewhere).unwrap();
    assert_eq!(write(&elsewhere, &[row("1", ascending[0].1, ascending[0].0)]).await, [Verdict::Written]);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing() {
    let server = PostgresServer::start().await;
    server.run(r#"CREATE TABLE orders ("orderId" text PRIMARY KEY, n int CHECK (n < 100))"#).await;
    let target = target(&server);
    let records: Vec<String> = (0..40).map(|n| format!(r#"{{"orderId":"{n}","n":{n}}}"#)).collect();
    let keys: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let good: Vec<Row<'_>> =
        keys.iter().zip(&records).map(|(key, record)| row(key, record, version(1))).collect();
    for bad in [
        r#"{"orderId":"x","n":100}"#,
        r#"{"orderId":"x","n":1.5}"#,
        r#"{"orderId":"x\u0000","n":1}"#,
        r#"{"orderId":"x","n":"many"}"#,
        r#"["orderId"]"#,
        r#"{"orderId":null}"#,
    ] {
        let mut rows = good.clone();
        rows.insert(20, row("20a", bad, version(1)));
        let error = refused(&target, &rows).await;
        assert_eq!(error.class(), Class::Permanent, "{bad}: {error}");
        assert_eq!(server.value("SELECT count(*) FROM orders").await.unwrap(), "0", "{bad}");
    }
    // The server quotes the row, which may name a person: it is known which part of the message that is.
    let error = refused(&target, &[row("x", r#"{"orderId":"x","n":100}"#, version(1))]).await;
    let theirs = error.theirs().unwrap();
    assert!(theirs.contains("(x, 100)") && error.to_string() == format!("23514: {theirs}"), "{error}");
    assert_eq!(server.value("SELECT count(*) FROM orderflow_versions").await.unwrap(), "0");
    assert_eq!(write(&target, &good).await, vec![Verdict::Written; 40]);
    assert_eq!(write(&target, &good).await, vec![Verdict::Already; 40]);
    assert_eq!(server.value("SELECT sum(n) FROM orders").await.unwrap(), "780");
    assert_eq!(target.write(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn an_order_may_be_in_a_batch_several_times() {
    let server = PostgresServer::start().await;
    server.run(r#"CREATE TABLE orders ("orderId" text PRIMARY KEY, n int)"#).await;
    let target = target(&server);
    let records: Vec<String> = (0..5).map(|n| format!(r#"{{"orderId":"1","n":{n}}}"#)).collect();
    let of = |n: usize| row("1", &records[n], version(i64::try_from(n).unwrap()));
    let other = r#"{"orderId":"0","n":0}"#;
    let verdicts =
        write(&target, &[of(1), of(3), of(3), row("0", other, version(1)), of(2), of(4), of(0)]).await;
    use Verdict::{Newer, Written};
    // The verdicts are of the end of the batch: by then the third is not the newest any more.
    assert_eq!(verdicts, [Written, Written, Newer, Written, Newer, Written, Newer]);
    assert_eq!(server.value(r#"SELECT n FROM orders WHERE "orderId" = '1'"#).await.unwrap(), "4");
}

#[tokio::test]
async fn what_is_missing_is_named_and_heals_without_a_restart() {
    let server = PostgresServer::start().await;
    let target = target(&server);
    let record = r#"{"orderId":"1","sum":1.5,"paid":true,"lines":[],"note":"x"}"#;
    let error = refused(&target, &[row("1", record, version(1))]).await;
    insta::assert_snapshot!(error, @r#"the table orders does not exist; to have one for these orders: CREATE TABLE "orders" ("lines" jsonb, "note" text, "orderId" text PRIMARY KEY, "paid" boolean, "sum" numeric);"#);
    assert_eq!(error.class(), Class::Outage);
    server.run(&suggestion(&error)).await;
    assert_eq!(write(&target, &[row("1", record, version(1))]).await, [Verdict::Written]);

    let record = r#"{"orderId":"1","Total \"net\"":2.5}"#;
    let error = refused(&target, &[row("1", record, version(2))]).await;
    insta::assert_snapshot!(error, @r#"the table orders has no column "Total \"net\"" for the field "Total \"net\"" of the record; to have one: ALTER TABLE "orders" ADD COLUMN "Total ""net""" numeric;"#);
    assert_eq!(error.class(), Class::Outage);
    server.run(&suggestion(&error)).await;
    assert_eq!(write(&target, &[row("1", record, version(2))]).await, [Verdict::Written]);

    // Taken away behind our back, while it is remembered.
    server.run(r#"ALTER TABLE orders DROP COLUMN "Total ""net""""#).await;
    let error = refused(&target, &[row("1", record, version(3))]).await;
    assert!(matches!(error, PostgresError::NoColumn { .. }), "{error}");
    server.run(r#"DROP TABLE orders; DROP TABLE orderflow_versions"#).await;
    let error = refused(&target, &[row("1", r#"{"orderId":"1"}"#, version(3))]).await;
    assert!(matches!(error, PostgresError::NoTable { .. }), "{error}");

    // A column of another type is used as it is now, and the versions that went with their table are made anew.
    server.run(r#"CREATE TABLE orders ("orderId" text, sum text)"#).await;
    let record = r#"{"orderId":"1","sum":1.50}"#;
    let error = refused(&target, &[row("1", record, version(4))]).await;
    insta::assert_snapshot!(error, @r#"the column "orderId" of orders is neither a primary key nor unique; to make it one: ALTER TABLE "orders" ADD UNIQUE ("orderId");"#);
    assert_eq!(error.class(), Class::Outage);
    server.run(&suggestion(&error)).await;
    assert_eq!(write(&target, &[row("1", record, version(4))]).await, [Verdict::Written]);
    assert_eq!(server.value("SELECT sum FROM orders").await.unwrap(), "1.50");

    let error = refused(&target, &[row("1", r#"{"order_id":"1"}"#, version(5))]).await;
    insta::assert_snapshot!(error, @r#"the record has no field "orderId", the column that identifies an order in orders"#);
    assert_eq!(error.class(), Class::Outage);
}

#[tokio::test]
async fn tables_may_be_in_a_schema_and_the_versions_too() {
    let server = PostgresServer::start().await;
    server
        .run(r#"CREATE SCHEMA "Shop"; CREATE TABLE "Shop"."Orders" ("orderId" bigint UNIQUE, "select" text)"#)
        .await;
    let settings =
        Settings { table: "Shop.Orders".into(), ledger: "Shop.versions".into(), ..settings(server.url()) };
    let target = Postgres::new(settings).unwrap();
    let record = r#"{"orderId":9007199254740993,"select":"'; DROP TABLE \"Shop\".\"Orders\"; --"}"#;
    assert_eq!(write(&target, &[row("k'1", record, version(1))]).await, [Verdict::Written]);
    assert_eq!(server.value(r#"SELECT "orderId" FROM "Shop"."Orders""#).await.unwrap(), "9007199254740993");
    assert_eq!(server.value(r#"SELECT key FROM "Shop".versions"#).await.unwrap(), "k'1");
}
