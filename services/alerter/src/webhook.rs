//! One webhook. Its address is a secret: it is in no error and no log.

use std::error::Error;
use std::time::Duration;

use http::{Client, HttpError, LARGEST_ANSWER, Method, Request};
use service::config::{Secret, Webhook, WebhookKind};
use service::{Config, ConfigError};

use crate::body::{Posted, posted, refusal};
use crate::message::Message;
use crate::wording::Wording;

/// Somebody that can be told something.
pub struct Channel {
    name: String,
    flow: String,
    kind: WebhookKind,
    url: Secret,
    secret: Secret,
    timeout: Duration,
    wording: Wording,
    client: Client,
}

/// Why a webhook was not told.
#[derive(Debug)]
pub struct Untold {
    /// Why.
    pub why: String,
    /// How long it asks to be left alone.
    pub wait: Option<Duration>,
}

impl Channel {
    /// A webhook, with its secrets.
    ///
    /// # Errors
    /// When it has no address here, or a file cannot be read.
    pub fn open(webhook: &Webhook, config: &Config) -> Result<Self, ConfigError> {
        let no_client = |error: HttpError| ConfigError::Key {
            place: format!("alerts.webhook {}", webhook.name),
            message: service::chain(&error),
        };
        let channel = Self {
            name: webhook.name.clone(),
            flow: config.flow.clone(),
            kind: webhook.kind,
            url: webhook.address()?,
            secret: webhook.signing_secret()?,
            timeout: webhook.timeout.get(),
            wording: Wording { zone: config.zone() },
            client: Client::new(1).map_err(no_client)?,
        };
        let request = channel.request(Vec::new(), None);
        match channel.client.check(&request) {
            Ok(()) => Ok(channel),
            Err(_) => Err(ConfigError::Key {
                place: format!("alerts.webhook {}", webhook.name),
                message: "`url` is no address; what stands there is not repeated".into(),
            }),
        }
    }

    fn request(&self, query: Vec<(String, String)>, body: Option<String>) -> Request {
        let url = self.url.reveal().to_string();
        let (timeout, body) = (self.timeout, body.map(Into::into));
        let (method, most) = (Method::Post, LARGEST_ANSWER);
        Request { method, url, query, headers: Vec::new(), body, timeout, most }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn flow(&self) -> &str {
        &self.flow
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends it a message.
    ///
    /// # Errors
    /// [`Untold`] when it does not say that it has taken it.
    pub async fn send(&self, message: &Message) -> Result<(), Untold> {
        let Posted { body, query } = posted(self.kind, message, &self.wording, self.secret.reveal());
        let request = self.request(query, Some(body.to_string()));
        match self.client.send(&request).await {
            Ok(answer) => match refusal(self.kind, &answer) {
                None => Ok(()),
                Some(why) => {
                    Err(Untold { why: secrets::redact(&why).into_owned(), wait: answer.retry_after })
                }
            },
            Err(error) => {
                let why = why_unanswered(&self.client, self.url.reveal(), &error);
                Err(Untold { why, wait: None })
            }
        }
    }
}

/// Why there was no answer, without the address, which is a secret.
pub(crate) fn why_unanswered(client: &Client, url: &str, error: &HttpError) -> String {
    let what = match error {
        HttpError::Build { .. } | HttpError::Proxy { .. } => "the address is none".to_string(),
        HttpError::Connect { .. } => "no connection".into(),
        HttpError::Timeout { seconds, .. } => format!("no answer within {seconds} s"),
        HttpError::Interrupted { .. } => "the connection broke before the answer".into(),
        HttpError::TooLarge { .. } => "the answer is too large".into(),
        HttpError::Packed { .. } => "the answer is packed in a way that is not known".into(),
    };
    let proxy = client.proxy_to(url).map_or_else(String::new, |proxy| {
        format!(" (through the proxy {proxy}, which the environment names)")
    });
    // The error itself names the address, what caused it does not.
    let causes = error.source().map_or_else(String::new, |cause| format!(": {}", service::chain(cause)));
    secrets::redact(&format!("{what}{proxy}{causes}")).into_owned()
}
