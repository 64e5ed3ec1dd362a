//! The PostgreSQL target when one row is refused, or silently dropped, while others pass; and when
//! no row passes.

use std::time::Duration;

use events::{DeadLetter, Outcome};
use futures::StreamExt;
use http::Class;
use journal::{From, Stream};
use orderflow_tests::{PostgresServer, World};
use postgres::{Postgres, PostgresError, Row, Verdict};
use sandbox::Faults;

use crate::postgres::{COUNTED, row, settings, target, version, write};
use crate::targets::{TABLE, warehouse};

const GOOD: &str = r#"{"orderId":"1","a":"good"}"#;
const BAD: &str = r#"{"orderId":"2","a":"bad"}"#;
const LATER: &str = r#"{"orderId":"3","a":"good"}"#;

fn good<'a>(at: i64) -> Row<'a> {
    row("1", GOOD, version(at))
}

fn bad<'a>() -> Row<'a> {
    row("2", BAD, version(1))
}

async fn refused(target: &Postgres, rows: &[Row<'_>]) -> PostgresError {
    target.write(rows).await.expect_err("refused")
}

/// Somebody who may write orders, no more.
async fn as_clerk(server: &PostgresServer) -> Postgres {
    server
        .run("CREATE USER clerk; GRANT SELECT, INSERT, UPDATE ON orders TO clerk; GRANT CREATE ON SCHEMA public TO clerk")
        .await;
    Postgres::new(settings(server.url_as("clerk"))).unwrap()
}

/// A trigger that does something with a row whose `a` is `bad`.
async fn on_bad(server: &PostgresServer, events: &str, does: &str) {
    server
        .run(&format!(
            "CREATE OR REPLACE FUNCTION on_bad() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.a = 'bad' THEN {does}; END IF; RETURN NEW; END $$;
             DROP TRIGGER IF EXISTS on_bad ON orders;
             CREATE TRIGGER on_bad BEFORE {events} ON orders FOR EACH ROW EXECUTE FUNCTION on_bad()"
        ))
        .await;
}

#[tokio::test]
async fn a_row_that_a_policy_refuses_is_that_orders_and_a_missing_grant_is_not() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = as_clerk(&server).await;
    server.run("ALTER TABLE orders ENABLE ROW LEVEL SECURITY").await;
    // No policy is for us: no row at all gets in.
    for rows in [&[good(1)][..], &[good(1), bad()]] {
        let error = refused(&target, rows).await;
        assert_eq!((error.class(), error.sqlstate()), (Class::Credentials, Some("42501")), "{error}");
    }
    server.run("CREATE POLICY good ON orders TO clerk USING (a <> 'bad') WITH CHECK (a <> 'bad')").await;
    for rows in [&[bad()][..], &[good(1), bad()]] {
        let error = refused(&target, rows).await;
        assert_eq!((error.class(), error.sqlstate()), (Class::Permanent, Some("42501")), "{error}");
    }
    assert_eq!(write(&target, &[good(1)]).await, [Verdict::Written]);
    assert_eq!(server.value("SELECT count(*) FROM orderflow_versions").await.unwrap(), "1");
    // An order that is there, and that we may not see any more.
    server.run("UPDATE orders SET a = 'bad'").await;
    assert_eq!(refused(&target, &[good(2)]).await.class(), Class::Permanent);

    for grant in
        ["INSERT ON orders", "UPDATE ON orders", "INSERT ON orderflow_versions", "USAGE ON SCHEMA public"]
    {
        server
            .run("ALTER TABLE orderflow_versions OWNER TO postgres; GRANT ALL ON orderflow_versions TO clerk")
            .await;
        server.run(&format!("REVOKE {grant} FROM clerk, PUBLIC")).await;
        for rows in [&[row("3", LATER, version(1))][..], &[row("3", LATER, version(1)), bad()]] {
            let error = refused(&target, rows).await;
            let said = (error.class(), error.sqlstate());
            let missing = (Class::Outage, None);
            assert!([(Class::Credentials, Some("42501")), missing].contains(&said), "{grant}: {error}");
        }
        server.run(&format!("GRANT {grant} TO clerk")).await;
    }
    assert_eq!(write(&target, &[row("3", LATER, version(1))]).await, [Verdict::Written]);
}

#[tokio::test]
async fn a_missing_policy_for_changes_or_for_the_versions_is_no_orders_fault() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = as_clerk(&server).await;
    assert_eq!(write(&target, &[good(1)]).await, [Verdict::Written]);
    server
        .run(
            "ALTER TABLE orderflow_versions OWNER TO postgres; GRANT ALL ON orderflow_versions TO clerk;
             ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
             CREATE POLICY look ON orders FOR SELECT TO PUBLIC USING (true);
             CREATE POLICY add ON orders FOR INSERT TO clerk WITH CHECK (true)",
        )
        .await;
    // New orders pass, changed ones do not.
    assert_eq!(write(&target, &[row("3", LATER, version(1))]).await, [Verdict::Written]);
    let is_of_configuration = |error: &PostgresError| {
        assert_eq!((error.class(), error.sqlstate()), (Class::Credentials, Some("42501")), "{error}");
    };
    is_of_configuration(&refused(&target, &[good(2)]).await);
    is_of_configuration(&refused(&target, &[good(2), row("4", &LATER.replace('3', "4"), version(1))]).await);
    server
        .run("CREATE POLICY change ON orders FOR UPDATE TO clerk USING (true) WITH CHECK (a <> 'bad')")
        .await;
    assert_eq!(write(&target, &[good(2)]).await, [Verdict::Written]);
    // With all three, a policy speaks of its row again.
    let turned_bad = GOOD.replace("good", "bad");
    assert_eq!(refused(&target, &[row("1", &turned_bad, version(3))]).await.class(), Class::Permanent);

    for lacking in ["INSERT", "UPDATE", "SELECT"] {
        server.run("DROP POLICY IF EXISTS a ON orderflow_versions; DROP POLICY IF EXISTS b ON orderflow_versions").await;
        server.run("ALTER TABLE orderflow_versions ENABLE ROW LEVEL SECURITY").await;
        let others = ["INSERT", "UPDATE", "SELECT"].into_iter().filter(|command| *command != lacking);
        for (command, name) in others.zip(["a", "b"]) {
            let check = if command == "INSERT" { "WITH CHECK" } else { "USING" };
            server
                .run(&format!(
                    "CREATE POLICY {name} ON orderflow_versions FOR {command} TO clerk {check} (true)"
                ))
                .await;
        }
        is_of_configuration(&refused(&target, &[good(3)]).await);
    }
    server.run("ALTER TABLE orderflow_versions DISABLE ROW LEVEL SECURITY").await;
    assert_eq!(write(&target, &[good(3)]).await, [Verdict::Written]);
}

#[tokio::test]
async fn what_code_of_the_table_raises_about_a_row_is_never_about_all_rows() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = target(&server);
    let states = [
        "P0001", "57P01", "08006", "XX000", "28000", "53100", "25006", "42P01", "3D000", "42501", "26000",
        "ZZ999",
    ];
    for state in states {
        on_bad(&server, "INSERT", &format!("RAISE EXCEPTION 'not this one' USING ERRCODE = '{state}'")).await;
        for rows in [&[bad()][..], &[good(1), bad()]] {
            let error = refused(&target, rows).await;
            assert_eq!((error.class(), error.sqlstate()), (Class::Refusing, Some(state)), "{error}");
        }
    }
    on_bad(&server, "INSERT", "RAISE EXCEPTION 'no' USING ERRCODE = '23514'").await;
    assert_eq!(refused(&target, &[bad()]).await.class(), Class::Permanent);
    assert_eq!(server.value("SELECT count(*) FROM orders").await.unwrap(), "0");
    assert_eq!(write(&target, &[good(1)]).await, [Verdict::Written]);
}

#[tokio::test]
async fn an_error_of_the_whole_target_that_only_one_row_meets_is_that_rows() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    server
        .run("CREATE TABLE hidden (x int); CREATE FUNCTION look() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        .await;
    server.run("REVOKE EXECUTE ON FUNCTION look() FROM PUBLIC").await;
    let target = as_clerk(&server).await;
    for (does, class, state) in [
        ("PERFORM look()", Class::Credentials, "42501"),
        ("PERFORM x FROM hidden", Class::Credentials, "42501"),
        ("PERFORM x FROM nowhere", Class::Outage, "42P01"),
        ("PERFORM nothing()", Class::Outage, "42883"),
    ] {
        on_bad(&server, "INSERT OR UPDATE", does).await;
        // In a batch others are tried, and nothing of it stays.
        let error = refused(&target, &[bad(), row("3", LATER, version(1))]).await;
        assert_eq!((error.class(), error.sqlstate()), (Class::Refusing, Some(state)), "{error}");
        assert_eq!(server.value("SELECT count(*) FROM orders").await.unwrap(), "0");
        // Alone it is not known whose fault it is, until others pass.
        let fresh = Postgres::new(settings(server.url_as("clerk"))).unwrap();
        for _ in 0..2 {
            assert_eq!(refused(&fresh, &[bad()]).await.class(), class, "{does}");
        }
        assert_eq!(write(&fresh, &[good(1)]).await, [Verdict::Written]);
        assert_eq!(refused(&fresh, &[bad()]).await.class(), Class::Refusing, "{does}");
        server.run("TRUNCATE orders, orderflow_versions").await;
    }
    // Where no row of a batch passes, all wait.
    on_bad(&server, "INSERT OR UPDATE", "PERFORM look()").await;
    let fresh = Postgres::new(settings(server.url_as("clerk"))).unwrap();
    let error = refused(&fresh, &[bad(), row("3", &LATER.replace("good", "bad"), version(1))]).await;
    assert_eq!((error.class(), error.sqlstate()), (Class::Credentials, Some("42501")), "{error}");
}

#[tokio::test]
async fn a_row_that_the_table_swallows_is_not_called_written() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = target(&server);
    on_bad(&server, "INSERT", "RETURN NULL").await;
    for rows in [&[bad()][..], &[good(1), bad()]] {
        let error = refused(&target, rows).await;
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert!(error.to_string().contains("the table orders stored no row"), "{error}");
    }
    assert_eq!(server.value("SELECT count(*) FROM orderflow_versions").await.unwrap(), "0");
    // Only a change is swallowed.
    on_bad(&server, "UPDATE", "RETURN NULL").await;
    let first = r#"{"orderId":"2","a":"first"}"#;
    assert_eq!(write(&target, &[row("2", first, version(0))]).await, [Verdict::Written]);
    for rows in [&[bad()][..], &[good(1), bad()]] {
        assert!(refused(&target, rows).await.to_string().contains("stored no row"));
    }
    assert_eq!(server.run("SELECT a FROM orders").await, [[Some("first".into())]]);
    assert_eq!(server.run("SELECT updated_at FROM orderflow_versions").await, [[Some("0".into())]]);
    // The same version is written once the table takes it.
    server.run("DROP TRIGGER on_bad ON orders").await;
    assert_eq!(write(&target, &[good(1), bad()]).await, [Verdict::Written; 2]);
    assert_eq!(write(&target, &[bad()]).await, [Verdict::Already]);
}

#[tokio::test]
async fn a_row_of_nothing_but_its_key_is_written_when_it_is_there() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    let target = target(&server);
    let record = r#"{"orderId":"2"}"#;
    server
        .run(
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
             CREATE TRIGGER nothing BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION nothing()",
        )
        .await;
    for rows in [&[row("2", record, version(1))][..], &[row("2", record, version(1)), bad()]] {
        assert!(refused(&target, rows).await.to_string().contains("stored no row"));
    }
    assert_eq!(server.value("SELECT count(*) FROM orderflow_versions").await.unwrap(), "0");
    server.run("DROP TRIGGER nothing ON orders").await;
    assert_eq!(write(&target, &[row("2", record, version(1))]).await, [Verdict::Written]);
    assert_eq!(write(&target, &[row("2", record, version(2))]).await, [Verdict::Written], "as it was");
    assert_eq!(server.run("SELECT writes FROM orders").await, [[Some("1".into())]]);
}

#[tokio::test]
async fn a_table_with_a_rule_is_waited_for_and_nothing_is_called_written() {
    let server = PostgresServer::start().await;
    server.run(COUNTED).await;
    server.run("CREATE RULE nothing AS ON INSERT TO orders DO INSTEAD NOTHING").await;
    let target = target(&server);
    for rows in [&[good(1)][..], &[good(1), bad()]] {
        let error = refused(&target, rows).await;
        assert_eq!((error.class(), error.sqlstate()), (Class::Outage, Some("0A000")), "{error}");
    }
    server.run("DROP RULE nothing ON orders").await;
    assert_eq!(write(&target, &[good(1)]).await, [Verdict::Written]);
}

/// An order of the sandbox, by its key.
const CULPRIT: &str = "5200000091";

/// A pipeline of 60 orders to a table that `setup` makes refuse the culprit: the rest arrives, and
/// its letter is returned.
async fn letter_of_culprit(setup: &str, batch: usize) -> DeadLetter {
    let server = PostgresServer::start().await;
    server.run(TABLE).await;
    server
        .run("CREATE USER clerk; GRANT ALL ON orders TO clerk; GRANT CREATE ON SCHEMA public TO clerk")
        .await;
    server.run(&setup.replace("CULPRIT", CULPRIT)).await;
    let mut world = World::new(60, Faults::default()).await;
    let mut target = warehouse(&server, batch);
    target.url = server.url_as("clerk");
    world.config.targets = vec![target];
    world.config.writer.max_attempts = 3;
    // Where one order holds all others up, nothing would end.
    let run = tokio::time::timeout(Duration::from_secs(120), world.sync()).await.expect("the rest arrives");
    let [database] = run.account.targets.as_slice() else { panic!("one target") };
    assert_eq!((database.of(Outcome::Written), database.dead), (59, 1), "{:?}", run.account);
    assert_eq!(server.value("SELECT count(*) FROM orders").await.unwrap(), "59");
    assert_eq!(server.value("SELECT count(*) FROM orderflow_versions").await.unwrap(), "59");
    let letters = world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    let letter = Box::pin(letters).next().await.unwrap().unwrap().event::<DeadLetter>().unwrap().body;
    assert_eq!(letter.key.as_deref(), Some(CULPRIT));
    letter
}

#[tokio::test]
async fn one_order_that_a_policy_refuses_becomes_a_dead_letter_and_the_rest_arrives() {
    let policy = r#"ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
        CREATE POLICY theirs ON orders TO clerk USING (true) WITH CHECK ("orderId" <> CULPRIT)"#;
    for batch in [1, 20] {
        let letter = letter_of_culprit(policy, batch).await;
        assert_eq!(letter.kind, "refused");
        assert!(letter.message.starts_with("42501: ") && letter.message.contains("row-level security"));
    }
}

#[tokio::test]
async fn one_order_that_code_of_the_table_refuses_as_an_outage_becomes_a_dead_letter() {
    for (does, state) in [
        ("RAISE EXCEPTION 'shut' USING ERRCODE = '57P01'", "57P01"),
        ("PERFORM x FROM orders_that_are_not_there", "42P01"),
    ] {
        let trigger = format!(
            r#"CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN IF NEW."orderId" = CULPRIT THEN {does}; END IF; RETURN NEW; END $$;
               CREATE TRIGGER picky BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION picky()"#
        );
        for batch in [1, 20] {
            let letter = letter_of_culprit(&trigger, batch).await;
            assert!(letter.message.starts_with(state), "{}", letter.message);
        }
    }
}

#[tokio::test]
async fn one_order_that_a_trigger_swallows_becomes_a_dead_letter() {
    let trigger = r#"CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW."orderId" = CULPRIT THEN RETURN NULL; END IF; RETURN NEW; END $$;
        CREATE TRIGGER swallow BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION swallow()"#;
    for batch in [1, 20] {
        let letter = letter_of_culprit(trigger, batch).await;
        assert!(letter.message.contains("stored no row for this order"), "{}", letter.message);
    }
}
