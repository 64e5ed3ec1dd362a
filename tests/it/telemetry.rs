//! Traces leave the process over OTLP when an endpoint is named.

use orderflow_tests::{Program, World, until};
use sandbox::Faults;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

/// A collector that takes whatever is posted to it. A real one is not needed to see that spans arrive and what they say.
async fn collector() -> (String, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (posted, posts) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let posted = posted.clone();
            tokio::spawn(async move {
                let (mut all, mut chunk) = (Vec::new(), vec![0; 65_536]);
                while let Ok(read @ 1..) = socket.read(&mut chunk).await {
                    all.extend_from_slice(&chunk[..read]);
                    let _ = posted.send(chunk[..read].to_vec());
                    let text = String::from_utf8_lossy(&all).to_lowercase();
                    let Some(head) = text.find("\r\n\r\n") else { continue };
                    let length =
                        text.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
                    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
                    let head = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(head);
                    if all.len() >= head + 4 + length {
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                        all.clear();
                    }
                }
            });
        }
    });
    (url, posts)
}

/// Runs the program with an exporter to its good end; what it sent to the collector.
async fn exported(program: Program) -> String {
    let (endpoint, mut posts) = collector().await;
    let (status, said) = program.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).said().await;
    assert_eq!(status, 0, "{said}");
    let mut all = Vec::new();
    while let Ok(post) = posts.try_recv() {
        all.extend(post);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The stages before it marked their messages as not sampled, for they have no exporter.
#[tokio::test]
async fn a_writer_with_an_exporter_exports_whatever_the_stages_before_it_have() {
    let world = World::new(30, Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let stop = CancellationToken::new();
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop.clone());
    let transformer = tokio::spawn(async move { transformer::run(&config, journal, token).await.unwrap() });
    assert!(world.fetch().await.complete);
    until("all are mapped", async || world.mapped().await.len() == 30).await;
    stop.cancel();
    transformer.await.unwrap();
    let folder = world.folder_of_a_program("");
    let up = Program::new(PROGRAM, folder.path(), &["up", "--once", "--log", "text"]);
    let sent = exported(up.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")).await;
    assert!(sent.contains("write order"), "its spans were dropped");
}

#[tokio::test]
async fn a_stage_of_its_own_is_a_service_of_its_own_and_every_span_says_its_stage() {
    let world = World::new(10, Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let folder = world.folder_of_a_program("");
    let fetch = || {
        let fetch = Program::new(PROGRAM, folder.path(), &["fetch", "--once"]);
        fetch.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
    };
    let sent = exported(fetch()).await;
    assert!(sent.contains("orderflow-fetch"), "the service is not named by its stage");
    assert!(sent.contains("fetch page") && sent.contains("stage"), "a span does not say its stage");
    // Within the same second there is no window to read, and no span.
    until("the environment comes first", async || {
        let sent = exported(fetch().env("OTEL_SERVICE_NAME", "orders-in")).await;
        assert!(!sent.contains("orderflow-fetch"), "the environment comes first");
        sent.contains("orders-in")
    })
    .await;
}

#[tokio::test]
async fn spans_of_every_stage_reach_the_collector() {
    let folder = tempfile::tempdir().unwrap();
    let up = Program::new(PROGRAM, folder.path(), &["up", "--demo", "--once", "--count", "30"]);
    let sent = exported(up).await;
    assert!(sent.contains("POST /v1/traces"), "nothing was sent");
    for span in ["fetch page", "transform page", "write order"] {
        assert!(sent.contains(span), "no span \"{span}\" was sent");
    }
}
