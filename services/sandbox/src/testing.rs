//! A sandbox of a test, and a small client that shows what arrives on the wire.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Options, Orders, Sandbox, start};

/// A sandbox that stops with its test.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    _stop: DropGuard,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn bench(options: Options) -> Bench {
    let shutdown = CancellationToken::new();
    let sandbox = start(options, shutdown.clone()).await.unwrap();
    Bench { sandbox, _stop: shutdown.drop_guard() }
}

/// So many generated orders, and faults given as a part.
pub(crate) async fn generated(count: u64, faults: Value) -> Bench {
    let faults = serde_json::from_value(faults).unwrap();
    bench(Options { orders: Orders::Generated { count }, faults, ..Options::default() }).await
}

impl Bench {
    /// One call on a connection of its own; `None` when the connection was closed without an answer.
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
        let mut stream =
            TcpStream::connect(self.sandbox.url().strip_prefix("http://").unwrap()).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
    }

    pub(crate) async fn bearer(&self) -> String {
        let grant = r#"{"grant_type":"client_credentials","client_id":"demo","client_secret":"demo-secret"}"#;
        let answer = self.call("POST", "/v1/oauth2/access_token", "", grant).await.unwrap();
        format!("authorization: Bearer {}\r\n", answer.json()["access_token"].as_str().unwrap())
    }

    /// A call of the source with a fresh token.
    pub(crate) async fn source(&self, path: &str) -> Answer {
        let bearer = self.bearer().await;
        self.call("GET", &format!("/v1/invoices/order/{path}"), &bearer, "").await.unwrap()
    }

    /// Writes by `execute`, one record or a list.
    pub(crate) async fn execute(&self, data: Value, id_check: bool, key: Option<&str>) -> Option<Answer> {
        let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
        let body = json!({"api": "写入空操作", "data": data, "idCheck": id_check}).to_string();
        self.call("POST", "/execute", &key, &body).await
    }

    /// The address of a store or query call, with a fresh token.
    pub(crate) async fn scheme(&self, operation: &str) -> String {
        let body = r#"{"app_key":"demo","app_secret":"demo-secret"}"#;
        let answer = self.call("POST", "/v2/oauth", "", body).await.unwrap().json();
        let token = answer["content"]["access_token"].as_str().unwrap();
        format!("/v2/open-api/business/s1/{operation}?access_token={token}")
    }

    /// Merges faults into those in force.
    pub(crate) async fn patch(&self, part: Value) {
        let answer = self.call("PATCH", "/sandbox/faults", "", &part.to_string()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// The record a correct pipeline writes for an order of the source.
pub(crate) fn record_of(order: &Value) -> Value {
    let total = crate::money::total(crate::money::lines(&order.to_string()).unwrap()).unwrap();
    json!({"orderId": order["order_id"], "totalAmount": total.to_string(), "updateTime": order["update_time"]})
}
