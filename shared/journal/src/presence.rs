//! Who is there right now: whoever is asked over core NATS answers for itself, and nothing is stored. An answer is news of
//! the moment; silence means that nobody is there, or that it was not heard in time.

use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use events::{Instance, Stage, encode, now};
use futures::StreamExt;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Journal, JournalError, Topology};

/// How long an answer is waited for when all that are known of have answered.
const LATE: Duration = Duration::from_millis(30);

impl Journal {
    /// Answers whoever asks which instances of a stage there are, until the guard goes. `with` adds what only this stage knows to
    /// the plain facts, at that moment.
    ///
    /// # Errors
    /// When the connection is closed for good.
    pub async fn here(
        &self,
        names: &Topology,
        stage: Stage,
        host: String,
        with: impl Fn(Instance) -> Instance + Send + Sync + 'static,
    ) -> Result<DropGuard, JournalError> {
        let plain = Instance {
            stage,
            member: self.member(),
            host,
            pid: std::process::id(),
            started_at: now(),
            mapping: None,
            mapping_rejected: None,
            writing: None,
            trouble: None,
            storage: None,
            trouble_since: None,
            next_attempt: None,
        };
        let until = CancellationToken::new();
        // Nothing in an instance can fail to encode; who gets an empty answer passes over it.
        let reply = move || encode(&with(plain.clone()), now()).map(Vec::from).unwrap_or_default();
        self.answer(names.presence(stage), reply, until.clone()).await?;
        Ok(until.drop_guard())
    }

    /// Answers everyone who asks on `subject` with what `reply` says at that moment, until `shutdown`. Goes on when the
    /// connection was lost and came back.
    ///
    /// # Errors
    /// When the connection is closed for good.
    pub async fn answer(
        &self,
        subject: String,
        reply: impl Fn() -> Vec<u8> + Send + Sync + 'static,
        shutdown: CancellationToken,
    ) -> Result<(), JournalError> {
        let client = self.client().clone();
        let mut questions = client
            .subscribe(subject)
            .await
            .map_err(|error| self.unavailable("take questions about who is there", error))?;
        tokio::spawn(async move {
            loop {
                let question = tokio::select! {
                    () = shutdown.cancelled() => return,
                    question = questions.next() => question,
                };
                // The client subscribes again by itself after a reconnect; an end means that it was closed.
                let Some(question) = question else { return };
                let Some(to) = question.reply else { continue };
                if let Err(error) = client.publish(to, reply().into()).await {
                    tracing::debug!(%error, "a question about who is there is not answered");
                }
            }
        });
        Ok(())
    }

    /// Asks on `subject` who is there, and collects the answers that come within `wait`, in no particular order. Returns
    /// earlier when the server says that nobody listens, and soon after `enough` says that all have answered.
    pub async fn ask(&self, subject: &str, wait: Duration, enough: impl Fn(&[Bytes]) -> bool) -> Vec<Bytes> {
        let mut answers = Vec::new();
        let asking = async {
            let inbox = self.client().new_inbox();
            // The server takes what we send in order: the inbox is there before anyone can answer into it.
            let mut inbox_messages = self.client().subscribe(inbox.clone()).await?;
            self.client().publish_with_reply(subject.to_string(), inbox, Bytes::new()).await?;
            loop {
                // Those that nobody knows of answer as fast as the others.
                let next = inbox_messages.next();
                let next = match enough(&answers) {
                    true => tokio::time::timeout(LATE, next).await.ok().flatten(),
                    false => next.await,
                };
                match next {
                    Some(answer) if answer.status != Some(StatusCode::NO_RESPONDERS) => {
                        answers.push(answer.payload);
                    }
                    _ => break,
                }
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(wait, asking).await {
            tracing::debug!(%error, subject, "nobody could be asked who is there");
        }
        answers
    }
}
