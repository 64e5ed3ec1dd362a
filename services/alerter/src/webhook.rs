//! One webhook. Its address is a secret: it is in no error and no log.

use std::error::Error;
use std::time::Duration;

use http::{Client, HttpError, Method, Request};
use service::config::{Secret, Webhook, WebhookKind};
use service::{Config, ConfigError};

use crate::body::{Posted, posted, refusal};
use crate::message::Message;
use crate::wording::Wording;

/// Parts of an address that are shorter are no secret.
const SECRET: usize = 8;

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
        Ok(Self {
            name: webhook.name.clone(),
            flow: config.flow.clone(),
            kind: webhook.kind,
            url: webhook.address()?,
            secret: webhook.signing_secret()?,
            timeout: webhook.timeout.get(),
            wording: Wording { zone: config.zone() },
            client: Client::new(1).map_err(no_client)?,
        })
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
        let request = Request {
            method: Method::Post,
            url: self.url.reveal().to_string(),
            query,
            headers: Vec::new(),
            body: Some(body.to_string().into()),
            timeout: self.timeout,
        };
        match self.client.send(&request).await {
            Ok(answer) => match refusal(self.kind, &answer) {
                None => Ok(()),
                Some(why) => Err(Untold { why: self.without_secrets(&why), wait: answer.retry_after }),
            },
            Err(error) => {
                let what = match &error {
                    HttpError::Build { .. } => "the address is none".to_string(),
                    HttpError::Connect { .. } => "no connection".into(),
                    HttpError::Timeout { seconds, .. } => format!("no answer within {seconds} s"),
                    HttpError::Interrupted { .. } => "the connection broke before the answer".into(),
                    HttpError::TooLarge { .. } => "the answer is too large".into(),
                };
                // The error itself names the address, what caused it does not.
                let causes =
                    error.source().map_or_else(String::new, |cause| format!(": {}", service::chain(cause)));
                Err(Untold { why: self.without_secrets(&format!("{what}{causes}")), wait: None })
            }
        }
    }

    /// An answer may repeat what it was asked.
    fn without_secrets(&self, text: &str) -> String {
        let (url, secret) = (self.url.reveal(), self.secret.reveal());
        let parts = url.split(['/', '?', '&', '#']).skip(3);
        let parts = parts.map(|part| part.split_once('=').map_or(part, |(_, value)| value));
        let parts = parts.filter(|part| part.len() >= SECRET);
        let secrets =
            std::iter::once(url).chain(Some(secret).filter(|secret| !secret.is_empty())).chain(parts);
        secrets.fold(text.to_string(), |text, secret| text.replace(secret, "***"))
    }
}
