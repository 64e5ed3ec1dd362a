//! Calls: orders to either write endpoint.

use std::time::Duration;

use bytes::Bytes;
use http::foreign::{read_fields, read_life, read_scalar};
use http::{Answer, Class, Client, LARGEST_ANSWER, Method, Request, Token, TokenCache};

use crate::answer::{Speaker, Verdict, WriteError, judge, judge_call, judge_token, no_token};
use crate::found::{self, Found};

/// An answer to a write may hold what was sent so many times, beside what any answer may hold.
const ECHOES: usize = 8;

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
        /// The field by which an order is asked back.
        key: String,
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

/// What a target answers that was sent no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeReply {
    /// Something is there: the HTTP status of its answer to a GET.
    Status(u16),
    /// It gave a token for our key and secret.
    Token,
}

impl Qeasy {
    /// Asks for an answer without sending an order: `store` for a token, `execute` by a GET on its address.
    ///
    /// # Errors
    /// [`WriteError`] when nothing answers, or the token is refused.
    pub async fn probe(&self) -> Result<ProbeReply, WriteError> {
        let Form::Store { app_key, app_secret, .. } = &self.settings.form else {
            let request = Request {
                method: Method::Get,
                url: self.settings.url.clone(),
                query: Vec::new(),
                headers: self.settings.headers.clone(),
                body: None,
                timeout: self.settings.timeout,
                most: LARGEST_ANSWER,
            };
            return Ok(ProbeReply::Status(self.client.send(&request).await?.status));
        };
        self.token(self.settings.url.trim_end_matches('/'), app_key, app_secret).await?;
        Ok(ProbeReply::Token)
    }

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

    /// Whether the requests to the target can be made at all, without making one.
    ///
    /// # Errors
    /// [`http::HttpError::Build`] for the first that cannot.
    pub fn check(&self) -> Result<(), http::HttpError> {
        let base = self.settings.url.trim_end_matches('/');
        let urls = match &self.settings.form {
            Form::Execute { .. } => vec![self.settings.url.clone()],
            Form::Store { scheme_id, .. } => vec![token_url(base), store_url(base, scheme_id, "store")],
        };
        let mut headers = self.settings.headers.clone();
        headers.push((self.settings.idempotency_header.clone(), "key".into()));
        for url in urls {
            let (method, timeout) = (self.settings.method, self.settings.timeout);
            let headers = headers.clone();
            self.client.check(&Request {
                method,
                url,
                query: Vec::new(),
                headers,
                body: None,
                timeout,
                most: LARGEST_ANSWER,
            })?;
        }
        Ok(())
    }

    /// Writes orders in one request: each record goes out byte for byte. A `store` token that is refused is renewed once.
    ///
    /// # Errors
    /// [`WriteError`]; its class says what to do.
    pub async fn write(&self, records: &[&[u8]], idempotency_key: &str) -> Result<Written, WriteError> {
        let key = Some(idempotency_key);
        let answer = match &self.settings.form {
            Form::Execute { .. } => {
                let (method, url) = (self.settings.method, self.settings.url.clone());
                self.post(method, url, Vec::new(), self.body(records), key).await?
            }
            Form::Store { .. } => Box::pin(self.open_api("store", &self.body(records), key)).await?,
        };
        let verdict = judge(&answer, self.settings.trust_status, records.len())?;
        Ok(Written { verdict, status: answer.status })
    }

    /// Whether the target can be asked what it holds.
    pub fn can_be_asked(&self) -> bool {
        matches!(self.settings.form, Form::Store { .. })
    }

    /// Asks the target whether it holds this record. `None` when it cannot be asked: in the `execute` form, or when the
    /// record has no key field.
    ///
    /// # Errors
    /// [`WriteError`]; its class says what to do.
    pub async fn holds(&self, record: &[u8]) -> Result<Option<Found>, WriteError> {
        let Form::Store { key, .. } = &self.settings.form else { return Ok(None) };
        let Some(body) = found::question(record, key) else { return Ok(None) };
        let answer = self.open_api("query", &Bytes::from(body), None).await?;
        judge_call(&answer)?;
        let found = found::find_record(&answer.body, record, key);
        found.map(Some).map_err(|problem| malformed(&answer, problem.to_string()))
    }

    fn body(&self, records: &[&[u8]]) -> Bytes {
        let (before, after) = &self.around;
        let size: usize = records.iter().map(|record| record.len() + 1).sum();
        let mut body = Vec::with_capacity(before.len() + size + 2 + after.len());
        body.extend_from_slice(before);
        // One order of `execute` is an object, as the case has it; several are a list.
        let list = records.len() != 1 && matches!(self.settings.form, Form::Execute { .. });
        body.extend(list.then_some(b'['));
        for (at, record) in records.iter().enumerate() {
            body.extend((at > 0).then_some(b','));
            body.extend_from_slice(record);
        }
        body.extend(list.then_some(b']'));
        body.extend_from_slice(after);
        Bytes::from(body)
    }

    /// A call of the documented API, with a token; with another one when that is refused.
    async fn open_api(&self, call: &str, body: &Bytes, key: Option<&str>) -> Result<Answer, WriteError> {
        let Form::Store { scheme_id, app_key, app_secret, .. } = &self.settings.form else {
            return Err(WriteError::Answer {
                status: 0,
                ours: "the execute form has no such call".into(),
                theirs: String::new(),
                excerpt: String::new(),
                class: Class::Outage,
                from: Speaker::Target,
            });
        };
        let base = self.settings.url.trim_end_matches('/');
        let url = store_url(base, scheme_id, call);
        let query = |token: String| vec![("access_token".to_string(), token)];
        let token = self.token(base, app_key, app_secret).await?;
        let answer = self.post(Method::Post, url.clone(), query(token.clone()), body.clone(), key).await?;
        match judge_call(&answer) {
            Err(error) if error.class() == Class::Credentials => {
                self.tokens.refused(&token).await;
                let token = self.token(base, app_key, app_secret).await?;
                self.post(Method::Post, url, query(token), body.clone(), key).await
            }
            _ => Ok(answer),
        }
    }

    async fn post(
        &self,
        method: Method,
        url: String,
        query: Vec<(String, String)>,
        body: Bytes,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, WriteError> {
        let mut headers = self.settings.headers.clone();
        let key = idempotency_key.map(|key| (self.settings.idempotency_header.clone(), key.to_string()));
        headers.extend(key);
        // It may repeat what it was sent, order by order.
        let most = LARGEST_ANSWER.saturating_add(body.len().saturating_mul(ECHOES));
        let timeout = self.settings.timeout;
        Ok(self
            .client
            .send(&Request { method, url, query, headers, body: Some(body), timeout, most })
            .await?)
    }

    async fn token(&self, base: &str, app_key: &str, app_secret: &str) -> Result<String, WriteError> {
        let fetch = async || {
            let body = serde_json::json!({ "app_key": app_key, "app_secret": app_secret });
            let answer = self
                .client
                .send(&Request {
                    method: Method::Post,
                    url: token_url(base),
                    query: Vec::new(),
                    headers: Vec::new(),
                    body: Some(Bytes::from(body.to_string())),
                    timeout: self.settings.timeout,
                    most: LARGEST_ANSWER,
                })
                .await?;
            judge_token(&answer)?;
            let fields = read_fields(&answer.body).unwrap_or_default();
            let content = fields.get("content").and_then(|content| read_fields(content.get().as_bytes()));
            let content = content.unwrap_or_default();
            let value = read_scalar(content.get("access_token").copied());
            let value = value.ok_or_else(|| no_token(&answer))?;
            secrets::remember_token(&value);
            let life = read_life(content.get("expires_in").copied());
            Ok::<_, WriteError>(Token { value, life })
        };
        self.tokens.get(fetch, too_soon).await.map_err(WriteError::about_everything)
    }
}

/// Tokens were asked for too often a moment ago.
fn too_soon() -> WriteError {
    WriteError::Answer {
        status: 0,
        ours: "its tokens are refused or over as soon as they are given; the next is asked for in a moment"
            .into(),
        theirs: String::new(),
        excerpt: String::new(),
        class: Class::Outage,
        from: Speaker::Target,
    }
}

fn token_url(base: &str) -> String {
    format!("{base}/v2/oauth")
}

fn store_url(base: &str, scheme_id: &str, call: &str) -> String {
    format!("{base}/v2/open-api/business/{scheme_id}/{call}")
}

/// An answer that is not what was asked for.
fn malformed(answer: &Answer, ours: String) -> WriteError {
    WriteError::Answer {
        status: answer.status,
        ours,
        theirs: String::new(),
        excerpt: answer.excerpt(),
        class: Class::Outage,
        from: Speaker::Target,
    }
}
