//! Sealing a token, so that replicas can share it through a log that others can read: only who knows the secret it was
//! made of can open it, and could ask for a token of its own anyway.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

const NONCE: usize = 24;

/// What keys of this kind are for; another use of the same secret gives another key.
const PURPOSE: &str = "orderflow 2026-11 shared access token";

fn cipher(secret: &str) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(blake3::derive_key(PURPOSE, secret.as_bytes())))
}

/// Seals `text` with `secret`.
pub fn seal(text: &str, secret: &str) -> Vec<u8> {
    let nonce: [u8; NONCE] = rand::random();
    let sealed = cipher(secret).encrypt(&XNonce::from(nonce), text.as_bytes());
    // Encrypting a short text in memory cannot fail; if it did, nothing could be opened and a token is asked for anew.
    [&nonce[..], &sealed.unwrap_or_default()].concat()
}

/// Opens what was sealed with `secret`; `None` for anything else.
pub fn open(sealed: &[u8], secret: &str) -> Option<String> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let text = cipher(secret).decrypt(&XNonce::from(*nonce), sealed).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_opens_it() {
        let sealed = seal("token-1", "secret");
        assert_eq!(open(&sealed, "secret").as_deref(), Some("token-1"));
        assert_eq!(open(&sealed, "another"), None);
        assert!(!sealed.windows(7).any(|part| part == b"token-1"));
        assert_ne!(sealed, seal("token-1", "secret"), "never twice the same bytes");
        let mut damaged = sealed;
        damaged[30] ^= 1;
        assert_eq!(open(&damaged, "secret"), None);
        assert_eq!(open(b"", "secret"), None);
    }
}
