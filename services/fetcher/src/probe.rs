//! Asking the source for a little, beside any window: whether it lets us in, and what its orders look like. Nothing is stored, and
//! the call budget that fetchers share is left alone.

use events::{Slice, now};
use http::{Client, Token};
use okki::{Detail, Okki, OkkiError};
use serde_json::value::RawValue;
use service::Config;
use service::config::Operators;

use crate::FetchError;
use crate::settings::Settings;

/// The source, to be asked a few times.
pub struct SourceProbe {
    okki: Okki,
    settings: Settings,
    operators: Operators,
}

/// The first orders that the source lists.
#[derive(Debug)]
pub struct FirstOrders {
    /// How many orders it counts since `schedule.since`.
    pub total: u64,
    /// The orders, each as its detail where `source.detail` is given.
    pub orders: Vec<Box<RawValue>>,
    /// Rows that are no JSON, and orders that were gone when their detail was asked for.
    pub left_out: usize,
}

impl SourceProbe {
    /// A source that is asked for pages of `count` orders.
    ///
    /// # Errors
    /// When the configuration does not say how to ask.
    pub fn new(config: &Config, count: u32) -> Result<Self, FetchError> {
        let mut config = config.clone();
        config.source.request.insert("count".into(), i64::from(count).into());
        let settings = Settings::of(&config)?;
        let okki = Okki::new(settings.source.clone(), Client::new(1)?);
        Ok(Self { okki, settings, operators: config.operators })
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// [`OkkiError::Credentials`] when the source does not let us in.
    pub async fn token(&self) -> Result<Token, OkkiError> {
        self.okki.token().await
    }

    /// Asks for the first page of the orders since `schedule.since`, and for the detail of each where that is configured.
    ///
    /// # Errors
    /// [`OkkiError`], also when the page has rows of other times than those that were asked for.
    pub async fn first_orders(&self, token: &Token) -> Result<FirstOrders, OkkiError> {
        let slice = Slice {
            since: self.settings.since.as_microsecond(),
            until: now().saturating_sub(self.settings.settle),
        };
        let asked = self.settings.orders().page(slice, 1).map_err(|found| OkkiError::Malformed {
            request: "source.request".into(),
            found,
            expected: "a request that can be made",
            status: 0,
            body: bytes::Bytes::new(),
        })?;
        let page = self.okki.list(&token.value, asked.parameters).await?;
        if let Some(times) = asked.times {
            times.check(&page)?;
        }
        let rows = okki::rows(&page.body).unwrap_or_default();
        let listed = rows.len();
        let mut orders = Vec::with_capacity(listed);
        for row in rows.iter().filter_map(okki::StoredRow::whole) {
            orders.extend(self.whole(token, row).await?);
        }
        Ok(FirstOrders { total: page.total, left_out: listed - orders.len(), orders })
    }

    /// The order of a row: its detail where there is one, and the row itself otherwise; `None` when it is gone.
    async fn whole(&self, token: &Token, row: &RawValue) -> Result<Option<Box<RawValue>>, OkkiError> {
        let id = okki::id_of(row, &self.settings.source.id);
        let (Some(call), Some(id)) = (&self.settings.source.detail, id) else {
            return Ok(Some(row.to_owned()));
        };
        let Detail::Found(body) = self.okki.detail(&token.value, call, &id).await? else { return Ok(None) };
        Ok(okki::detail(&body).ok().and_then(|order| order.whole().map(ToOwned::to_owned)))
    }

    /// An error with its causes, as everybody may see it.
    pub fn said(&self, error: &OkkiError) -> String {
        self.operators.said(error, error.theirs())
    }
}
