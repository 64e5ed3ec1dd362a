//! Calls: a token, a page of the order list, one order. What a refusal or a limit means for the next call is the caller's.

use std::time::Duration;

use bytes::Bytes;
use events::shorten;
use http::{Answer, Class, Client, HttpError, LARGEST_ANSWER, LARGEST_PAGE, Method, Request, Token};
use jiff::tz::TimeZone;

use serde::de::IgnoredAny;

use crate::asked::other_id;
use crate::envelope::{Envelope, Refusal};
use crate::token::read_token;
use crate::{Detail, OkkiError, Page, Reader};

/// Where a token is asked for.
const TOKEN_PATH: &str = "/v1/oauth2/access_token";

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
        // It is kept with the page, and said in errors.
        let shown = parameters.iter().map(|(name, value)| match secrets::address::is_secret_name(name) {
            true => format!("{name}={}", secrets::HIDDEN),
            false => format!("{name}={value}"),
        });
        let shown: Vec<String> = shown.collect();
        let request = format!("{}?{}", self.settings.api, shown.join("&"));
        let answer = self.send(token, &self.settings.api, self.settings.method, parameters).await?;
        check_status(&answer, &request)?;
        let mut page = self.reader(&request, &answer).page(&answer.body)?;
        // Not every answer shows the time; every web server does.
        page.now = page.now.or(answer.date);
        Ok(page)
    }

    /// Fetches one order.
    ///
    /// # Errors
    /// [`OkkiError`]; its class says what to do.
    pub async fn detail(&self, token: &str, call: &DetailCall, id: &str) -> Result<Detail, OkkiError> {
        let request = format!("{}?{}={}", call.api, call.parameter, shorten(id));
        let parameters = vec![(call.parameter.clone(), id.to_string())];
        let answer = self.send(token, &call.api, Method::Get, parameters).await?;
        let detail = self.reader(&request, &answer).detail(&answer.body);
        match (answer.status, detail) {
            // Not there, in the application's own words, whatever the status; a bare 404 is a wrong address.
            (404, Ok(Detail::Gone)) => Ok(Detail::Gone),
            (_, Err(error @ OkkiError::Credentials { .. })) => Err(error),
            (_, detail) => check_status(&answer, &request).and(detail).and_then(|detail| {
                let is_asked = self.is_of(&detail, id);
                is_asked.map(|()| detail).map_err(|found| OkkiError::Malformed {
                    request: request.clone(),
                    found,
                    expected: "the order that was asked for",
                    status: answer.status,
                    body: answer.body.clone(),
                })
            }),
        }
    }

    /// Whether a detail is that of the order that was asked for, as far as it says; else what it is.
    fn is_of(&self, detail: &Detail, id: &str) -> Result<(), String> {
        let Detail::Found(body) = detail else { return Ok(()) };
        let Ok(order) = crate::detail(body) else { return Ok(()) };
        match other_id(&order.legible(), &self.settings.id, id) {
            None => Ok(()),
            Some(other) => {
                let (other, id) = (shorten(&other), shorten(id));
                Err(format!("the order whose {} is {other}, and not {id}", self.settings.id))
            }
        }
    }

    fn reader<'a>(&'a self, request: &'a str, answer: &Answer) -> Reader<'a> {
        Reader {
            request,
            status: answer.status,
            retry_after: answer.retry_after,
            id: &self.settings.id,
            zone: &self.settings.zone,
        }
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
        self.client.send(&self.request(Some(token), api, method, query, body)).await
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// [`OkkiError::Credentials`] when the source does not accept who we are.
    pub async fn token(&self) -> Result<Token, OkkiError> {
        let body = serde_json::json!({
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
            "scope": self.settings.scope,
        });
        let body = Some(Bytes::from(body.to_string()));
        read_token(&self.client.send(&self.request(None, TOKEN_PATH, Method::Post, Vec::new(), body)).await?)
    }

    /// Whether the requests to the source can be made at all, without making one.
    ///
    /// # Errors
    /// [`HttpError::Build`] for the first that cannot.
    pub fn check(&self) -> Result<(), HttpError> {
        let details = self.settings.detail.iter().map(|call| call.api.as_str());
        for api in details.chain([self.settings.api.as_str(), TOKEN_PATH]) {
            self.client.check(&self.request(Some("token"), api, self.settings.method, Vec::new(), None))?;
        }
        Ok(())
    }

    fn request(
        &self,
        token: Option<&str>,
        api: &str,
        method: Method,
        query: Vec<(String, String)>,
        body: Option<Bytes>,
    ) -> Request {
        let authorization = token.map(|token| ("Authorization".to_string(), format!("Bearer {token}")));
        Request {
            method,
            url: format!("{}{api}", self.settings.base_url.trim_end_matches('/')),
            query,
            headers: authorization.into_iter().collect(),
            body,
            timeout: self.settings.timeout,
            most: if api == TOKEN_PATH { LARGEST_ANSWER } else { LARGEST_PAGE },
        }
    }
}

/// Returns what a bad status means. A body that refuses our credentials in the words of OAuth says more than its status.
fn check_status(answer: &Answer, request: &str) -> Result<(), OkkiError> {
    let Some(class) = Class::of_status(answer.status, answer.retry_after) else { return Ok(()) };
    let envelope = serde_json::from_slice::<Envelope<'_, IgnoredAny>>(&answer.body).ok();
    let refusal = envelope.and_then(|envelope| envelope.refusal());
    if let Some(refusal) = refusal.filter(Refusal::is_of_credentials) {
        return Err(OkkiError::Credentials { said: refusal.message });
    }
    if class == Class::Credentials {
        return Err(OkkiError::Credentials { said: format!("HTTP {}: {}", answer.status, answer.said()) });
    }
    Err(OkkiError::Status {
        request: request.to_string(),
        status: answer.status,
        excerpt: answer.said(),
        class,
    })
}
