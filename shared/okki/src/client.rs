//! Calls: a token, a page of the order list, one order. What a refusal or a limit means for the next call is the caller's.

use std::time::Duration;

use bytes::Bytes;
use http::{Answer, Class, Client, HttpError, Method, Request, Token};
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::{Detail, OkkiError, Page, Reader};

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
    /// The zone of its times.
    pub zone: TimeZone,
    /// The call for one order, where it is made.
    pub detail: Option<DetailCall>,
}

/// The call for one order.
#[derive(Debug, Clone)]
pub struct DetailCall {
    /// Its path.
    pub api: String,
    /// The parameter that takes the order's id.
    pub parameter: String,
}

/// The source.
pub struct Okki {
    settings: Settings,
    client: Client,
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
        Self { settings, client }
    }

    /// Fetches one page with these parameters.
    ///
    /// # Errors
    /// [`OkkiError`]; its class says what to do.
    pub async fn list(&self, token: &str, parameters: Vec<(String, String)>) -> Result<Page, OkkiError> {
        let shown: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!("{}?{}", self.settings.api, shown.join("&"));
        let answer = self.send(token, &self.settings.api, self.settings.method, parameters).await?;
        check_status(&answer, &request)?;
        let mut page = self.reader(&request, answer.status).page(&answer.body)?;
        // Not every answer shows the time; every web server does.
        page.now = page.now.or(answer.date);
        Ok(page)
    }

    /// Fetches one order.
    ///
    /// # Errors
    /// [`OkkiError`]; its class says what to do.
    pub async fn detail(&self, token: &str, call: &DetailCall, id: &str) -> Result<Detail, OkkiError> {
        let request = format!("{}?{}={id}", call.api, call.parameter);
        let parameters = vec![(call.parameter.clone(), id.to_string())];
        let answer = self.send(token, &call.api, Method::Get, parameters).await?;
        let detail = self.reader(&request, answer.status).detail(&answer.body);
        match (answer.status, detail) {
            // Not there, in the application's own words, whatever the status; a bare 404 is a wrong address.
            (404, Ok(Detail::Gone)) => Ok(Detail::Gone),
            (_, detail) => check_status(&answer, &request).and(detail),
        }
    }

    fn reader<'a>(&'a self, request: &'a str, status: u16) -> Reader<'a> {
        Reader { request, status, id: &self.settings.id, zone: &self.settings.zone }
    }

    async fn send(
        &self,
        token: &str,
        api: &str,
        method: Method,
        parameters: Vec<(String, String)>,
    ) -> Result<Answer, HttpError> {
        let (query, body) = match method {
            Method::Get => (parameters, None),
            _ => {
                let fields: serde_json::Map<_, _> =
                    parameters.into_iter().map(|(name, value)| (name, value.into())).collect();
                (Vec::new(), Some(Bytes::from(serde_json::Value::Object(fields).to_string())))
            }
        };
        self.client
            .send(&Request {
                method,
                url: format!("{}{api}", self.settings.base_url.trim_end_matches('/')),
                query,
                headers: vec![("Authorization".into(), format!("Bearer {token}"))],
                body,
                timeout: self.settings.timeout,
            })
            .await
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// [`OkkiError::Credentials`] when the source does not accept who we are.
    pub async fn token(&self) -> Result<Token, OkkiError> {
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
