//! The seam between the writer and the kinds of target: what every kind is given, and what it says.

use std::sync::Arc;

use events::{MappedOrder, Outcome};
use http::{Class, Client, Method};
use journal::{Moment, StorageTrouble};
use postgres::{Postgres, PostgresError};
use qeasy::{Form, Found, Qeasy, Verdict, WriteError};
use service::ConfigError;
use service::config::{self, TargetKind};
use tokio_util::sync::CancellationToken;

use crate::WriterError;

/// An order that is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its sequence in MAPPED.
    pub(crate) seq: u64,
    pub(crate) order: Arc<MappedOrder>,
    /// The idempotency key of a request with this order alone.
    pub(crate) key: String,
    /// The key of a batch under which it may have been written: it goes out under that again.
    pub(crate) under: Option<String>,
    /// It may have been written already: an answer was lost, or its last holder died.
    pub(crate) uncertain: bool,
    /// It failed before: it goes alone, so that it cannot take others with it.
    pub(crate) alone: bool,
    /// When it came into our hands.
    pub(crate) since: Moment,
    /// Cancelled when its partition is to be handed over.
    pub(crate) stop: CancellationToken,
    /// The receipts of its partition that cannot be stored: nothing of it is sent meanwhile.
    pub(crate) storage: StorageTrouble,
}

/// What became of an order at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) outcome: Outcome,
    /// The HTTP status, where there is one.
    pub(crate) status: Option<u16>,
}

/// A target of any kind.
pub(crate) enum Target {
    Qeasy(Box<Qeasy>),
    Postgres(Box<Postgres>),
}

/// Why an order was not written, or not known to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(transparent)]
    Qeasy(#[from] WriteError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// It looks like an outage, and is not: others passed.
    #[error("{0}. Other orders passed meanwhile: it is this one that is meant")]
    OfTheOrder(#[source] Box<TargetError>),
}

impl TargetError {
    /// What it means for the orders of the request.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Qeasy(error) => error.class(),
            Self::Postgres(error) => error.class(),
            Self::OfTheOrder(error) if error.may_be_done() => Class::Uncertain,
            Self::OfTheOrder(_) => Class::Permanent,
        }
    }

    /// Whether the orders may have been taken although the answer does not say so.
    pub(crate) fn may_be_done(&self) -> bool {
        match self {
            Self::Qeasy(error) => error.may_be_done(),
            Self::Postgres(error) => error.class() == Class::Uncertain,
            Self::OfTheOrder(error) => error.may_be_done(),
        }
    }

    /// Whether it was found to be about this order because others pass.
    pub(crate) fn is_of_the_order(&self) -> bool {
        matches!(self, Self::OfTheOrder(_))
    }

    /// Whether the answer may be about one order, although it reads as if it were about all: a refusal in words, not a
    /// server in trouble.
    pub(crate) fn may_be_about_an_order(&self) -> bool {
        match self {
            Self::Qeasy(error) => error.may_be_about_an_order(),
            Self::Postgres(_) | Self::OfTheOrder(_) => false,
        }
    }

    /// The part of the message that the target wrote, which may name a person.
    pub(crate) fn theirs(&self) -> Option<&str> {
        match self {
            Self::Qeasy(error) => error.theirs(),
            Self::Postgres(error) => error.theirs(),
            Self::OfTheOrder(error) => error.theirs(),
        }
    }

    /// The HTTP status and the start of the answer, where there was one.
    pub(crate) fn answer(&self) -> Option<(u16, &str)> {
        match self {
            Self::Qeasy(error) => error.answer(),
            Self::Postgres(_) => None,
            Self::OfTheOrder(error) => error.answer(),
        }
    }

    /// Whether some of the orders were written, and it is not said which.
    pub(crate) fn is_of_a_part(&self) -> bool {
        matches!(self, Self::Qeasy(WriteError::Partly { .. }))
    }

    /// Whether the answer is one that the target gave to another request with the same idempotency key.
    pub(crate) fn is_of_another_request(&self) -> bool {
        matches!(self, Self::Qeasy(WriteError::Another { .. }))
    }
}

/// Settings of a target that cannot be used, with the keys they stand in.
fn wrong(target: &config::Target, keys: &str, error: &dyn std::error::Error) -> ConfigError {
    ConfigError::Key { place: format!("target {}, {keys}", target.name), message: service::chain(error) }
}

impl Target {
    /// The target that the configuration names, for this flow.
    pub(crate) fn of(flow: &str, target: &config::Target) -> Result<Self, WriterError> {
        let form = match target.kind {
            TargetKind::Execute => Form::Execute { api: target.api.clone(), id_check: target.id_check },
            TargetKind::Store => Form::Store {
                scheme_id: target.scheme_id.clone(),
                app_key: target.app_key.clone(),
                app_secret: target.secret()?.reveal().to_string(),
                key: target.key.clone(),
            },
            TargetKind::Postgres => return Self::postgres(flow, target),
        };
        let settings = qeasy::Settings {
            url: target.url.clone(),
            method: if target.method == "PUT" { Method::Put } else { Method::Post },
            headers: target.resolved_headers()?,
            idempotency_header: target.idempotency_header.clone(),
            timeout: match form {
                Form::Execute { .. } => target.timeout.get(),
                // A token, the call, and once more both of them: the whole exchange ends within the configured time.
                Form::Store { .. } => target.timeout.get() / 4,
            },
            trust_status: target.trust_status,
            form,
        };
        // Known before the first order: no order is at fault for an address, a header or a proxy that is none.
        let unusable = |error| wrong(target, "url and headers", &error);
        let qeasy = Qeasy::new(settings, Client::new(target.concurrency).map_err(unusable)?);
        qeasy.check().map_err(unusable)?;
        Ok(Self::Qeasy(Box::new(qeasy)))
    }

    fn postgres(flow: &str, target: &config::Target) -> Result<Self, WriterError> {
        let password = target.password()?;
        let settings = postgres::Settings {
            url: target.url.clone(),
            password: (!password.is_empty()).then(|| password.reveal().to_string()),
            table: target.table.clone(),
            key: target.key.clone(),
            ledger: target.versions.clone(),
            scope: format!("{flow}/{}", target.name),
            connections: target.concurrency,
            timeout: target.timeout.get(),
        };
        let postgres = Postgres::new(settings).map_err(|error| wrong(target, "url and table", &error))?;
        Ok(Self::Postgres(Box::new(postgres)))
    }

    /// Writes the orders in one request; says of each what became of it.
    pub(crate) async fn write(&self, rows: &[&Row], key: &str) -> Result<Vec<Taken>, TargetError> {
        match self {
            Self::Qeasy(qeasy) => {
                let records: Vec<&[u8]> = rows.iter().map(|row| row.order.record.as_slice()).collect();
                let written = qeasy.write(&records, key).await?;
                let outcome = match written.verdict {
                    Verdict::Written => Outcome::Written,
                    Verdict::Repeat => Outcome::Repeat,
                };
                Ok(vec![Taken { outcome, status: Some(written.status) }; rows.len()])
            }
            Self::Postgres(postgres) => {
                let records: Vec<postgres::Row<'_>> = rows
                    .iter()
                    .map(|row| postgres::Row {
                        key: row.order.key.as_str(),
                        record: &row.order.record,
                        version: row.order.version,
                        content: row.order.content,
                    })
                    .collect();
                let outcome = |verdict| match verdict {
                    // Already: an answer was lost, and this version is there.
                    postgres::Verdict::Written | postgres::Verdict::Already => Outcome::Written,
                    postgres::Verdict::Newer => Outcome::Superseded,
                };
                let verdicts = Box::pin(postgres.write(&records)).await?;
                Ok(verdicts
                    .into_iter()
                    .map(|verdict| Taken { outcome: outcome(verdict), status: None })
                    .collect())
            }
        }
    }

    /// Whether the target can be asked what it holds.
    pub(crate) fn can_be_asked(&self) -> bool {
        match self {
            Self::Qeasy(qeasy) => qeasy.can_be_asked(),
            // It need not be: the same version again changes nothing there.
            Self::Postgres(_) => false,
        }
    }

    /// Whether the target holds this very order; `None` when it cannot say.
    pub(crate) async fn holds(&self, row: &Row) -> Result<Option<bool>, TargetError> {
        match self {
            Self::Qeasy(qeasy) => {
                Ok(qeasy.holds(&row.order.record).await?.map(|found| found == Found::ThisOne))
            }
            Self::Postgres(_) => Ok(None),
        }
    }
}
