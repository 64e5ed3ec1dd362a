//! Alerts as the program tells them, and its commands about them.

use orderflow_tests::{Program, Receiver, World, until};
use sandbox::{Faults, TargetFaults};
use serde_json::json;

use crate::PROGRAM;
use crate::alerts::{TAKEN, state, told};

#[tokio::test]
async fn a_running_program_tells_of_orders_that_fail_in_a_new_way_and_not_whose() {
    let duty = Receiver::start("").await;
    let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    let mut world = World::new(6, Faults { target: refusing, ..Faults::default() }).await;
    world.config.targets[0].stop.after = 0;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let path = folder.path().join("orderflow.toml");
    let alerts = "[alerts]\nevery = \"200ms\"\ndead_letters = 5\n[[alerts.webhook]]\nname = \"duty\"\nkind = \"json\"\n";
    std::fs::write(&path, format!("{}{alerts}", std::fs::read_to_string(&path).unwrap())).unwrap();
    let program = |stage: &str| {
        Program::new(PROGRAM, folder.path(), &[stage])
            .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
            .env("ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL", &duty.url("/t0k3n-of-the-robot"))
            .writing_to(&folder.path().join("log"))
            .start()
    };
    let mut child = program("transform");
    let heard = duty.hears(1).await;
    let groups = operations::DeadGroup::all(&world.journal, &world.names(), &operations::Mask::default())
        .await
        .unwrap();
    let id = format!("firing dead-group:{}", groups[0].fingerprint);
    assert_eq!(told(&heard), ["firing dead", id.as_str()]);
    let group = &heard[0].body["alerts"][1];
    assert_eq!((&group["open"], &group["pattern"]), (&json!(6), &json!(groups[0].pattern)), "{group}");
    assert_eq!(group["command"], format!("orderflow dead list --group {}", &groups[0].fingerprint[..8]));
    // The command that is named is one that works.
    let args: Vec<&str> = group["command"].as_str().unwrap().split(' ').skip(1).collect();
    let (status, list) = Program::new(PROGRAM, folder.path(), &args).said().await;
    assert_eq!(status, 0, "{list}");
    Program::end(child.id().unwrap()).await;
    assert!(child.wait().await.unwrap().success());
    // Whatever runs for ever looks.
    for stage in ["fetch", "write", "up"] {
        let (before, mut child) = (state(&world).await.looked_at, program(stage));
        until(stage, async || state(&world).await.looked_at > before).await;
        Program::end(child.id().unwrap()).await;
        assert!(child.wait().await.unwrap().success(), "{stage}");
    }
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("t0k3n"), "{log}");
}

#[tokio::test]
async fn a_test_says_of_each_webhook_what_came_back() {
    let (good, bad) = (
        Receiver::start(TAKEN).await,
        Receiver::start(r#"{"code":19024,"msg":"Key Words Not Found"}"#).await,
    );
    let folder = tempfile::tempdir().unwrap();
    let kinds = ["json", "dingtalk", "wecom", "feishu"];
    let hooks = kinds.map(|kind| format!("[[alerts.webhook]]\nname = \"{kind}\"\nkind = \"{kind}\"\n"));
    std::fs::write(folder.path().join("orderflow.toml"), hooks.concat()).unwrap();
    let test = async |args: &[&str], feishu: &str| {
        let mut program = Program::new(PROGRAM, folder.path(), &[&["alerts", "test"][..], args].concat());
        for kind in kinds {
            let name = format!("ORDERFLOW_ALERTS__WEBHOOK__{}__URL", kind.to_uppercase());
            let url = if kind == "feishu" {
                feishu.to_string()
            } else {
                good.url(&format!("/{kind}?key=t0k3n-t0k3n"))
            };
            program = program.env(&name, &url);
        }
        let (status, text) = program.said().await;
        assert!(!text.contains("t0k3n"), "{text}");
        (status, text)
    };
    let (status, text) = test(&[], &bad.url("/hook/t0k3n-t0k3n")).await;
    assert_eq!(status, 1, "{text}");
    let expected =
        "json: taken\ndingtalk: taken\nwecom: taken\nfeishu: FAILED: code 19024: Key Words Not Found\n";
    assert_eq!(text, expected);
    let heard = good.heard();
    let (title, said) = ("[orderflow] okki-orders：测试", "这是一条测试消息：告警会发到这里。");
    let text = format!("### {title}\n\n{said}");
    assert_eq!(
        (&heard[0].body["test"], &heard[0].body["title"]),
        (&json!(true), &json!("[orderflow] okki-orders: test"))
    );
    let dingtalk = json!({ "msgtype": "markdown", "markdown": { "title": title, "text": text } });
    let wecom = json!({ "msgtype": "markdown", "markdown": { "content": text } });
    assert_eq!((&heard[1].body, &heard[2].body), (&dingtalk, &wecom));
    let head = json!({ "title": { "tag": "plain_text", "content": title }, "template": "blue" });
    let card = json!({ "header": head, "elements": [{ "tag": "markdown", "content": said }] });
    assert_eq!(bad.heard()[0].body, json!({ "msg_type": "interactive", "card": card }));

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/hook/t0k3n-t0k3n", nobody.local_addr().unwrap());
    drop(nobody);
    for (url, why) in [
        (closed.as_str(), "feishu: FAILED: no connection: "),
        ("https://:t0k3n", "feishu: FAILED: alerts.webhook feishu: `url` is no address"),
        ("t0k3n", "expected http:// or https://"),
        ("", "`url` is missing; give ORDERFLOW_ALERTS__WEBHOOK__FEISHU__URL or url_file"),
    ] {
        let (status, text) = test(&["--webhook", "feishu"], url).await;
        assert!(status == 1 && text.contains(why), "{text}");
    }
    assert_eq!(test(&["--webhook", "nobody"], "http://h").await.0, 3);
}
