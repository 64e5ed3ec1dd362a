//! Creates the streams of a flow and checks what is there.

use async_nats::jetstream::{self, stream};

use crate::topology::PARTITIONS;
use crate::{Journal, JournalError, Stream, Topology};

impl Journal {
    /// Creates what is missing and checks what is there, comparing the configuration that the server echoes: an older
    /// server accepts settings it does not know and drops them. Safe to call from any number of replicas.
    ///
    /// # Errors
    /// [`JournalError::Topology`] when a stream exists with other partitions or without atomic batches.
    pub async fn ensure(&self, topology: &Topology) -> Result<(), JournalError> {
        for stream in Stream::ALL {
            let wanted = topology.config(stream);
            let what = format!("set up stream {}", wanted.name);
            let found = match self.jetstream().get_stream(&wanted.name).await {
                Ok(existing) => existing.cached_info().config.clone(),
                // What is not permitted would not be permitted the next time either.
                Err(_) => match self.refusals().explain(&what) {
                    Some(refused) => return Err(refused),
                    None => self.create(&wanted, &what).await?,
                },
            };
            check(&wanted, &found)?;
        }
        Ok(())
    }

    async fn create(&self, wanted: &stream::Config, what: &str) -> Result<stream::Config, JournalError> {
        match self.jetstream().create_stream(wanted.clone()).await {
            Ok(created) => Ok(created.cached_info().config.clone()),
            // Another replica may have created it between our question and our request.
            Err(error) => match self.jetstream().get_stream(&wanted.name).await {
                Ok(existing) => Ok(existing.cached_info().config.clone()),
                Err(_) => Err(self.refusal(what, error)),
            },
        }
    }

    fn refusal(&self, what: &str, error: jetstream::context::CreateStreamError) -> JournalError {
        use jetstream::context::CreateStreamErrorKind::JetStream;
        match error.kind() {
            JetStream(inner) => JournalError::of_storing(what, what, inner),
            _ => self.unavailable(what, error),
        }
    }
}

fn check(wanted: &stream::Config, found: &stream::Config) -> Result<(), JournalError> {
    let differs = |what, found: String, expected: String| {
        if found == expected {
            Ok(())
        } else {
            Err(JournalError::Topology { stream: wanted.name.clone(), what, found, expected })
        }
    };
    differs("subjects", found.subjects.join(","), wanted.subjects.join(","))?;
    differs("retention", format!("{:?}", found.retention), format!("{:?}", wanted.retention))?;
    differs(
        "messages a subject",
        found.max_messages_per_subject.to_string(),
        wanted.max_messages_per_subject.to_string(),
    )?;
    differs("allow_atomic", found.allow_atomic_publish.to_string(), "true".into())?;
    if let Some(partitions) = wanted.metadata.get(PARTITIONS) {
        let found = found.metadata.get(PARTITIONS).cloned().unwrap_or_else(|| "not recorded".into());
        differs("writer.partitions", found, partitions.clone())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_partitions_are_refused() {
        let (sixteen, eight) = (Topology::new("f", 16), Topology::new("f", 8));
        let error =
            check(&eight.config(Stream::Mapped), &sixteen.config(Stream::Mapped)).expect_err("differs");
        assert_eq!(
            error.to_string(),
            "stream f-MAPPED: writer.partitions is 16, expected 8; it is fixed once the flow has run, so set it back"
        );
    }
}
