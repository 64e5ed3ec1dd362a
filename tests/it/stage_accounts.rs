//! `deploy/nats-accounts.conf`: each stage does its work with the subjects it is allowed, and no other.

use std::path::Path;

use orderflow_tests::{Nats, Program, Receiver, World, until};
use sandbox::{Faults, TargetFaults};
use tempfile::TempDir;

use crate::PROGRAM;

const USERS: [&str; 4] = ["fetcher", "transformer", "writer", "operator"];

/// The shipped accounts for this flow, with passwords.
fn accounts(flow: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats-accounts.conf");
    let text = std::fs::read_to_string(file).unwrap().replace("okki-orders", flow);
    USERS.iter().fold(text, |text, user| {
        let variable = format!("$NATS_{}_PASSWORD", user.to_uppercase());
        assert!(text.contains(&variable), "{variable} is not used");
        text.replace(&variable, &password(user))
    })
}

fn password(user: &str) -> String {
    format!("of-{user}")
}

fn violations(nats: &Nats) -> Vec<String> {
    let log = nats.log();
    log.lines().filter(|line| line.contains("Violation")).map(str::to_string).collect()
}

/// A stage, or a command, as this user of NATS.
fn as_user(world: &World, folder: &TempDir, user: &str, args: &[&str]) -> Program {
    let url = world.nats.url();
    let address = url.rsplit('@').next().unwrap();
    Program::new(PROGRAM, folder.path(), args)
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
        .env("ORDERFLOW_NATS__URL", &format!("nats://{address}"))
        .env("ORDERFLOW_NATS__USER", user)
        .env("ORDERFLOW_NATS__PASSWORD", &password(user))
}

#[tokio::test]
async fn every_stage_works_with_its_own_user_and_can_do_no_other_ones_work() {
    let refusing = TargetFaults { refuse_share: 0.05, ..TargetFaults::default() };
    let mut world = World::new(300, Faults { target: refusing, ..Faults::default() }).await;
    let (names, flow) = (world.names(), world.config.flow.clone());
    world.nats.sign_in(&accounts(&flow), "operator", "of-operator").await;
    world.journal = world.nats.journal().await;
    let folder = world.folder_of_a_program("[schedule]\nevery = \"1s\"\nsince = \"2025-01-01 00:00:00\"\n");
    let file = folder.path().join("orderflow.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let without_nats = text.split("[nats]").next().unwrap();
    let duty = Receiver::start("").await;
    let alerts = "[alerts]\nevery = \"200ms\"\n[[alerts.webhook]]\nname = \"duty\"\nkind = \"json\"\n";
    std::fs::write(&file, format!("{without_nats}\n{alerts}")).unwrap();

    let stages = [("fetcher", "fetch"), ("transformer", "transform"), ("writer", "write")];
    let start = |(user, stage): (&str, &str)| {
        as_user(&world, &folder, user, &[stage])
            .env("ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL", &duty.url("/duty"))
            .writing_to(&folder.path().join(stage))
            .start()
    };
    let running: Vec<_> = stages.map(start).into();
    let settled = async || {
        let letters =
            world.journal.size(&names, journal::Stream::Dead).await.map_or(0, |(messages, ..)| messages);
        world.report().target.distinct_orders as u64 + letters >= 300
    };
    until("every order is written or a letter", settled).await;
    until("people are told", async || crate::alerts::state(&world).await.looked_at > 0).await;
    let (status, said) = as_user(&world, &folder, "operator", &["status"]).said().await;
    assert!(status == 0 || status == 4, "{status}: {said}");
    world.sandbox.set_faults(Faults::default());
    let retry = ["dead", "retry", "--all", "--execute", "--reason", "the target is well again"];
    let (status, said) = as_user(&world, &folder, "operator", &retry).said().await;
    assert_eq!(status, 0, "{said}");
    until("every order arrives", async || world.report().target.missing == 0).await;
    for mut stage in running {
        Program::end(stage.id().unwrap()).await;
        assert!(stage.wait().await.unwrap().success(), "it ends well");
    }
    world.assert_source_arrived_once();
    assert_eq!(violations(&world.nats), Vec::<String>::new(), "nobody lacks a permission");

    let of_others = [
        ("fetcher", ["mapped.0", "receipt.qeasy.0.1", "dead.write.refused", "state.stop.qeasy"]),
        ("transformer", ["raw.page", "receipt.qeasy.0.1", "sync.watermark", "state.token.source"]),
        ("writer", ["raw.page", "mapped.0", "sync.watermark", "state.token.source"]),
    ];
    for (user, subjects) in of_others {
        let permits = async |subject: &str| world.nats.permits(user, &password(user), subject).await;
        for subject in subjects {
            assert!(!permits(&format!("{flow}.{subject}")).await, "{user} may publish {subject}");
        }
        for stream in ["RAW", "MAPPED", "RECEIPTS"] {
            for api in ["DELETE", "PURGE", "UPDATE", "SNAPSHOT"] {
                let subject = format!("$JS.API.STREAM.{api}.{flow}-{stream}");
                assert!(!permits(&subject).await, "{user} may {api} {stream}");
            }
        }
    }
}

#[test]
fn the_passwords_are_made_once_and_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deploy")).unwrap();
    let script = folder.path().join("deploy/make-env.sh");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/make-env.sh"), &script).unwrap();
    let made = || std::process::Command::new("sh").arg(&script).status().unwrap().success();
    let file = folder.path().join(".env");
    // Of somebody who had a secret there, and no end of the last line.
    std::fs::write(&file, "OKKI_CLIENT_SECRET=of-the-account").unwrap();
    assert!(made());
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.starts_with("OKKI_CLIENT_SECRET=of-the-account\n"), "{text}");
    let password = |user: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("NATS_{user}_PASSWORD=")));
        line.unwrap_or_else(|| panic!("none for {user} in {text}")).to_string()
    };
    let passwords: std::collections::HashSet<_> =
        USERS.iter().map(|user| password(&user.to_uppercase())).collect();
    assert!(passwords.len() == USERS.len() && passwords.iter().all(|password| password.len() == 48));
    assert!(made());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "nothing is written over");
}
