//! Orders from a file, served as the bytes they were read as. Only ids, times and totals are taken out of them.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::generate::Times;
use crate::civil;
use crate::key::Key;
use crate::money;
use crate::options::SandboxError;

/// A packed file may hold so much: a million orders have room.
const PLAIN_BYTES: u64 = 4 << 30;

/// The orders of one file, and what was copied from them later.
pub(crate) struct FileOrders {
    /// One order each, without its line break.
    pub(crate) texts: Vec<Bytes>,
    pub(crate) times: Vec<Times>,
    pub(crate) keys: Vec<Key>,
    /// Exact totals; `None` where the lines are dirty or absent.
    pub(crate) totals: Vec<Option<Decimal>>,
    pub(crate) by_key: HashMap<Key, u32>,
    /// Order numbers may repeat: the first one found answers.
    pub(crate) by_number: HashMap<Box<str>, u32>,
    pub(crate) product_list: bool,
    /// Distinguishes this file from any other.
    pub(crate) fingerprint: String,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    order_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    order_no: Option<&'a RawValue>,
    #[serde(borrow, default)]
    create_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    update_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    account_date: Option<&'a RawValue>,
    #[serde(borrow, default)]
    order_date: Option<&'a RawValue>,
    #[serde(borrow, default)]
    product_list: Option<&'a RawValue>,
}

pub(crate) fn load(path: &Path) -> Result<FileOrders, SandboxError> {
    let failed = |source| SandboxError::File { path: path.to_owned(), source };
    let mut bytes = std::fs::read(path).map_err(failed)?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        bytes = unpacked(&bytes).map_err(failed)?;
    }
    parse(Bytes::from(bytes), path)
}

fn unpacked(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(packed).take(PLAIN_BYTES + 1).read_to_end(&mut plain)?;
    if plain.len() as u64 > PLAIN_BYTES {
        let message =
            format!("found more than {} GiB when unpacked, expected at most that", PLAIN_BYTES >> 30);
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(plain)
}

fn parse(bytes: Bytes, path: &Path) -> Result<FileOrders, SandboxError> {
    let mut orders = FileOrders {
        texts: Vec::new(),
        times: Vec::new(),
        keys: Vec::new(),
        totals: Vec::new(),
        by_key: HashMap::new(),
        by_number: HashMap::new(),
        product_list: false,
        fingerprint: blake3::hash(&bytes).to_hex()[..16].to_owned(),
    };
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let wrong = |problem: String| SandboxError::Line { path: PathBuf::from(path), line: number, problem };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|error| wrong(format!("not UTF-8: {error}")))?;
        if !text.trim_start().starts_with('{') {
            return Err(wrong("not a JSON object".to_owned()));
        }
        let outer: Outer<'_> =
            serde_json::from_str(text).map_err(|error| wrong(format!("not an order: {error}")))?;
        let key = outer
            .order_id
            .and_then(Key::from_json)
            // Real exports have such rows, and a pipeline has to see them: they are listed as they are.
            .unwrap_or_else(|| Key::Text(format!("(line {number})").into()));
        let order_no = outer.order_no.and_then(Key::from_json).map(|order_no| order_no.to_string());
        let time = |raw: Option<&RawValue>| raw.and_then(|raw| civil::parse(raw.get().trim_matches('"')));
        let created = time(outer.create_time).unwrap_or(0);
        orders.product_list |= outer.product_list.is_some();
        orders.times.push(Times {
            created,
            // An order without a readable update time shows up only in windows that start at the beginning of time.
            updated: time(outer.update_time).unwrap_or(0),
            ordered: time(outer.account_date.or(outer.order_date)).unwrap_or(created),
        });
        orders.totals.push(money::lines(text).and_then(money::total));
        let text = bytes.slice_ref(line);
        if orders.add(key.clone(), order_no, text).is_none() {
            return Err(wrong(format!("order_id {key} is there twice")));
        }
    }
    Ok(orders)
}

impl FileOrders {
    /// Files an order under its key and number; `None` when the key is taken.
    pub(crate) fn add(&mut self, key: Key, order_no: Option<String>, text: Bytes) -> Option<u32> {
        let index = u32::try_from(self.keys.len()).ok()?;
        if self.by_key.contains_key(&key) {
            return None;
        }
        self.by_key.insert(key.clone(), index);
        self.keys.push(key);
        self.texts.push(text);
        if let Some(order_no) = order_no {
            self.by_number.entry(order_no.into_boxed_str()).or_insert(index);
        }
        Some(index)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Result<FileOrders, SandboxError> {
        parse(Bytes::from_static(text.as_bytes()), Path::new("orders.ndjson"))
    }

    #[test]
    fn lines_keep_their_bytes() {
        let line = r#"{"order_id":"12", "update_time":"2011-01-02 03:04:05","company":[],"product_list":[{"count":2,"unit_price":0.35}]}"#;
        let orders = parse(Bytes::from(format!("{line}\r\n\n")), Path::new("x")).unwrap();
        assert_eq!(orders.texts, [line.as_bytes()]);
        assert_eq!(orders.keys, [Key::Number(12)]);
        assert_eq!(civil::text(orders.times[0].updated), "2011-01-02 03:04:05");
        assert_eq!(orders.totals[0], money::decimal("0.70"));
        assert!(orders.product_list);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, words) in [
            ("{\"order_id\":1}\n[1]\n", "orders.ndjson, line 2: not a JSON object"),
            ("{\"order_id\":1}\n{\"order_id\":\n", "orders.ndjson, line 2: not an order"),
            ("{\"order_id\":1}\n{\"order_id\":\"1\"}\n", "orders.ndjson, line 2: order_id 1 is there twice"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn compressed_files_are_read() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders.ndjson.gz");
        let mut gz =
            flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        gz.write_all(b"{\"order_id\":1}\n{\"order_id\":2}").unwrap();
        gz.finish().unwrap();
        assert_eq!(load(&path).unwrap().keys.len(), 2);
    }
}
