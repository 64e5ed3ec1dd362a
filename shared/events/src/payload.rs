//! Bytes kept exactly as they were, compressed on the way through the log.

use std::cell::RefCell;
use std::io;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

/// zstd level 1: three quarters of what level 3 saves on JSON orders at less than half its time.
const LEVEL: i32 = 1;

/// Stored bytes are restored up to this size. The largest that we store is a page with its details.
pub const LARGEST_PAYLOAD: u64 = 256 << 20;

/// How the bytes of a [`Payload`] are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As they are.
    Plain,
    /// One zstd frame (or, for a part of a page, a slice of one).
    Zstd,
}

/// Some bytes, compressed, with the size they had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// How `bytes` are stored.
    pub encoding: Encoding,
    /// Size before compression, in bytes.
    pub size: u64,
    /// The stored bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Why stored bytes could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// zstd refused them.
    #[error("{stored} stored bytes are no zstd frame")]
    Corrupt {
        /// How many bytes were stored.
        stored: usize,
        /// What zstd said.
        #[source]
        source: io::Error,
    },
    /// They say that they are larger than anything we store.
    #[error("the stored bytes say that they were {size} bytes, expected at most {LARGEST_PAYLOAD}")]
    TooLarge {
        /// The size written down.
        size: u64,
    },
    /// They restored to another size than was written down.
    #[error("restored {found} bytes, expected {expected}")]
    Size {
        /// The size written down.
        expected: u64,
        /// The size found.
        found: u64,
    },
    /// They restored to something else than the details of a page.
    #[error("restored bytes are no list of details")]
    Details(#[source] rmp_serde::decode::Error),
}

impl Payload {
    /// Compresses `bytes`; what does not shrink is kept as it is.
    pub fn pack(bytes: &[u8]) -> Self {
        let size = bytes.len() as u64;
        match compress(bytes) {
            Ok(packed) if packed.len() < bytes.len() => {
                Self { encoding: Encoding::Zstd, size, bytes: packed }
            }
            _ => Self { encoding: Encoding::Plain, size, bytes: bytes.to_vec() },
        }
    }

    /// The bytes as they were.
    ///
    /// # Errors
    /// [`PayloadError`] when the stored bytes are damaged.
    pub fn unpack(&self) -> Result<Vec<u8>, PayloadError> {
        if self.size > LARGEST_PAYLOAD {
            return Err(PayloadError::TooLarge { size: self.size });
        }
        let bytes = match self.encoding {
            Encoding::Plain => self.bytes.clone(),
            Encoding::Zstd => {
                let capacity = usize::try_from(self.size).unwrap_or(usize::MAX);
                decompress(&self.bytes, capacity)
                    .map_err(|source| PayloadError::Corrupt { stored: self.bytes.len(), source })?
            }
        };
        let found = bytes.len() as u64;
        if found == self.size { Ok(bytes) } else { Err(PayloadError::Size { expected: self.size, found }) }
    }
}

thread_local! {
    // A context is larger than what it mostly works on, and takes longer to make.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(compressor) => compressor.compress(bytes),
        None => kept.insert(Compressor::new(LEVEL)?).compress(bytes),
    })
}

fn decompress(bytes: &[u8], capacity: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| match kept {
        Some(decompressor) => decompressor.decompress(bytes, capacity),
        None => kept.insert(Decompressor::new()?).decompress(bytes, capacity),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..4_000)) {
            prop_assert_eq!(Payload::pack(&bytes).unpack().expect("just packed"), bytes);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let mut payload = Payload::pack(&[7; 1_000]);
        assert_eq!(payload.encoding, Encoding::Zstd);
        payload.bytes.truncate(4);
        assert!(matches!(payload.unpack(), Err(PayloadError::Corrupt { .. })));
        let bomb = Payload { size: 2 << 30, ..Payload::pack(&[7; 1_000]) };
        assert!(matches!(bomb.unpack(), Err(PayloadError::TooLarge { .. })), "no room is made for it");
        let more = Payload { size: 999, ..Payload::pack(&[7; 1_000]) };
        assert!(more.unpack().is_err(), "no more than was written down");
        let wrong = Payload { encoding: Encoding::Plain, size: 3, bytes: vec![1] };
        assert!(matches!(wrong.unpack(), Err(PayloadError::Size { expected: 3, found: 1 })));
    }
}
