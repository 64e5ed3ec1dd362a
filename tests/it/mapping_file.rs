//! How a changed mapping file is seen, and that one whose case fails is not used.

use std::path::PathBuf;

use events::Stage;
use operations::instances;
use orderflow_tests::{World, until};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::fields::{in_use, mapping, run, version, world};

#[tokio::test]
async fn a_mapping_whose_case_fails_is_not_used() {
    let world = world().await;
    let stop = CancellationToken::new();
    let stages = world.start(1, &stop).await;
    let old = version(&world, "company.name").await;
    until("it is there", async || in_use(&world).await == [old.clone()]).await;
    let case = "[[case]]\nname = \"usual\"\ninput = '{\"order_id\":1,\"order_no\":\"A\",\"company\":{\"name\":\"x\"}}'\n\
                expect = '{\"orderId\":1,\"orderNumber\":\"A\",\"customerName\":\"x\"}'\n";
    world.map_with(&format!("{}{case}", mapping("company.nmae")));
    until("it says which case fails", async || {
        let there = instances(&world.journal, &world.names(), Stage::Transform).await;
        there.iter().all(|one| one.mapping_rejected.as_ref().is_some_and(|why| why.contains("usual")))
            && there.len() == 1
    })
    .await;
    assert_eq!(in_use(&world).await, [old]);
    stop.cancel();
    stages.join_all().await;
    // Nor does one begin with it.
    let folder = world.folder_of_a_program("");
    let (status, said) = run(folder.path(), &["transform"]).await;
    assert!(
        status == 2 && said.contains("the case \\\"usual\\\" fails")
            || said.contains("the case \"usual\" fails"),
        "{said}"
    );
}

/// Waits until the transformer uses what lies at a path of a mapping.
async fn uses(world: &World, name: &str) {
    let wanted = version(world, name).await;
    until(&format!("{name} is read"), async || in_use(world).await == [wanted.clone()]).await;
}

fn write(path: PathBuf, name: &str) -> PathBuf {
    std::fs::write(&path, mapping(name)).unwrap();
    path
}

#[tokio::test]
async fn a_mapping_that_another_file_replaces_is_seen() {
    let mut world = world().await;
    let folder = TempDir::new().unwrap();
    let file = write(folder.path().join("mapping.toml"), "a");
    world.config.mapping.file = file.clone();
    let stop = CancellationToken::new();
    let stages = world.start(1, &stop).await;
    uses(&world, "a").await;
    // As `mv` and most editors do.
    std::fs::rename(write(folder.path().join("new"), "b"), &file).unwrap();
    uses(&world, "b").await;
    // The file is away for a while.
    std::fs::rename(&file, folder.path().join("backup")).unwrap();
    until("that is said", async || {
        let there = instances(&world.journal, &world.names(), Stage::Transform).await;
        there.iter().any(|one| one.mapping_rejected.is_some())
    })
    .await;
    uses(&world, "b").await;
    std::fs::rename(write(folder.path().join("new"), "c"), &file).unwrap();
    uses(&world, "c").await;
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn a_mapping_behind_links_is_seen_when_these_are_switched() {
    let mut world = world().await;
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    // As Kubernetes mounts a ConfigMap: mapping.toml -> ..data/mapping.toml, ..data -> ..1
    let revision = |name: &str, text: &str| {
        std::fs::create_dir(at(name)).unwrap();
        write(at(name).join("mapping.toml"), text);
        std::os::unix::fs::symlink(name, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    revision("..1", "a");
    std::os::unix::fs::symlink("..data/mapping.toml", at("mapping.toml")).unwrap();
    world.config.mapping.file = at("mapping.toml");
    let stop = CancellationToken::new();
    let stages = world.start(1, &stop).await;
    uses(&world, "a").await;
    revision("..2", "b");
    std::fs::remove_dir_all(at("..1")).unwrap();
    uses(&world, "b").await;
    stop.cancel();
    stages.join_all().await;
}
