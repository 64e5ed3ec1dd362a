//! One log, several targets, each with its own consumers, receipts and dead letters; PostgreSQL as a kind that holds every
//! version exactly once.

use events::{DeadLetter, Outcome, Receipt};
use futures::StreamExt;
use journal::{From, Stream};
use orderflow_tests::{PostgresServer, World, eventually};
use sandbox::{Faults, TargetFaults};
use service::config::Target;
use tokio_util::sync::CancellationToken;

/// The record of the case; each row counts how often it was really written.
pub(crate) const TABLE: &str = r#"
    CREATE TABLE orders ("orderId" bigint PRIMARY KEY, "orderNumber" text, "customerName" text, "orderDate" date,
                         "updateTime" timestamptz, "totalAmount" numeric, writes int NOT NULL DEFAULT 1);
    CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END $$;
    CREATE TRIGGER counted BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION counted()"#;

pub(crate) fn warehouse(server: &PostgresServer, batch: usize) -> Target {
    let text = format!(
        "name = \"warehouse\"\nkind = \"postgres\"\nurl = \"{}\"\ntable = \"orders\"\nbatch = {batch}\nconcurrency = 4\n\
         timeout = \"5s\"\n",
        server.url()
    );
    toml::from_str(&text).unwrap()
}

async fn counted(server: &PostgresServer, sql: &str) -> String {
    server.value(sql).await.unwrap_or_default()
}

#[tokio::test]
async fn the_same_orders_go_to_an_api_and_to_a_database() {
    let server = PostgresServer::start().await;
    server.run(TABLE).await;
    let refusing = TargetFaults { refuse_share: 0.05, ..TargetFaults::default() };
    let mut world = World::new(600, Faults { target: refusing, ..Faults::default() }).await;
    world.config.targets.push(warehouse(&server, 50));
    let run = world.sync().await;
    assert!(run.account.is_complete(), "{:?}", run.account);
    let [api, database] = run.account.targets.as_slice() else { panic!("two targets") };
    assert!(api.dead > 10, "the API refuses some");
    assert_eq!((database.of(Outcome::Written), database.dead), (600, 0), "which is nothing to the database");
    let mut letters =
        world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    while let Some(entry) = letters.next().await {
        let letter = entry.unwrap().event::<DeadLetter>().unwrap().body;
        assert_eq!(letter.target.unwrap().as_str(), "qeasy");
    }
    assert_eq!(counted(&server, "SELECT count(*) FROM orders").await, "600");
    assert_eq!(counted(&server, "SELECT max(writes) FROM orders").await, "1");

    // Edits arrive at both, and only they are written again.
    let edited = world.sandbox.edit(30).len().to_string();
    world.let_settle().await;
    let run = world.sync().await;
    assert!(run.account.is_complete(), "{:?}", run.account);
    assert_eq!(counted(&server, "SELECT count(*) FROM orders WHERE writes = 2").await, edited);
    let mut receipts =
        world.journal.read(&world.names(), Stream::Receipts, None, From::Start, false).await.unwrap();
    let mut exact = 0;
    while let Some(entry) = receipts.next().await {
        let receipt = entry.unwrap().event::<Receipt>().unwrap().body;
        exact += u64::from(receipt.target.as_str() == "warehouse");
    }
    assert!(exact >= 630, "{exact} receipts of the database");
}

#[tokio::test]
async fn a_database_that_is_killed_in_the_middle_has_every_version_once() {
    let mut server = PostgresServer::start().await;
    server.run(TABLE).await;
    for batch in [1, 20] {
        server.run("TRUNCATE orders").await;
        let mut world = World::new(2_000, Faults::default()).await;
        world.config.flow = format!("killed{batch}");
        world.config.targets = vec![warehouse(&server, batch)];
        world.journal.ensure(&world.names()).await.unwrap();
        let stop = CancellationToken::new();
        let mut stages = world.start(2, &stop).await;
        let fetched = world.fetch();
        tokio::pin!(fetched);
        let killing = async {
            for written in [200, 900] {
                orderflow_tests::until("orders arrive", async || {
                    counted(&server, "SELECT count(*) FROM orders").await.parse::<u64>().unwrap() >= written
                })
                .await;
                server.kill().await;
                server.restart().await;
            }
        };
        let (ended, ()) = futures::future::join(&mut fetched, killing).await;
        assert!(ended.complete);
        world.drained(&mut stages).await;
        assert_eq!(counted(&server, "SELECT count(*) FROM orders").await, "2000");
        assert_eq!(counted(&server, "SELECT max(writes) FROM orders").await, "1", "batch {batch}");
        let (dead, _, _) = world.journal.size(&world.names(), Stream::Dead).await.unwrap();
        assert_eq!(dead, 0, "an outage kills no order");
        stop.cancel();
        stages.join_all().await;
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_waited_for() {
    let server = PostgresServer::start().await;
    let mut world = World::new(50, Faults::default()).await;
    world.config.targets = vec![warehouse(&server, 10)];
    world.journal.ensure(&world.names()).await.unwrap();
    let stop = CancellationToken::new();
    let live = writer::Live::default();
    let (config, journal, token, seen) =
        (world.config.clone(), world.nats.journal().await, stop.clone(), live.clone());
    let writing =
        tokio::spawn(
            async move { writer::run(&config, &config.targets[0], journal, seen, token).await.unwrap() },
        );
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop.clone());
    let transforming = tokio::spawn(async move { transformer::run(&config, journal, token).await.unwrap() });
    assert!(world.fetch().await.complete);
    eventually("it is said what is missing", || {
        live.trouble().is_some_and(|why| why.contains("CREATE TABLE"))
    })
    .await;
    server.run(TABLE).await;
    operations::drained(&world.journal, &world.names(), &world.targets()).await.unwrap();
    assert_eq!(counted(&server, "SELECT count(*) FROM orders").await, "50");
    stop.cancel();
    writing.await.unwrap();
    transforming.await.unwrap();
}
