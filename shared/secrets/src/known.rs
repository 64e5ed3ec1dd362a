//! The secrets of this process, and texts without them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::decode::{decode, is_encoded, units_of};
use crate::pattern::{Pattern, fold, patterns_of};
use crate::{HIDDEN, SHORTEST};

/// Tokens are given to us again and again: so many of the last ones are remembered.
const TOKENS: usize = 64;

/// Layers of encoding that are taken off a text.
const LAYERS: usize = 3;

/// A long text is looked at in pieces of so many bytes.
const PIECE: usize = 512 << 10;

/// Each piece begins so many bytes before the end of the one before: a secret is no longer than
/// that, encoded.
const OVERLAP: usize = 32 << 10;

struct KnownSecret {
    text: String,
    patterns: Vec<Pattern>,
}

struct KnownSecrets {
    lasting: Vec<KnownSecret>,
    tokens: VecDeque<KnownSecret>,
}

static KNOWN: RwLock<KnownSecrets> =
    RwLock::new(KnownSecrets { lasting: Vec::new(), tokens: VecDeque::new() });

/// Has a secret taken out of every text from now on.
pub fn remember(secret: &str) {
    change(secret, |known, secret| known.lasting.push(secret));
}

/// As [`remember`], for a token that a newer one will follow: the last 64 are remembered.
pub fn remember_token(token: &str) {
    change(token, |known, token| {
        known.tokens.push_back(token);
        if known.tokens.len() > TOKENS {
            known.tokens.pop_front();
        }
    });
}

fn change(secret: &str, add: impl FnOnce(&mut KnownSecrets, KnownSecret)) {
    let secret = secret.trim();
    let is_known = |known: &KnownSecrets| known.all().any(|known| known.text == secret);
    if secret.len() < SHORTEST || is_known(&KNOWN.read().unwrap_or_else(PoisonError::into_inner)) {
        return;
    }
    let new = KnownSecret { text: secret.to_string(), patterns: patterns_of(secret) };
    add(&mut KNOWN.write().unwrap_or_else(PoisonError::into_inner), new);
}

/// As [`remember`], for the value of a header of this name: also for what stands in it, such as the
/// token behind `Bearer`.
pub fn remember_header(name: &str, value: &str) {
    remember(value);
    if let Some((scheme, credentials)) = value.trim().split_once(' ') {
        remember(credentials);
        let decoded =
            STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((_, password)) = decoded.as_deref().and_then(|text| text.split_once(':'))
            && scheme.eq_ignore_ascii_case("basic")
        {
            remember(password);
        }
    }
    if name.eq_ignore_ascii_case("cookie") {
        value.split(';').filter_map(|pair| pair.split_once('=')).for_each(|(_, value)| remember(value));
    }
}

/// A text that others wrote, with [`HIDDEN`] in place of every secret of ours.
pub fn redact(text: &str) -> Cow<'_, str> {
    match redact_bytes(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// As [`redact`], of bytes that need not be text.
pub fn redact_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let mut found = known.find(bytes);
    drop(known);
    if found.is_empty() {
        return Cow::Borrowed(bytes);
    }
    found.sort_unstable();
    let mut clean = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    let mut hidden_until = 0;
    for (start, end) in found {
        if start >= hidden_until {
            clean.extend_from_slice(&bytes[copied..start]);
            clean.extend_from_slice(HIDDEN.as_bytes());
        }
        hidden_until = hidden_until.max(end);
        copied = hidden_until;
    }
    clean.extend_from_slice(&bytes[copied..]);
    Cow::Owned(clean)
}

impl KnownSecrets {
    fn all(&self) -> impl Iterator<Item = &KnownSecret> {
        self.lasting.iter().chain(&self.tokens)
    }

    fn all_patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.all().flat_map(|secret| &secret.patterns)
    }

    /// Where secrets stand.
    fn find(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        if self.lasting.is_empty() && self.tokens.is_empty() {
            return found;
        }
        let mut from = 0;
        loop {
            let until = bytes.len().min(from + PIECE);
            let in_piece = found.len();
            self.find_in_piece(&bytes[from..until], &mut found);
            for (start, end) in &mut found[in_piece..] {
                *start += from;
                *end += from;
            }
            if until == bytes.len() {
                return found;
            }
            from = until - OVERLAP;
        }
    }

    fn find_in_piece(&self, piece: &[u8], found: &mut Vec<(usize, usize)>) {
        let is_encoded = is_encoded(piece);
        // Nearly all texts hold nothing: that is seen without knowing where each byte stood.
        let folded: Vec<u8> = piece.iter().copied().map(fold).collect();
        if !is_encoded && !self.all_patterns().any(|pattern| pattern.is_in(&folded)) {
            return;
        }
        let mut units = units_of(piece);
        for layer in 0..=LAYERS {
            let folded: Vec<u8> = units.iter().map(|unit| fold(unit.byte)).collect();
            for pattern in self.all_patterns() {
                pattern.find(&units, &folded, found);
            }
            if layer == 0 && !is_encoded {
                return;
            }
            let Some(decoded) = decode(&units) else { return };
            units = decoded;
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const SECRET: &str = "p4ss/w+rd \"é%41\\&<9z";

    fn percent(text: &str, lower: bool) -> String {
        let one = |byte: u8| match byte {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b if lower => format!("%{b:02x}"),
            b => format!("%{b:02X}"),
        };
        text.bytes().map(one).collect()
    }

    fn json(text: &str) -> String {
        text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect()
    }

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        remember(SECRET);
        let json_text = SECRET.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/");
        let html = SECRET.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        for encoded in [
            SECRET.to_string(),
            percent(SECRET, false),
            percent(SECRET, true),
            percent(SECRET, true).replace("%20", "+"),
            percent(&percent(SECRET, false), false),
            json(SECRET),
            json_text.clone(),
            json_text.replace('&', "\\u0026"),
            json_text.replace('\\', "\\\\").replace('"', "\\\""),
            html,
            STANDARD.encode(SECRET),
            URL_SAFE_NO_PAD.encode(SECRET),
            STANDARD.encode(format!("user:{SECRET}")),
            STANDARD.encode(format!("me:{SECRET}!")),
            percent(&STANDARD.encode(format!("a:{SECRET}")), false),
            STANDARD.encode(format!("{{\"x\":\"{SECRET}\"}}")).replace('/', "\\/"),
        ] {
            let clean = redact(&format!("said \"{encoded}\", no more")).into_owned();
            assert_eq!(clean, "said \"***\", no more", "{encoded}");
        }
    }

    #[test]
    fn a_short_secret_is_taken_out_where_it_stands_alone() {
        remember("zq7");
        remember("zq7x9");
        assert_eq!(redact("zq7 is too short"), "zq7 is too short");
        assert_eq!(redact("a=zq7x9&b, zq7x9."), "a=***&b, ***.");
        assert_eq!(redact("azq7x9 zq7x9-b zq7x9_"), "azq7x9 zq7x9-b zq7x9_");
    }

    #[test]
    fn several_and_overlapping_secrets_go_and_all_else_stays() {
        remember("first-secret-1");
        remember("secret-1-second");
        assert_eq!(redact("<first-secret-1-second> first-secret-1!"), "<***> ***!");
        let text = "订单 100% \\u8ba2 &amp; SO-1";
        assert!(matches!(redact(text), Cow::Borrowed(same) if same == text));
        assert_eq!(redact_bytes(b"\xff first-secret-1 \xfe").as_ref(), b"\xff *** \xfe");
    }

    #[test]
    fn a_secret_across_the_pieces_of_a_long_text_is_found() {
        remember("across-the-pieces-77");
        for before in [PIECE - 30, PIECE - 10, PIECE, 2 * (PIECE - OVERLAP) + 5] {
            let text =
                format!("{}{}{}", "a ".repeat(before / 2), json("across-the-pieces-77"), "b".repeat(PIECE));
            let clean = redact(&text);
            assert_eq!(clean.len(), before / 2 * 2 + 3 + PIECE, "{before}");
        }
    }

    #[test]
    fn what_stands_in_a_header_goes_as_well() {
        remember_header("Authorization", &format!("Basic {}", STANDARD.encode("me:basic-pw-1")));
        remember_header("X-Any", "Bearer bearer-tok-1");
        remember_header("Cookie", "a=cookie-val-1; b=cookie-val-2");
        let text = "basic-pw-1 bearer-tok-1 cookie-val-1 cookie-val-2 Bearer me";
        assert_eq!(redact(text), "*** *** *** *** Bearer me");
    }

    #[test]
    fn a_secret_that_is_repeated_without_end_is_looked_at_once() {
        remember("again-and-again");
        let repeated = STANDARD.encode("again-and-again".repeat(200_000));
        let began = std::time::Instant::now();
        assert_eq!(redact(&repeated), HIDDEN);
        // For each occurrence anew it takes hours.
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    }

    #[test]
    fn tokens_of_long_ago_are_forgotten() {
        for number in 0..=TOKENS {
            remember_token(&format!("given-token-{number:04}"));
        }
        assert_eq!(redact("given-token-0000 given-token-0064"), "given-token-0000 ***");
    }
}
