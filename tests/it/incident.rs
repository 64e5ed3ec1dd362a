//! An incident from its first sign to its proof: the real program against real streams, and what an operator types.

use operations::{LetterLine, Selection};
use orderflow_tests::{Program, World};
use sandbox::{Faults, TargetFaults};
use tempfile::TempDir;

use crate::PROGRAM;

async fn tells(folder: &TempDir, status: i32, args: &[&str]) -> String {
    let secret = ("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");
    let (found, text) = Program::new(PROGRAM, folder.path(), args).env(secret.0, secret.1).said().await;
    assert_eq!(found, status, "{args:?}: {text}");
    text
}

async fn letters(world: &World, group: &str) -> Vec<LetterLine> {
    let selection = Selection { group: Some(group.to_string()), ..Selection::default() };
    selection.read(&world.journal, &world.names()).await.unwrap()
}

/// The target refuses these orders from now on, and no others.
fn refuse(world: &World, orders: &[LetterLine]) {
    let refuse = orders.iter().filter_map(|line| line.key.clone()).collect();
    let target = TargetFaults { refuse, refuse_reasons: 3, ..TargetFaults::default() };
    world.sandbox.set_faults(Faults { target, ..Faults::default() });
}

#[tokio::test]
async fn two_hundred_of_five_thousand_orders_are_refused_for_three_reasons() {
    let refusing = TargetFaults { refuse_share: 0.04, refuse_reasons: 3, ..TargetFaults::default() };
    let mut world = World::new(5_000, Faults { target: refusing, ..Faults::default() }).await;
    world.config.targets[0].stop.after = 0;
    world.sync().await;
    let folder = world.folder_of_a_program(
        "\n[schedule]\nevery = \"1h\"\nsince = \"2009-01-01 00:00:00\"\nsettle = \"0s\"\n",
    );

    // What is it? Three groups, each with its reason.
    let refused = world.report().target.refused_rows;
    assert!((150..250).contains(&refused), "{refused}");
    let status = tells(&folder, 4, &["status"]).await;
    assert!(status.contains(&format!("{refused} open")), "{status}");
    let groups = tells(&folder, 0, &["dead", "groups"]).await;
    let group = |reason: &str| {
        let lines: Vec<&str> = groups.lines().collect();
        let at = lines.iter().position(|line| line.contains(reason)).unwrap_or_else(|| panic!("{groups}"));
        lines[at - 1].split(' ').next().unwrap().to_string()
    };
    let [customers, items, periods] = ["客户不存在", "物料编码不存在", "单据日期不在当前会计期间"].map(group);
    let [lacking, unknown, closed] =
        [letters(&world, &customers).await, letters(&world, &items).await, letters(&world, &periods).await];
    assert_eq!((lacking.len() + unknown.len() + closed.len()) as u64, refused);
    assert!(lacking.len() > 20 && unknown.len() > 20 && closed.len() > 20);

    // The customers are there now: that group goes out again, as many as was said.
    refuse(&world, &[&unknown[..], &closed].concat());
    let because = ["--execute", "--reason", "the customers were created", "--detach"];
    let retry = ["dead", "retry", "--group", &customers];
    let plan = tells(&folder, 0, &retry).await;
    assert!(plan.contains(&format!("retry {} letters", lacking.len())), "{plan}");
    let done = tells(&folder, 0, &[&retry[..], &because].concat()).await;
    assert!(done.contains(&format!("{} sent again", lacking.len())), "{done}");
    world.sync().await;
    assert_eq!(world.report().target.distinct_orders, 5_000 - (unknown.len() + closed.len()) as u64);

    // Of the second group one is corrected by hand, and one is not wanted at all.
    let (edited, discarded) = (unknown[0].letter.to_string(), unknown[1].letter.to_string());
    refuse(&world, &[&unknown[1..], &closed].concat());
    let set = ["dead", "edit", &edited, "--set", "customerName=Li Ming", "--execute", "--reason", "by phone"];
    tells(&folder, 0, &[&set[..], &["--detach"]].concat()).await;
    let discard = ["dead", "discard", &discarded, "--execute", "--reason", "a test order"];
    tells(&folder, 0, &discard).await;

    // The third group needs another mapping: it is tried on one order, then on a whole window, and nothing is written.
    let file = folder.path().join("mapping.toml");
    let mapping = std::fs::read_to_string(&file).unwrap();
    // With what its case expects: one whose case fails is not used.
    let fixed = mapping.replace("customerName", "buyer");
    assert_ne!(mapping, fixed);
    let trial = folder.path().join("fixed.toml");
    std::fs::write(&trial, &fixed).unwrap();
    let key = closed[0].key.clone().unwrap();
    let preview = tells(&folder, 0, &["map", "preview", &key, "--mapping", "fixed.toml"]).await;
    assert!(preview.contains("\"buyer\":"), "{preview}");
    std::fs::rename(&trial, &file).unwrap();
    let window = ["replay", "--from", "raw", "--window", "live-000001"];
    let none = tells(&folder, 0, &[&window[..], &["--target", "none"]].concat()).await;
    assert!(none.contains("5000 orders would change") && none.contains("+  \"buyer\""), "{none}");

    // It goes live, and the window goes through it again.
    world.map_with(&fixed);
    refuse(&world, &[]);
    let because = ["--execute", "--reason", "another field for the buyer", "--rate", "100000", "--detach"];
    let done = tells(&folder, 0, &[&window[..], &because].concat()).await;
    assert!(done.contains("replay 5000 orders"), "{done}");
    world.sync().await;
    assert_eq!((world.report().target.distinct_orders, world.report().target.stale_overwrites), (5_000, 0));

    // What the letters hold is old by now: sent again, it does not go over what the replay wrote.
    let rest = ["dead", "retry", "--all", "--execute", "--reason", "written by the replay", "--detach"];
    let done = tells(&folder, 0, &rest).await;
    assert!(done.contains(&format!("{} sent again", unknown.len() - 2 + closed.len())), "{done}");
    world.sync().await;
    assert_eq!((world.report().target.stale_overwrites, world.report().target.missing), (0, 0));
    tells(&folder, 3, &["dead", "groups"]).await;
    tells(&folder, 0, &["status"]).await;

    // The proof, and the memory.
    let proof = tells(&folder, 0, &["reconcile", "--from", "2009-01-01", "-o", "json"]).await;
    let found: serde_json::Value = serde_json::from_str(&proof[proof.find('[').unwrap()..]).unwrap();
    assert_eq!((&found[0]["source"], &found[0]["up_to_date"]), (&5_000.into(), &5_000.into()), "{found}");
    let audit = tells(&folder, 0, &["ops", "list"]).await;
    let told = [
        "the customers were created",
        "by phone",
        "a test order",
        "another field for the buyer",
        "written by the replay",
    ];
    let places: Vec<usize> =
        told.iter().map(|reason| audit.find(reason).unwrap_or_else(|| panic!("{reason}: {audit}"))).collect();
    assert!(places.is_sorted(), "{audit}");
    let story = tells(&folder, 0, &["trace", unknown[0].key.as_deref().unwrap()]).await;
    for part in ["物料编码不存在", "edited", "by phone", "again of letter", "generation"] {
        assert!(story.contains(part), "{part}: {story}");
    }
}
