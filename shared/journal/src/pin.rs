//! The pin of a consumer that one replica has at a time: who has it, keeping it, letting go of it.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::consume::Consumption;
use crate::{Journal, JournalError, Stream, Topology};

/// The priority group of pinned consumers.
pub(crate) const GROUP: &str = "one";

/// Who has a pinned consumer, and what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The pin that the server honours; `None` when nobody has it.
    pub pin: Option<String>,
    /// Everything up to this sequence of the stream is settled.
    pub ack_floor: u64,
    /// Nothing after this sequence was ever delivered.
    pub delivered: u64,
}

impl Journal {
    /// Who has a pinned consumer at this moment.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn pin(&self, topology: &Topology, stream: Stream, durable: &str) -> Result<Pin, JournalError> {
        let what = format!("ask who holds {durable}");
        let handle = self.handle(&topology.stream(stream), &what).await?;
        let info = handle.consumer_info(durable).await;
        let info = info.map_err(|error| self.unavailable(what, error))?;
        let pin = info.priority_groups.into_iter().find_map(|group| group.pinned_client_id);
        let (ack_floor, delivered) = (info.ack_floor.stream_sequence, info.delivered.stream_sequence);
        Ok(Pin { pin, ack_floor, delivered })
    }

    /// Keeps a pin for as long as this is polled. Pulls alone do not: while a replica is full, or slow, it has none to make,
    /// and a pin passes on after a while without. What is asked for every third of that while is one message of at most
    /// one byte. No message of ours is so small, so none comes; the request alone winds the pin's clock
    /// (`processNextMsgRequest` of nats-server). A pin that is not honoured any more is not brought back by it.
    pub(crate) async fn hold_pin(
        &self,
        next: String,
        lasts: Duration,
        pin: watch::Receiver<Option<String>>,
    ) -> Infallible {
        loop {
            tokio::time::sleep(lasts / 3).await;
            let Some(id) = pin.borrow().clone() else { continue };
            let request = json!({"batch": 1, "max_bytes": 1, "no_wait": true, "group": GROUP, "id": id});
            let request = request.to_string().into();
            // Nobody listens for the answer.
            let inbox = self.client().new_inbox();
            if let Err(error) = self.client().publish_with_reply(next.clone(), inbox, request).await {
                tracing::debug!(%error, next, "the pin is not kept");
            }
        }
    }

    /// Lets another replica have the pin at once instead of after its timeout. The server takes it away from whoever has it:
    /// one that is another replica's by now is left alone, or two would write at once.
    pub(crate) async fn unpin(&self, topology: &Topology, consumption: &Consumption, pin: &str) {
        let honoured = self.pin(topology, consumption.stream, &consumption.durable).await;
        if !honoured.is_ok_and(|honoured| honoured.pin.as_deref() == Some(pin)) {
            return;
        }
        let stream = self.handle(&topology.stream(consumption.stream), "release a pin").await;
        if let Ok(stream) = stream
            && let Err(error) = stream.unpin_consumer(&consumption.durable, GROUP).await
        {
            tracing::debug!(%error, consumer = consumption.durable, "pin not released; it will time out");
        }
    }
}
