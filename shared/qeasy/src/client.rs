//! Calls: one order to either write endpoint.

use std::time::Duration;

use bytes::Bytes;
use http::{Class, Client, Method, Request, Token, TokenCache};
use serde::Deserialize;

use crate::answer::{Verdict, WriteError, judge};

/// Which endpoint an order is written to.
#[derive(Clone)]
pub enum Form {
    /// The case's form: `{"api", "data", "idCheck"}`.
    Execute {
        /// The platform's name of what is executed, for example 写入空操作.
        api: String,
        /// Whether a key that is there already is refused (REPEAT) instead of overwritten.
        id_check: bool,
    },
    /// The documented form: a token, then `{"content": [...]}`.
    Store {
        /// The scheme written to.
        scheme_id: String,
        /// The application's key.
        app_key: String,
        /// The application's secret; never printed.
        app_secret: String,
    },
}

/// How a target is reached.
#[derive(Clone)]
pub struct Settings {
    /// For `execute` the whole URL; for `store` the host, for example `https://api.qeasy.cloud`.
    pub url: String,
    /// The HTTP method of `execute`.
    pub method: Method,
    /// Further headers, already resolved.
    pub headers: Vec<(String, String)>,
    /// The header that carries the idempotency key.
    pub idempotency_header: String,
    /// How long a call may take.
    pub timeout: Duration,
    /// See [`judge`].
    pub trust_status: bool,
    /// Which endpoint.
    pub form: Form,
}

/// The target.
pub struct Qeasy {
    settings: Settings,
    client: Client,
    tokens: TokenCache,
    /// What stands before the record in the body, and after it.
    around: (Vec<u8>, &'static [u8]),
}

/// The target has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// What it did.
    pub verdict: Verdict,
    /// HTTP status.
    pub status: u16,
}

#[derive(Deserialize)]
struct OauthAnswer {
    content: Option<OauthContent>,
}

#[derive(Deserialize)]
struct OauthContent {
    access_token: String,
    expires_in: Option<u64>,
}

impl Qeasy {
    /// A target.
    pub fn new(settings: Settings, client: Client) -> Self {
        let around = match &settings.form {
            Form::Execute { api, id_check } => {
                let api = serde_json::Value::from(api.as_str());
                (format!(r#"{{"api":{api},"idCheck":{id_check},"data":"#).into_bytes(), &b"}"[..])
            }
            Form::Store { .. } => (br#"{"content":["#.to_vec(), &b"]}"[..]),
        };
        Self { settings, client, tokens: TokenCache::default(), around }
    }

    /// Writes one order: `record` goes out byte for byte. A `store` token that is refused is renewed once.
    ///
    /// # Errors
    /// [`WriteError`]; its class says what to do.
    pub async fn write(&self, record: &[u8], idempotency_key: &str) -> Result<Written, WriteError> {
        let mut body = Vec::with_capacity(self.around.0.len() + record.len() + self.around.1.len());
        body.extend_from_slice(&self.around.0);
        body.extend_from_slice(record);
        body.extend_from_slice(self.around.1);
        let body = Bytes::from(body);
        let Form::Store { scheme_id, app_key, app_secret } = &self.settings.form else {
            let url = self.settings.url.clone();
            return self.post(self.settings.method, url, Vec::new(), body, idempotency_key).await;
        };
        let base = self.settings.url.trim_end_matches('/');
        let url = format!("{base}/v2/open-api/business/{scheme_id}/store");
        let token = self.token(base, app_key, app_secret).await?;
        let query = |token: String| vec![("access_token".to_string(), token)];
        match self.post(Method::Post, url.clone(), query(token.clone()), body.clone(), idempotency_key).await
        {
            Err(error) if error.class() == Class::Credentials => {
                self.tokens.refused(&token).await;
                let token = self.token(base, app_key, app_secret).await?;
                self.post(Method::Post, url, query(token), body, idempotency_key).await
            }
            other => other,
        }
    }

    async fn post(
        &self,
        method: Method,
        url: String,
        query: Vec<(String, String)>,
        body: Bytes,
        idempotency_key: &str,
    ) -> Result<Written, WriteError> {
        let mut headers = self.settings.headers.clone();
        headers.push((self.settings.idempotency_header.clone(), idempotency_key.to_string()));
        let timeout = self.settings.timeout;
        let answer =
            self.client.send(&Request { method, url, query, headers, body: Some(body), timeout }).await?;
        let verdict = judge(&answer, self.settings.trust_status)?;
        Ok(Written { verdict, status: answer.status })
    }

    async fn token(&self, base: &str, app_key: &str, app_secret: &str) -> Result<String, WriteError> {
        let fetch = async || {
            let body = serde_json::json!({ "app_key": app_key, "app_secret": app_secret });
            let answer = self
                .client
                .send(&Request {
                    method: Method::Post,
                    url: format!("{base}/v2/oauth"),
                    query: Vec::new(),
                    headers: Vec::new(),
                    body: Some(Bytes::from(body.to_string())),
                    timeout: self.settings.timeout,
                })
                .await?;
            judge(&answer, false)?;
            let parsed: Option<OauthAnswer> = serde_json::from_slice(&answer.body).ok();
            let content = parsed.and_then(|answer| answer.content).ok_or_else(|| WriteError::Answer {
                status: answer.status,
                said: "expected content.access_token".into(),
                excerpt: answer.excerpt(),
                class: Class::Outage,
            })?;
            let life = content.expires_in.map(Duration::from_secs);
            Ok::<_, WriteError>(Token { value: content.access_token, life })
        };
        self.tokens.get(fetch).await
    }
}
