//! Calls: a token, and a page of the order list.

use std::time::Duration;

use bytes::Bytes;
use http::{Answer, Class, Client, Method, Request, Token, TokenCache};
use serde::Deserialize;

use crate::page::read_page;
use crate::{OkkiError, Page};

/// How the source is reached.
#[derive(Clone)]
pub struct Settings {
    /// For example `https://api-sandbox.xiaoman.cn`.
    pub base_url: String,
    /// The path of the list call.
    pub api: String,
    /// Its HTTP method.
    pub method: Method,
    /// The field that identifies an order.
    pub id: String,
    /// The client id.
    pub client_id: String,
    /// The client secret; never printed.
    pub client_secret: String,
    /// The scopes asked for, space-separated.
    pub scope: String,
    /// How long a call may take.
    pub timeout: Duration,
}

/// The source.
pub struct Okki {
    settings: Settings,
    client: Client,
    tokens: TokenCache,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

impl Okki {
    /// A source.
    pub fn new(settings: Settings, client: Client) -> Self {
        Self { settings, client, tokens: TokenCache::default() }
    }

    /// Fetches one page with these parameters. A token that is refused is renewed once.
    ///
    /// # Errors
    /// [`OkkiError`]; its class says what to do.
    pub async fn list(&self, parameters: Vec<(String, String)>) -> Result<Page, OkkiError> {
        let shown: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!("{}?{}", self.settings.api, shown.join("&"));
        let token = self.token().await?;
        match self.attempt(&token, &request, parameters.clone()).await {
            Err(error) if error.class() == Class::Credentials => {
                tracing::info!("the source refused the token; asking for a new one");
                self.tokens.refused(&token).await;
                let token = self.token().await?;
                self.attempt(&token, &request, parameters).await
            }
            other => other,
        }
    }

    async fn attempt(
        &self,
        token: &str,
        request: &str,
        parameters: Vec<(String, String)>,
    ) -> Result<Page, OkkiError> {
        let (query, body) = match self.settings.method {
            Method::Get => (parameters, None),
            _ => {
                let fields: serde_json::Map<_, _> =
                    parameters.into_iter().map(|(name, value)| (name, value.into())).collect();
                (Vec::new(), Some(Bytes::from(serde_json::Value::Object(fields).to_string())))
            }
        };
        let answer = self
            .client
            .send(&Request {
                method: self.settings.method,
                url: format!("{}{}", self.settings.base_url.trim_end_matches('/'), self.settings.api),
                query,
                headers: vec![("Authorization".into(), format!("Bearer {token}"))],
                body,
                timeout: self.settings.timeout,
            })
            .await?;
        check_status(&answer, request)?;
        read_page(request, answer.status, &answer.body, &self.settings.id)
    }

    async fn token(&self) -> Result<String, OkkiError> {
        self.tokens.get(async || self.fetch_token().await).await
    }

    async fn fetch_token(&self) -> Result<Token, OkkiError> {
        const PATH: &str = "/v1/oauth2/access_token";
        let body = serde_json::json!({
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
            "scope": self.settings.scope,
        });
        let answer = self
            .client
            .send(&Request {
                method: Method::Post,
                url: format!("{}{PATH}", self.settings.base_url.trim_end_matches('/')),
                query: Vec::new(),
                headers: Vec::new(),
                body: Some(Bytes::from(body.to_string())),
                timeout: self.settings.timeout,
            })
            .await?;
        let parsed = serde_json::from_slice::<TokenAnswer>(&answer.body);
        if let Ok(TokenAnswer { error: Some(said), error_description, .. }) = &parsed {
            let said =
                error_description.as_ref().map_or_else(|| said.clone(), |more| format!("{said}: {more}"));
            return Err(OkkiError::Credentials { said });
        }
        check_status(&answer, PATH)?;
        match parsed {
            Ok(TokenAnswer { access_token: Some(value), expires_in, .. }) if !value.is_empty() => {
                Ok(Token { value, life: expires_in.map(Duration::from_secs) })
            }
            _ => Err(OkkiError::Malformed {
                request: PATH.into(),
                found: format!("{:?}", answer.excerpt()),
                expected: "a JSON object with access_token",
                status: answer.status,
                body: answer.body,
            }),
        }
    }
}

fn check_status(answer: &Answer, request: &str) -> Result<(), OkkiError> {
    match Class::of_status(answer.status, answer.retry_after) {
        None => Ok(()),
        Some(Class::Credentials) => {
            Err(OkkiError::Credentials { said: format!("HTTP {}: {}", answer.status, answer.excerpt()) })
        }
        Some(class) => Err(OkkiError::Status {
            request: request.to_string(),
            status: answer.status,
            excerpt: answer.excerpt(),
            class,
        }),
    }
}
