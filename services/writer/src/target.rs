//! The seam between the writer and the kinds of target: what every kind is given, and what it says.

use std::sync::Arc;

use events::{MappedOrder, Outcome};
use http::{Class, Client, Method};
use journal::Moment;
use postgres::{Postgres, PostgresError};
use qeasy::{Form, Found, Qeasy, Verdict, WriteError};
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
}

impl TargetError {
    /// What it means for the orders of the request.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Qeasy(error) => error.class(),
            Self::Postgres(error) => error.class(),
        }
    }

    /// The part of the message that the target wrote, which may name a person.
    pub(crate) fn theirs(&self) -> Option<&str> {
        match self {
            Self::Qeasy(error) => error.theirs(),
            Self::Postgres(error) => error.theirs(),
        }
    }

    /// The HTTP status and the start of the answer, where there was one.
    pub(crate) fn answer(&self) -> Option<(u16, &str)> {
        match self {
            Self::Qeasy(error) => error.answer(),
            Self::Postgres(_) => None,
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
        Ok(Self::Qeasy(Box::new(Qeasy::new(settings, Client::new(target.concurrency)?))))
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
        Ok(Self::Postgres(Box::new(Postgres::new(settings)?)))
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
