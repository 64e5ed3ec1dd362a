use std::collections::BTreeSet;

use events::{Announcement, Finding};
use jiff::tz::TimeZone;

use super::*;

const AT: i64 = 1_741_251_325_000_000;

fn wording() -> Wording {
    Wording { zone: TimeZone::UTC }
}

fn message() -> Message {
    let (finding, to) = (Finding::DeadLetters { open: 101, limit: 100 }, BTreeSet::from(["duty".into()]));
    let notice = Notice {
        number: 7,
        event: Announcement::Firing,
        id: "dead".into(),
        at: AT,
        since: AT - 1,
        finding,
        to,
    };
    Message { flow: "f".into(), notices: vec![notice], at: AT }
}

fn body(kind: WebhookKind, secret: &str) -> (Value, Vec<(String, String)>) {
    let Posted { body, query } = posted(kind, &message(), &wording(), secret);
    (body, query)
}

#[test]
fn each_kind_is_sent_what_it_understands() {
    let title = "[orderflow] f：1 项告警";
    let what = "**【告警】** 未处理的死信 101 条（上限 100 条）";
    let since = "自 2025-03-06 08:55:24+00:00 起";
    let code = format!("{what}\n{since}\n查看：`orderflow dead groups`");
    let quoted = format!("### {title}\n\n{what}  \n{since}  \n查看：\n\n> orderflow dead groups");
    let content = format!("### {title}\n\n{code}");
    let wecom = json!({ "msgtype": "markdown", "markdown": { "content": content } });
    assert_eq!(body(WebhookKind::Wecom, ""), (wecom, vec![]));
    let dingtalk = json!({ "msgtype": "markdown", "markdown": { "title": title, "text": quoted } });
    assert_eq!(body(WebhookKind::Dingtalk, ""), (dingtalk.clone(), vec![]));
    let sign = |name: &str, value: &str| (name.to_string(), value.to_string());
    let query = vec![
        sign("timestamp", "1741251325000"),
        sign("sign", "sfEle2igoVKAnTpjz2dYNT2seJxolYp8gfNooRzDQlo="),
    ];
    assert_eq!(body(WebhookKind::Dingtalk, "SECabc"), (dingtalk, query));
    let head = json!({ "title": { "tag": "plain_text", "content": title }, "template": "red" });
    let card = json!({ "header": head, "elements": [{ "tag": "markdown", "content": code }] });
    let feishu = json!({ "msg_type": "interactive", "card": card });
    assert_eq!(body(WebhookKind::Feishu, ""), (feishu.clone(), vec![]));
    let mut signed = feishu;
    signed["timestamp"] = "1741251325".into();
    signed["sign"] = "tT0bUGdS9gKxluP6zeUWEg87haHyn2Zq91Jpvrwk4vY=".into();
    assert_eq!(body(WebhookKind::Feishu, "SECabc"), (signed, vec![]));
    let own = json!({
        "flow": "f",
        "at": AT,
        "test": false,
        "title": "[orderflow] f: 1 firing",
        "text": "FIRING 101 dead letters are open; 100 are allowed (more: orderflow dead groups)",
        "alerts": [{
            "number": 7,
            "event": "firing",
            "id": "dead",
            "at": AT,
            "since": AT - 1,
            "text": "101 dead letters are open; 100 are allowed",
            "command": "orderflow dead groups",
            "kind": "dead_letters",
            "open": 101,
            "limit": 100,
        }],
    });
    assert_eq!(body(WebhookKind::Json, ""), (own, vec![]));
}

#[test]
fn a_chat_that_answers_200_has_taken_it_only_when_its_code_says_so() {
    let of = |kind, status, body: &'static str| {
        let (content_type, body) = ("application/json".into(), body.as_bytes().into());
        refusal(kind, &Answer { status, content_type, retry_after: None, date: None, location: None, body })
    };
    let chats = [WebhookKind::Dingtalk, WebhookKind::Wecom, WebhookKind::Feishu];
    for chat in chats {
        assert_eq!(of(chat, 200, r#"{"errcode":0,"errmsg":"ok"}"#), None);
        assert_eq!(of(chat, 200, r#"{"StatusCode":0,"StatusMessage":"success"}"#), None);
        assert_eq!(of(chat, 200, r#"{"code":0,"msg":"success","data":{}}"#), None);
        assert_eq!(of(chat, 200, r#"{"errcode":"0","errmsg":["ok"]}"#), None);
        assert_eq!(of(chat, 200, r#"{"code":0.0}"#), None);
        assert_eq!(of(chat, 200, r#"{"errcode":null,"code":0}"#), None);
        assert_eq!(
            of(chat, 200, r#"{"errcode":"busy","errmsg":["wait"]}"#).as_deref(),
            Some("code \"busy\": wait")
        );
        assert_eq!(
            of(chat, 200, r#"{"errcode":310000,"errmsg":"sign not match"}"#).as_deref(),
            Some("code 310000: sign not match")
        );
        assert_eq!(
            of(chat, 200, r#"{"code":19024,"msg":"Key Words Not Found"}"#).as_deref(),
            Some("code 19024: Key Words Not Found")
        );
        assert_eq!(of(chat, 200, "<html>").as_deref(), Some("an answer without a code: <html>"));
    }
    assert_eq!(of(WebhookKind::Json, 204, ""), None);
    assert_eq!(of(WebhookKind::Json, 302, "moved").as_deref(), Some("HTTP 302: moved"));
    assert_eq!(
        of(WebhookKind::Dingtalk, 500, r#"{"errcode":0}"#).as_deref(),
        Some(r#"HTTP 500: {"errcode":0}"#)
    );
}
