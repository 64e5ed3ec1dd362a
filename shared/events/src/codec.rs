//! The envelope every event travels in, and its encoding: MessagePack maps with field names.

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::Micros;

/// Something that happened, as a message in a stream.
pub trait Event: Serialize + DeserializeOwned {
    /// The name the envelope carries; never changed once written.
    const KIND: &'static str;
    /// The schema this build writes. Adding a field with `#[serde(default)]` keeps it; any other change raises it.
    const SCHEMA: u16 = 1;
}

/// An event as it was read, with what its envelope said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<T> {
    /// The schema it was written with.
    pub schema: u16,
    /// When it was written.
    pub at: Micros,
    /// The event.
    pub body: T,
}

/// Why bytes are not the event they should be.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The event could not be written as MessagePack.
    #[error("{kind} cannot be encoded")]
    Encode {
        /// The event's kind.
        kind: &'static str,
        /// What the encoder said.
        #[source]
        source: rmp_serde::encode::Error,
    },
    /// The bytes are no MessagePack, or not of this event's shape.
    #[error("{expected} cannot be decoded from {found} bytes")]
    Decode {
        /// The event that was expected.
        expected: &'static str,
        /// How many bytes were found.
        found: usize,
        /// What the decoder said.
        #[source]
        source: rmp_serde::decode::Error,
    },
    /// The envelope holds another event.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// The event that was expected.
        expected: &'static str,
        /// The kind the envelope names.
        found: String,
    },
    /// A newer orderflow wrote it; guessing at its meaning could lose an order.
    #[error("{kind} has schema {found}, this build reads up to {known}: upgrade before reading this stream")]
    Newer {
        /// The event's kind.
        kind: &'static str,
        /// The schema found.
        found: u16,
        /// The newest schema this build knows.
        known: u16,
    },
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a, T> {
    kind: std::borrow::Cow<'a, str>,
    schema: u16,
    at: Micros,
    body: T,
}

/// A field that was added later is written only when it says something, so that what was written before stays as it is.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Encodes an event that happened `at`.
///
/// # Errors
/// [`CodecError::Encode`]; none of our events can cause it.
pub fn encode<E: Event>(event: &E, at: Micros) -> Result<Bytes, CodecError> {
    let envelope = Envelope { kind: E::KIND.into(), schema: E::SCHEMA, at, body: event };
    rmp_serde::to_vec_named(&envelope)
        .map(Bytes::from)
        .map_err(|source| CodecError::Encode { kind: E::KIND, source })
}

/// Decodes one event of a known kind.
///
/// # Errors
/// Not MessagePack, another kind, or written by a newer build.
pub fn decode<E: Event>(bytes: &[u8]) -> Result<Decoded<E>, CodecError> {
    match rmp_serde::from_slice::<Envelope<'_, E>>(bytes) {
        Ok(envelope) if envelope.kind != E::KIND => {
            Err(CodecError::Kind { expected: E::KIND, found: envelope.kind.into_owned() })
        }
        Ok(envelope) if envelope.schema > E::SCHEMA => {
            Err(CodecError::Newer { kind: E::KIND, found: envelope.schema, known: E::SCHEMA })
        }
        Ok(envelope) => Ok(Decoded { schema: envelope.schema, at: envelope.at, body: envelope.body }),
        // A body of another shape is most often another kind or a newer schema: say that rather than "missing field".
        Err(source) => match kind_and_schema(bytes) {
            Ok((found, _)) if found != E::KIND => Err(CodecError::Kind { expected: E::KIND, found }),
            Ok((_, found)) if found > E::SCHEMA => {
                Err(CodecError::Newer { kind: E::KIND, found, known: E::SCHEMA })
            }
            _ => Err(CodecError::Decode { expected: E::KIND, found: bytes.len(), source }),
        },
    }
}

/// The kind of event some bytes hold, without decoding its body.
///
/// # Errors
/// [`CodecError::Decode`] when the bytes are no envelope.
pub fn kind_of(bytes: &[u8]) -> Result<String, CodecError> {
    kind_and_schema(bytes).map(|(kind, _)| kind)
}

fn kind_and_schema(bytes: &[u8]) -> Result<(String, u16), CodecError> {
    rmp_serde::from_slice::<Envelope<'_, IgnoredAny>>(bytes)
        .map(|envelope| (envelope.kind.into_owned(), envelope.schema))
        .map_err(|source| CodecError::Decode { expected: "an event", found: bytes.len(), source })
}
