//! The dead letter of an order.

use events::{Answer, DeadLetter, LetterOrigin, Listing, MappedOrder, Payload, Stage};
use journal::{Delivery, Label, TraceParent};

use crate::order::Partition;

impl Partition {
    pub(crate) fn letter(
        &self,
        message: &Delivery,
        order: Option<&MappedOrder>,
        kind: &str,
        text: String,
        answer: Option<Answer>,
        trace: TraceParent,
    ) -> DeadLetter {
        let origin = order.map(|order| &order.origin);
        DeadLetter {
            stage: Stage::Write,
            kind: kind.to_string(),
            message: text,
            causes: Vec::new(),
            origin: LetterOrigin {
                stream: message.stream.clone(),
                sequence: message.seq,
                window: origin.map(|origin| origin.window.clone()),
                page: origin.map(|origin| origin.page),
                row: origin.map(|origin| origin.row),
                raw_seq: origin.map(|origin| origin.raw_seq),
                listing: Listing::Orders,
            },
            target: Some(self.writer.name.clone()),
            key: order.map(|order| order.key.to_string()),
            number: order.and_then(|order| order.number.clone()),
            payload: Payload::pack(order.map_or(&message.payload[..], |order| &order.record)),
            answer,
            attempts: self.attempts.with(message.seq, std::mem::take).failed,
            mapping: order.map(|order| order.mapping.clone()),
            trace_id: Some(trace.trace_id()),
            retries: message.label(Label::Retries).and_then(|retries| retries.parse().ok()).unwrap_or(0),
        }
    }
}
