//! What each kind of webhook is sent, and what it says when it has not taken it.

use events::{Announcement, Notice};
use http::Answer;
use http::foreign::{Code, is_empty, read_fields, read_message};
use serde::Serialize;
use serde_json::{Value, json};
use service::config::WebhookKind;

use crate::harmless::make_harmless;
use crate::markdown::Dialect;
use crate::message::Message;
use crate::wording::Wording;
use crate::{english, sign};

/// Body and query.
pub(crate) struct Posted {
    pub(crate) body: Value,
    pub(crate) query: Vec<(String, String)>,
}

/// A notice as programs read it.
#[derive(Serialize)]
struct Item<'a> {
    number: u64,
    event: events::Announcement,
    id: &'a str,
    at: i64,
    since: i64,
    text: String,
    command: String,
    #[serde(flatten)]
    finding: &'a events::Finding,
}

/// The request for a message. Signed with `secret`, unless that is empty.
pub(crate) fn posted(kind: WebhookKind, message: &Message, wording: &Wording, secret: &str) -> Posted {
    let mut query = Vec::new();
    let body = match kind {
        WebhookKind::Json => own(message, wording),
        WebhookKind::Dingtalk => {
            if !secret.is_empty() {
                let timestamp = message.at / 1_000;
                query.push(("timestamp".into(), timestamp.to_string()));
                query.push(("sign".into(), sign::dingtalk(timestamp, secret)));
            }
            let title = wording.title(message);
            let text = format!("### {title}\n\n{}", wording.markdown(message, Dialect::Dingtalk));
            json!({ "msgtype": "markdown", "markdown": { "title": title, "text": text } })
        }
        WebhookKind::Wecom => {
            let (title, text) = (wording.title(message), wording.markdown(message, Dialect::Wecom));
            let content = format!("### {title}\n\n{text}");
            json!({ "msgtype": "markdown", "markdown": { "content": content } })
        }
        WebhookKind::Feishu => {
            let mut body = json!({ "msg_type": "interactive", "card": card(message, wording) });
            if !secret.is_empty() {
                let timestamp = message.at / 1_000_000;
                body["timestamp"] = timestamp.to_string().into();
                body["sign"] = sign::feishu(timestamp, secret).into();
            }
            body
        }
    };
    Posted { body, query }
}

/// A card of 飞书: its head has a colour, red while something fires.
fn card(message: &Message, wording: &Wording) -> Value {
    let fires = message.count(Announcement::Firing) + message.count(Announcement::Again) > 0;
    let template = match (fires, message.count(Announcement::Resolved)) {
        (true, _) => "red",
        (false, 0) => "blue",
        (false, _) => "green",
    };
    let title = json!({ "tag": "plain_text", "content": wording.title(message) });
    let text = wording.markdown(message, Dialect::Feishu);
    json!({
        "header": { "title": title, "template": template },
        "elements": [{ "tag": "markdown", "content": text }],
    })
}

fn own(message: &Message, wording: &Wording) -> Value {
    let item = |notice: &Notice| {
        let Notice { number, event, id, at, since, finding, .. } = notice;
        // For people, perhaps in a chat; the finding itself is exact.
        let text = make_harmless(&english::sentence(finding, &wording.zone));
        let command = operations::command_for(finding);
        let item =
            Item { number: *number, event: *event, id, at: *at, since: *since, text, command, finding };
        serde_json::to_value(item).unwrap_or_default() // texts and numbers: it cannot fail
    };
    json!({
        "flow": message.flow,
        "at": message.at,
        "test": message.is_test(),
        "title": english::title(message),
        "text": english::text(message, &wording.zone),
        "alerts": message.notices.iter().map(item).collect::<Vec<_>>(),
    })
}

/// Why an answer does not say that the message was taken. Chats answer 200 to what they refuse: their code decides.
pub(crate) fn refusal(kind: WebhookKind, answer: &Answer) -> Option<String> {
    if !(200..300).contains(&answer.status) {
        return Some(format!("HTTP {}: {}", answer.status, answer.excerpt()));
    }
    if kind == WebhookKind::Json {
        return None;
    }
    let fields = read_fields(&answer.body).unwrap_or_default();
    let first = |names: &[&str]| {
        let given = |name: &&str| fields.get(*name).filter(|value| !is_empty(Some(value)));
        names.iter().find_map(given).copied()
    };
    match Code::read(first(&["errcode", "code", "StatusCode"])) {
        Code::Number(0) => None,
        Code::Absent => Some(format!("an answer without a code: {}", answer.excerpt())),
        code => {
            let message = read_message(first(&["errmsg", "msg", "StatusMessage"]));
            let message = message.unwrap_or_else(|| "no message".into());
            Some(format!("{code}: {}", message.chars().take(240).collect::<String>()))
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
