//! The orders that a mapping is measured with, each as its bytes.

use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use http::Client;
use sandbox::{Options, Orders};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::source;

/// Orders a page, the most that the sandbox gives.
const PAGE_SIZE: u32 = 500;

/// The orders that the other benches fetch, of about a kibibyte, as a sandbox serves them.
pub fn generated(pages: u64) -> Vec<Vec<u8>> {
    // Ends with this function, so that nothing runs beside what is measured.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let orders = Orders::Generated { count: pages * u64::from(PAGE_SIZE) };
        let stop = CancellationToken::new();
        let sandbox = sandbox::start(Options { orders, ..Options::default() }, stop.clone()).await.unwrap();
        let (client, token) = (Client::new(1).unwrap(), source::token(&sandbox.url()).await);
        let url = format!("{}/v1/invoices/order/list", sandbox.url());
        let mut all = Vec::new();
        for page in 1..=pages {
            let answer = client.send(&source::list(&url, &token, page, PAGE_SIZE)).await.unwrap();
            let rows = okki::rows(&answer.body).unwrap();
            all.extend(rows.iter().filter_map(|row| row.whole()).map(|row| row.get().as_bytes().to_vec()));
        }
        stop.cancel();
        all
    })
}

/// As many orders in OKKI's own shape, each of so many lines: the generated ones, and the lines of those that follow.
pub fn with_lines(generated: &[Vec<u8>], lines: usize) -> Vec<Vec<u8>> {
    let orders: Vec<Map<String, Value>> =
        generated.iter().map(|order| serde_json::from_slice(order).unwrap()).collect();
    let mut items = orders.iter().flat_map(|order| order["items"].as_array().unwrap()).cycle();
    orders
        .iter()
        .map(|order| {
            let mut order = order.clone();
            order.remove("items");
            let products = items.by_ref().take(lines).zip(0_u64..).map(|(item, at)| {
                json!({
                    "unique_id": 52_035_500_000_000 + at, "product_id": "3432750070",
                    "product_no": item["item_id"], "product_name": item["name"],
                    "count": item["quantity"], "unit_price": item["price"],
                    "cost_amount": item["price"], "other_cost": 0,
                })
            });
            order.insert("product_list".into(), products.collect());
            serde_json::to_vec(&order).unwrap()
        })
        .collect()
}

/// The orders of an `.ndjson` or `.ndjson.gz` file, one a line.
pub fn of_file(path: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut bytes = std::fs::read(path)?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut plain = Vec::new();
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain)?;
        bytes = plain;
    }
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    Ok(lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
}
