//! Asking a target for an answer without writing to it.

use postgres::TableReport;
use qeasy::ProbeReply;
use service::Config;
use service::config::Target;

use crate::WriterError;
use crate::target::{self, TargetError};

/// What a target answered that was sent no order.
#[derive(Debug)]
pub enum TargetReply {
    /// Something is there: the HTTP status of its answer to a GET. Whether it takes orders is not tried.
    Status(u16),
    /// It gave a token for our key and secret.
    Token,
    /// The table was looked at.
    Table(TableReport),
    /// Why there was no good answer, as everybody may see it.
    Failed(String),
}

/// Connects to a target, and writes nothing. `fields` are the names of the fields of a record.
///
/// # Errors
/// What is wrong with its configuration.
pub async fn probe(config: &Config, target: &Target, fields: &[String]) -> Result<TargetReply, WriterError> {
    let reply = match target::Target::of(&config.flow, target)? {
        target::Target::Qeasy(qeasy) => match qeasy.probe().await {
            Ok(ProbeReply::Status(status)) => Ok(TargetReply::Status(status)),
            Ok(ProbeReply::Token) => Ok(TargetReply::Token),
            Err(error) => Err(TargetError::from(error)),
        },
        target::Target::Postgres(postgres) => {
            Box::pin(postgres.probe(fields)).await.map(TargetReply::Table).map_err(TargetError::from)
        }
    };
    Ok(reply.unwrap_or_else(|error| TargetReply::Failed(config.operators.said(&error, error.theirs()))))
}
