//! Orders of a file, in any of the forms that people have them in.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::value::RawValue;
use service::ConfigError;

/// A page or a detail as the source answers it.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    list: Vec<&'a RawValue>,
}

/// The orders of a file, each exactly as it stands there.
///
/// # Errors
/// When the file cannot be read, or is no JSON; with the line.
pub(super) fn orders(file: &Path) -> anyhow::Result<Vec<Box<RawValue>>> {
    let name = file.display();
    let mut bytes = Vec::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().lock().read_to_end(&mut bytes),
        _ => std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|source| ConfigError::File { what: "the orders".into(), path: file.to_path_buf(), source })?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_end(&mut plain)
            .with_context(|| t!("%{file} is no sound .gz file", file = name))?;
        bytes = plain;
    }
    // What editors of another system put in front of UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut orders = Vec::new();
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>() {
        of(value.with_context(|| t!("%{file} is no JSON", file = name))?, &mut orders);
    }
    Ok(orders)
}

/// The orders in one JSON value: a list of orders, a page, a detail, or an order.
fn of(value: &RawValue, orders: &mut Vec<Box<RawValue>>) {
    let text = value.get();
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(text) {
        list.into_iter().for_each(|value| of(value, orders));
        return;
    }
    if let Ok(answer) = serde_json::from_str::<Answer<'_>>(text) {
        if let Ok(page) = serde_json::from_str::<Page<'_>>(answer.data.get()) {
            orders.extend(page.list.into_iter().map(ToOwned::to_owned));
            return;
        }
        if answer.code.is_some() && answer.data.get().starts_with('{') {
            orders.push(answer.data.to_owned());
            return;
        }
    }
    orders.push(value.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_in_many_forms() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("orders");
        for (text, expected) in [
            ("{\"a\": 1.50}", vec!["{\"a\": 1.50}"]),
            ("{\"a\":1}\n{\"a\":2}\n\n", vec!["{\"a\":1}", "{\"a\":2}"]),
            ("[{\"a\":1}, {\"a\":2}]", vec!["{\"a\":1}", "{\"a\":2}"]),
            ("{\"code\":200,\"data\":{\"count\":1,\"list\":[{\"a\":1}]}}", vec!["{\"a\":1}"]),
            ("{\"code\":0,\"message\":\"\",\"data\":{\"a\":1}}", vec!["{\"a\":1}"]),
            ("{\"data\":{\"a\":1}}", vec!["{\"data\":{\"a\":1}}"]),
            ("", vec![]),
        ] {
            std::fs::write(&file, text).expect("written");
            let found = orders(&file).expect("they can be read");
            assert_eq!(found.iter().map(|order| order.get()).collect::<Vec<_>>(), expected);
        }
        std::fs::write(&file, "{\"a\":1}\n{\"a\"}").expect("written");
        let error = format!("{:#}", orders(&file).expect_err("no JSON"));
        assert!(error.contains("is no JSON") && error.contains("line 2"), "{error}");
        assert!(orders(&folder.path().join("nothing")).is_err());
    }
}
