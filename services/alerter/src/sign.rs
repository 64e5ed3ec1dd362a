//! How 钉钉 and 飞书 have requests signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// 钉钉: the timestamp, in milliseconds, and the secret, keyed with the secret.
pub(crate) fn dingtalk(timestamp: i64, secret: &str) -> String {
    signed(secret, &format!("{timestamp}\n{secret}"))
}

/// 飞书: nothing, keyed with the timestamp, in seconds, and the secret.
pub(crate) fn feishu(timestamp: i64, secret: &str) -> String {
    signed(&format!("{timestamp}\n{secret}"), "")
}

fn signed(key: &str, text: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length will do for HMAC");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
