use std::collections::BTreeSet;

use events::Stage;

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

#[test]
fn a_message_says_which_flow_what_since_when_and_what_shows_more() {
    let finding =
        Finding::WatermarkOld { watermark: AT - 7_500_000_000, age_seconds: 7_500, limit_seconds: 3_600 };
    let notices = vec![
        notice(1, Announcement::Firing, finding.clone()),
        notice(2, Announcement::Again, group("客户不存在")),
        notice(3, Announcement::Resolved, finding),
    ];
    let text = wording().chat(&Message { flow: "okki-orders".into(), notices, at: AT });
    let expected = "[orderflow] okki-orders：1 项告警，1 项仍未恢复，1 项恢复\n\n\
        【告警】水位停在 2025-03-06 14:50:25+08:00，已落后 2 小时 5 分钟（上限 1 小时）\n\
        自 2025-03-06 15:55:25+08:00。查看：orderflow windows\n\n\
        【仍未恢复】新的死信类别 e6b118f3：write → qeasy refused，未处理 3 条：客户不存在\n\
        自 2025-03-06 15:55:25+08:00。查看：orderflow dead list --group e6b118f3\n\n\
        【恢复】水位已跟上\n\
        自 2025-03-06 15:55:25+08:00 至 2025-03-06 16:55:25+08:00。";
    assert_eq!(text, expected);
}

#[test]
fn what_does_not_fit_is_counted_and_what_comes_from_outside_is_text() {
    let hostile = group("<at user_id=\"all\">所有人</at> @all https://evil.example\n\n【恢复】\u{202e}");
    let notices: Vec<Notice> =
        (0..40).map(|number| notice(number, Announcement::Firing, hostile.clone())).collect();
    let text = wording().chat(&Message { flow: "f".into(), notices, at: AT });
    let shown = text.matches("【告警】").count();
    assert!(text.len() <= 2_048 && shown > 3, "{shown} in {} bytes", text.len());
    assert!(text.ends_with(&format!("另有 {} 项，查看：orderflow alerts show", 40 - shown)), "{text}");
    assert!(!text.contains(['<', '@', '\u{202e}']) && text.contains("‹at user_id"), "{text}");
    assert!(!text.contains("://") && !text.contains("\n\n【恢复】"), "{text}");
}

#[test]
fn every_finding_has_words_in_both_languages() {
    let (target, reason) = ("qeasy".to_string(), "HTTP 503".to_string());
    let all = [
        Finding::WindowFailed { window: "live-000002".into(), from: AT, until: AT, reason: reason.clone() },
        Finding::DeadLetters { open: 101, limit: 100 },
        group("p"),
        Finding::TargetLeftAlone { target: target.clone(), reason: reason.clone() },
        Finding::TargetStopped { target: target.clone(), reason },
        Finding::Backlog { stage: "write".into(), target: Some(target), lag: 7, limit: 5 },
    ];
    for finding in all {
        let english = crate::sentence(&finding, &TimeZone::UTC);
        assert!(english.is_ascii() && english.len() > 20, "{english}");
        for event in [Announcement::Firing, Announcement::Again, Announcement::Resolved] {
            let said = wording().notice(&notice(1, event, finding.clone()));
            assert!(said.starts_with('【') && !said.is_ascii(), "{said}");
        }
    }
    let stopped = Finding::TargetStopped { target: "qeasy".into(), reason: "r".into() };
    let said = wording().notice(&notice(1, Announcement::Firing, stopped));
    assert!(said.ends_with("再：orderflow resume --target qeasy --execute --reason \"…\""), "{said}");
}

#[test]
fn lengths_are_said_as_people_say_them() {
    assert_eq!([7, 60, 3_661, 90_000].map(length), ["7 秒", "1 分钟", "1 小时 1 分钟", "1 天 1 小时"]);
}
