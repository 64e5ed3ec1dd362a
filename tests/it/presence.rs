//! Who is there right now: asked over core NATS, answered by each for itself, stored nowhere.

use std::collections::HashSet;
use std::time::Duration;

use events::{Instance, Stage};
use journal::{Journal, Stream};
use operations::{Status, instances};
use orderflow_tests::{Nats, Program, World, eventually};
use sandbox::{Faults, TargetFaults};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

/// Longer than any answer takes here; no test waits for it unless it expects silence.
const WAIT: Duration = Duration::from_millis(500);

/// Asks until so many transformers answer.
async fn transformers(world: &World, count: usize) -> Vec<Instance> {
    let asking = async {
        loop {
            let answered = instances(&world.journal, &world.names(), Stage::Transform).await;
            if answered.len() == count {
                return answered;
            }
        }
    };
    let answered = tokio::time::timeout(Duration::from_secs(60), asking).await;
    answered.unwrap_or_else(|_| panic!("{count} transformers within 60 s"))
}

async fn start(world: &World, stages: &mut JoinSet<()>) -> CancellationToken {
    let (config, journal, stop) =
        (world.config.clone(), world.nats.journal().await, CancellationToken::new());
    let token = stop.clone();
    stages.spawn(async move { transformer::run(&config, journal, token).await.unwrap() });
    stop
}

async fn status(world: &World, args: &[&str]) -> String {
    let folder = world.folder_of_a_program("");
    let args = [&["status"], args].concat();
    let program = Program::new(PROGRAM, folder.path(), &args);
    let (status, said) = program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").said().await;
    assert_eq!(status, 0, "{said}");
    said
}

#[tokio::test]
async fn transformers_are_seen_as_long_as_they_are_there() {
    let world = World::new(10, Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let text = status(&world, &[]).await;
    assert!(text.ends_with("\ntransformer  -\nwrite qeasy  -\n"), "{text}");

    let began = events::now();
    let (mut first, mut second) = (JoinSet::new(), JoinSet::new());
    let stop = start(&world, &mut first).await;
    transformers(&world, 1).await;
    let stop_second = start(&world, &mut second).await;
    let both = transformers(&world, 2).await;
    let version = transformer::load_mapping(&world.config).unwrap().version().to_string();
    for instance in &both {
        assert_eq!((instance.stage, instance.pid), (Stage::Transform, std::process::id()));
        assert_eq!(
            (instance.mapping.as_deref(), &instance.mapping_rejected),
            (Some(version.as_str()), &None)
        );
        assert!((began..=events::now()).contains(&instance.started_at), "{instance:?}");
    }
    assert_ne!(both[0].member, both[1].member);
    let read = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
    assert_eq!(read.instances, both, "the longest running first");

    let text = status(&world, &[]).await;
    let shown: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("transformer  ")).collect();
    let shown = &shown[..shown.len() - 1]; // the writers, of which there are none, are below
    let place = format!("{}:{}  mapping {version}  since 20", service::host(), std::process::id());
    assert_eq!(shown.len(), 2, "{text}");
    assert!(shown.iter().all(|line| line[13..].starts_with(&place)), "{text}");
    let json: serde_json::Value = serde_json::from_str(&status(&world, &["-o", "json"]).await).unwrap();
    assert_eq!(json["instances"][1]["member"], both[1].member.as_str(), "{json}");
    assert_eq!(json["instances"][1]["stage"], "transform");

    stop.cancel();
    first.join_all().await;
    assert_eq!(transformers(&world, 1).await, both[1..]);
    stop_second.cancel();
    second.join_all().await;
    transformers(&world, 0).await;
    // The mapping in use is stored, once; of who is there nothing is.
    for stream in Stream::ALL {
        let expected = u64::from(stream == Stream::State);
        let stored = world.journal.size(&world.names(), stream).await.unwrap().0;
        assert_eq!(stored, expected, "{}", stream.name());
    }
}

#[tokio::test]
async fn fetchers_are_seen_and_what_waits_has_an_age() {
    let hanging = TargetFaults { hang: 1.0, ..TargetFaults::default() };
    let world = World::new(10, Faults { target: hanging, ..Faults::default() }).await;
    let (names, targets) = (world.names(), world.targets());
    let folder = world.folder_of_a_program("");
    let start = |args: &[&str]| {
        Program::new(PROGRAM, folder.path(), args)
            .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
            .unheard()
            .start()
    };
    let running = [start(&["fetch"]), start(&["transform"]), start(&["write"])];
    eventually("a request hangs", || world.report().target.requests > 0).await;
    let read = Status::read(&world.journal, &names, &targets).await.unwrap();
    let stages: Vec<Stage> = read.instances.iter().map(|instance| instance.stage).collect();
    assert_eq!(stages, [Stage::Fetch, Stage::Transform, Stage::Write], "{read:?}");
    assert!(read.instances[0].trouble.is_none(), "{read:?}");
    let write = read.stages.iter().find(|stage| stage.stage == "write").unwrap();
    assert!(write.oldest_seconds.is_some_and(|seconds| seconds < 60), "{read:?}");
    drop(running);
}

async fn answering(journal: &Journal, says: &'static str, until: &CancellationToken) {
    journal.answer("test.here.x".into(), || says.into(), until.clone()).await.unwrap();
}

#[tokio::test]
async fn whoever_answers_is_heard_also_after_the_connection_came_back() {
    let mut nats = Nats::start().await;
    let (one, other, until) = (nats.journal().await, nats.journal().await, CancellationToken::new());
    let nobody = one.ask("test.here.x", Duration::from_secs(600), |_| false);
    let nobody = tokio::time::timeout(Duration::from_secs(60), nobody).await;
    assert!(nobody.is_ok_and(|answers| answers.is_empty()), "that nobody listens is known at once");
    answering(&one, "one", &until).await;
    answering(&other, "other", &until).await;
    answering(&other, "another", &until).await;
    let all = HashSet::from(["one", "other", "another"].map(String::from));
    let heard = async |journal: &Journal| {
        let asking = async {
            loop {
                let answers = journal.ask("test.here.x", WAIT, |_| false).await;
                let said = answers.iter().map(|answer| String::from_utf8(answer.to_vec()).unwrap());
                if said.collect::<HashSet<_>>() == all && answers.len() == all.len() {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asking).await.expect("all are heard within 60 s");
    };
    heard(&nats.journal().await).await;
    nats.kill().await;
    assert_eq!(one.ask("test.here.x", WAIT, |_| false).await.len(), 0, "without a server nobody is heard");
    nats.restart().await;
    heard(&nats.journal().await).await;
    heard(&one).await;
}
