use std::collections::BTreeSet;

use events::{Micros, Stage, TargetSummary};
use jiff::tz::TimeZone;

use super::*;

const AT: Micros = 1_741_251_325_000_000;

fn wording() -> Wording {
    Wording { zone: TimeZone::get("Asia/Shanghai").expect("known") }
}

fn notice(number: u64, event: Announcement, finding: Finding) -> Notice {
    let to = BTreeSet::new();
    Notice { number, event, id: "id".into(), at: AT, since: AT - 3_600_000_000, finding, to }
}

fn group(pattern: &str) -> Finding {
    let targets = BTreeSet::from(["qeasy".to_string()]);
    let (fingerprint, failure) = ("e6b118f3aaaaaaaa".into(), "refused".into());
    Finding::DeadGroup {
        fingerprint,
        stage: Stage::Write,
        failure,
        pattern: pattern.into(),
        targets,
        open: 3,
    }
}

fn message(notices: Vec<Notice>) -> Message {
    Message { flow: "okki-orders".into(), notices, at: AT }
}

#[test]
fn a_message_says_what_since_when_and_what_shows_more() {
    let finding =
        Finding::WatermarkOld { watermark: AT - 7_500_000_000, age_seconds: 7_500, limit_seconds: 3_600 };
    let message = message(vec![
        notice(1, Announcement::Firing, finding.clone()),
        notice(2, Announcement::Again, group("客户不存在")),
        notice(3, Announcement::Resolved, finding),
    ]);
    assert_eq!(wording().title(&message), "[orderflow] okki-orders：1 项告警，1 项仍未恢复，1 项恢复");
    let expected = "**【告警】** 水位停在 2025-03-06 14:50:25+08:00，已落后 2 小时 5 分钟（上限 1 小时）\n\
        自 2025-03-06 15:55:25+08:00 起\n\
        查看：`orderflow windows`\n\n\
        **【仍未恢复】** 新的死信类别 e6b118f3：write → qeasy refused，未处理 3 条：客户不存在\n\
        自 2025-03-06 15:55:25+08:00 起\n\
        查看：`orderflow dead list --group e6b118f3`\n\n\
        **【恢复】** 水位已跟上\n\
        自 2025-03-06 15:55:25+08:00 至 2025-03-06 16:55:25+08:00";
    assert_eq!(wording().markdown(&message, Dialect::Wecom), expected);
    assert_eq!(wording().markdown(&message, Dialect::Feishu), expected);
    let dingtalk = wording().markdown(&message, Dialect::Dingtalk);
    assert!(dingtalk.contains("（上限 1 小时）  \n自 "), "{dingtalk}");
    assert!(dingtalk.contains("查看：\n\n> orderflow dead list --group e6b118f3\n\n**"), "{dingtalk}");
    assert!(!dingtalk.contains('`'), "it has no code: {dingtalk}");
}

#[test]
fn what_does_not_fit_is_counted_and_what_comes_from_outside_is_text() {
    let hostile = group(
        "<at user_id=\"all\">所有人</at> @all https://evil.example\n\n**【恢复】**\u{202e} [x](y) `z` ~~a~~ _b_",
    );
    let notices: Vec<Notice> =
        (0..40).map(|number| notice(number, Announcement::Firing, hostile.clone())).collect();
    for dialect in [Dialect::Dingtalk, Dialect::Wecom, Dialect::Feishu] {
        let text = wording().markdown(&message(notices.clone()), dialect);
        let shown = text.matches("**【告警】**").count();
        assert!(text.len() <= 4_096 && shown > 3, "{shown} in {} bytes", text.len());
        assert!(text.contains(&format!("另有 {} 项，查看：", 40 - shown)), "{text}");
        assert!(!text.contains(['<', '@', '\u{202e}', '~', '[']) && text.contains("‹at user_id"), "{text}");
        assert!(!text.contains("://") && !text.contains("**【恢复】**"), "{text}");
        assert_eq!(text.matches("**").count(), 2 * shown, "only our own words are bold: {text}");
        assert!(!text.contains(" _b"), "{text}");
    }
}

#[test]
fn a_summary_is_a_few_numbers() {
    let target = TargetSummary {
        target: "qeasy".into(),
        written: 5,
        unchanged: 4,
        refused: 3,
        other: 2,
        waiting: Some(1),
    };
    let summary = Finding::Summary {
        since: AT - 86_400_000_000,
        until: AT,
        read: 15,
        targets: vec![target],
        dead_open: 3,
        watermark_age_seconds: Some(61),
        firing: vec!["dead".into(), "dead-group:e6b118f3".into()],
    };
    let message = message(vec![notice(1, Announcement::Summary, summary.clone())]);
    assert_eq!(wording().title(&message), "[orderflow] okki-orders：日报");
    let expected = "**【日报】** 2025-03-05 16:55:25+08:00 至 2025-03-06 16:55:25+08:00：读取 15 张；\
        qeasy：写入 5，未变 4，被拒 3，其他 2，等待 1；未处理的死信 3 条；水位落后 1 分钟；\
        当前告警：dead，dead-group:e6b118f3\n查看：`orderflow status`";
    assert_eq!(wording().markdown(&message, Dialect::Wecom), expected);
    let english = crate::sentence(&summary, &TimeZone::UTC);
    let expected = "2025-03-05 08:55:25+00:00 to 2025-03-06 08:55:25+00:00: 15 orders read; qeasy: 5 written, \
        4 unchanged, 3 refused, 2 other, 1 waiting; 3 dead letters open; the watermark is 61 s old; \
        firing: dead, dead-group:e6b118f3";
    assert_eq!(english, expected);
}

#[test]
fn every_finding_has_words_in_both_languages() {
    let (target, reason) = ("qeasy".to_string(), "HTTP 503".to_string());
    let limit = |what: &str, used, limit, unit: &str| Finding::LimitNear {
        what: what.into(),
        used,
        limit,
        unit: unit.into(),
    };
    let all = [
        Finding::WindowFailed { window: "live-000002".into(), from: AT, until: AT, reason: reason.clone() },
        Finding::DeadLetters { open: 101, limit: 100 },
        group("p"),
        Finding::TargetLeftAlone { target: target.clone(), reason: reason.clone() },
        Finding::TargetStopped { target: target.clone(), reason },
        Finding::Backlog { stage: "write".into(), target: Some(target), lag: 7, limit: 5 },
        limit("disk", 9 << 30, 10 << 30, "bytes"),
        limit("account", 9 << 20, 10 << 20, "bytes"),
        limit("stream f-RAW", 9, 10, "messages"),
    ];
    for finding in all {
        let english = crate::sentence(&finding, &TimeZone::UTC);
        assert!(english.is_ascii() && english.len() > 20, "{english}");
        for event in [Announcement::Firing, Announcement::Again, Announcement::Resolved] {
            let said = wording().notice(&notice(1, event, finding.clone()), Dialect::Wecom);
            assert!(said.starts_with("**【") && !said.is_ascii(), "{said}");
        }
    }
    let stopped = Finding::TargetStopped { target: "qeasy".into(), reason: "r".into() };
    let said = wording().notice(&notice(1, Announcement::Firing, stopped), Dialect::Wecom);
    assert!(said.ends_with("再：`orderflow resume --target qeasy --execute --reason \"…\"`"), "{said}");
    let disk = crate::sentence(&limit("disk", 9 << 30, 10 << 30, "bytes"), &TimeZone::UTC);
    assert_eq!(disk, "disk: 9.0 GiB of 10.0 GiB are used, 90 %; soon nothing more can be stored");
}
