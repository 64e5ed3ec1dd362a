//! Atomic batches (ADR-50): all of the messages are stored, one after another, or none.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{HeaderName, Request};
use futures::StreamExt;

use crate::connect::ACK_TIMEOUT;
use crate::record::Record;
use crate::{Journal, JournalError, Stored};

/// The server's limit (error 10199 above it).
pub(crate) const MAX_MESSAGES: usize = 1_000;

/// Messages that are published singly, at the same time.
const SINGLY: usize = 64;

const ID: HeaderName = HeaderName::from_static("Nats-Batch-Id");
const SEQUENCE: HeaderName = HeaderName::from_static("Nats-Batch-Sequence");
const COMMIT: HeaderName = HeaderName::from_static("Nats-Batch-Commit");

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Journal {
    /// Stores all records in one stream, one after another, or none. At most 1,000.
    ///
    /// # Errors
    /// [`JournalError::DuplicateInBatch`] when any of them was stored before; [`JournalError::Conflict`] when any
    /// expected another last sequence; nothing is stored then. [`JournalError::Unavailable`] when no answer came.
    pub async fn commit(&self, records: &[Record]) -> Result<Vec<Stored>, JournalError> {
        let Some((last, head)) = records.split_last() else {
            return Ok(Vec::new());
        };
        if head.is_empty() {
            return self.publish(last).await.map(|stored| vec![stored]);
        }
        for record in records {
            record.check(self.max_payload())?;
        }
        let what = format!("store a batch of {} messages", records.len());
        // Unique among all connections of the server; the inbox prefix holds a random id of this process.
        let inbox = self.client().new_inbox();
        let batch =
            format!("{}-{}", &inbox[inbox.len().saturating_sub(22)..], NEXT.fetch_add(1, Ordering::Relaxed));
        let sending = async {
            for (at, record) in (1_u64..).zip(head) {
                let mut headers = record.headers();
                headers.insert(ID, batch.as_str());
                headers.insert(SEQUENCE, at.to_string());
                let (subject, payload) = (record.subject.clone(), record.payload.clone());
                self.client().publish_with_headers(subject, headers, payload).await?;
            }
            Ok(())
        };
        // While the connection is away nothing may leave.
        tokio::time::timeout(ACK_TIMEOUT, sending)
            .await
            .map_err(|error| self.unavailable(what.as_str(), error))?
            .map_err(|error: async_nats::PublishError| self.unavailable(what.as_str(), error))?;
        let mut headers = last.headers();
        headers.insert(ID, batch.as_str());
        headers.insert(SEQUENCE, records.len().to_string());
        headers.insert(COMMIT, "1");
        let request = Request::new().headers(headers).payload(last.payload.clone());
        let ack = self.request_ack(&last.subject, request, &what).await?;
        let first = ack.sequence + 1 - records.len() as u64;
        Ok((first..=ack.sequence).map(|seq| Stored { seq, duplicate: false }).collect())
    }

    /// Stores all records; those stored before are reported as duplicates instead of refusing the rest. Records that
    /// have to be stored together or not at all go through [`Journal::commit`] instead.
    ///
    /// # Errors
    /// As [`Journal::publish`], for the first record that fails.
    pub async fn store_all(&self, records: &[Record]) -> Result<Vec<Stored>, JournalError> {
        let mut stored = Vec::with_capacity(records.len());
        for chunk in records.chunks(MAX_MESSAGES) {
            match self.commit(chunk).await {
                Ok(batch) => stored.extend(batch),
                Err(JournalError::DuplicateInBatch) => {
                    for one in self.publish_each(chunk).await {
                        stored.push(one?);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(stored)
    }

    /// Publishes records one by one, one after another and without waiting for the answer to the one before; each has its
    /// own fate.
    pub(crate) async fn publish_each(&self, records: &[Record]) -> Vec<Result<Stored, JournalError>> {
        let mut publishing = Vec::with_capacity(records.len());
        for record in records {
            publishing.push(self.publish(record));
        }
        futures::stream::iter(publishing).buffered(SINGLY).collect().await
    }
}
