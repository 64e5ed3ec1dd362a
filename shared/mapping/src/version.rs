//! The version of a mapping: a hash of what it says. Comments, blank lines, the order of keys and the cases that test it
//! are no part of that, so that touching them changes nothing; the zone of local times is.
//!
//! Its first digits are a hash of what makes an order's key and version: two mappings that agree there make versions that
//! can be compared.

use blake3::Hasher;
use jiff::tz::TimeZone;
use toml::de::{DeTable, DeValue};

/// How many digits of a version are about key and version.
pub(crate) const IDENTITY: usize = 4;

/// 16 hexadecimal digits.
pub(crate) fn hash(document: &DeTable<'_>, zone: &TimeZone) -> String {
    let mut identity = Hasher::new();
    text(&mut identity, zone.iana_name().unwrap_or_default());
    for key in ["key", "version", "deleted_at", "each"] {
        text(&mut identity, key);
        document.get(key).into_iter().for_each(|found| value(&mut identity, found.get_ref()));
    }
    let identity = identity.finalize();
    let mut all = Hasher::new();
    all.update(identity.as_bytes());
    table(&mut all, document, true);
    format!("{}{}", &identity.to_hex()[..IDENTITY], &all.finalize().to_hex()[..16 - IDENTITY])
}

/// The version of a mapping with a condition beside it: key and version are read as before.
pub(crate) fn with_condition(hash: &str, condition: &str) -> String {
    let mut all = Hasher::new();
    text(&mut all, hash);
    text(&mut all, condition);
    let identity = &hash[..IDENTITY.min(hash.len())];
    format!("{identity}{}", &all.finalize().to_hex()[..16 - IDENTITY])
}

fn table(hasher: &mut Hasher, table: &DeTable<'_>, top: bool) {
    let mut members: Vec<(&str, &DeValue<'_>)> =
        table.iter().map(|(name, value)| (name.get_ref().as_ref(), value.get_ref())).collect();
    members.retain(|(name, _)| !top || *name != "case");
    members.sort_by_key(|(name, _)| *name);
    hasher.update(b"{");
    for (name, member) in members {
        text(hasher, name);
        value(hasher, member);
    }
    hasher.update(b"}");
}

/// Each kind of value begins with a byte of its own, and texts with their length, so that no two mappings are one text.
fn value(hasher: &mut Hasher, of: &DeValue<'_>) {
    match of {
        DeValue::String(string) => {
            hasher.update(b"s");
            text(hasher, string);
        }
        DeValue::Integer(number) => {
            hasher.update(b"i");
            text(hasher, &format!("{}:{number}", number.radix()));
        }
        DeValue::Float(number) => {
            hasher.update(b"f");
            text(hasher, number.as_str());
        }
        DeValue::Boolean(flag) => {
            hasher.update(if *flag { b"t" } else { b"n" });
        }
        DeValue::Datetime(time) => {
            hasher.update(b"d");
            text(hasher, &time.to_string());
        }
        DeValue::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| value(hasher, item.get_ref()));
            hasher.update(b"]");
        }
        DeValue::Table(below) => table(hasher, below, false),
    }
}

fn text(hasher: &mut Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}
