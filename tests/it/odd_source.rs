//! A source whose answers have a slightly other shape than expected: what is meant is understood, what is damaged is named,
//! and nothing is lost in silence.

use std::io::Write;

use events::{DeadLetter, Outcome};
use futures::StreamExt;
use journal::{From, Stream};
use orderflow_tests::{Asked, Reply, Run, Scripted, World, eventually};
use sandbox::Faults;

const MAPPING: &str = r#"
key = "order_id"
number = "order_no"
version = "update_time"

[[field]]
to = "orderId"
from = "order_id"

[[field]]
to = "name"
from = "name"
"#;

const TOKEN: &str = r#"{"token_type":"Bearer","access_token":"abc","expires_in":28800}"#;

fn row(id: usize) -> Vec<u8> {
    let time = format!("2025-01-01 {:02}:{:02}:00", id / 60, id % 60);
    let text = format!(r#"{{"order_id":{id},"order_no":"A{id}","name":"订单{id}","update_time":"{time}"}}"#);
    text.into_bytes()
}

/// The rows of the page that is asked for.
fn rows_asked<'a>(asked: &Asked, all: &'a [Vec<u8>]) -> &'a [Vec<u8>] {
    let size = asked.number("count");
    let from = (asked.number("start_index") - 1) * size;
    &all[from.min(all.len())..(from + size).min(all.len())]
}

fn page_of(rows: &[Vec<u8>], total: &str) -> Vec<u8> {
    let list = rows.join(&b","[..]);
    [br#"{"code":200,"data":{"list":["#, &list[..], b"],", total.as_bytes(), b"}}"].concat()
}

/// A source with these rows, whose pages are made by `make` of the rows that belong on them.
async fn source(
    rows: Vec<Vec<u8>>,
    token: &'static str,
    make: impl Fn(&[Vec<u8>], usize) -> Reply + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |asked| match asked.path.ends_with("access_token") {
        true => Reply::json(token),
        false => make(rows_asked(asked, &rows), rows.len()),
    })
    .await
}

async fn synced(source: &Scripted, change: impl FnOnce(&mut World)) -> (World, Run) {
    let mut world = World::new(1, Faults::default()).await;
    world.map_with(MAPPING);
    world.config.source.base_url = Some(source.url());
    world.config.source.request.insert("count".into(), toml::Value::Integer(100));
    change(&mut world);
    let run = tokio::time::timeout(std::time::Duration::from_secs(100), world.sync()).await;
    (world, run.expect("it ends"))
}

fn written(run: &Run) -> u64 {
    run.account.targets[0].of(Outcome::Written)
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let log = world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    log.map(|entry| entry.unwrap().event().unwrap().body).collect().await
}

#[tokio::test]
async fn one_damaged_row_of_a_page_is_a_letter_and_the_others_arrive() {
    for damaged in [
        &b"{\"order_id\":7,\"order_no\":\"A7\",\"name\":\"half \xE8\xAE\",\"update_time\":\"2025-01-01 00:07:00\"}"[..],
        b"{\"order_id\":7,\"order_no\":\"A7\",\"name\":NaN}",
        b"{\"order_id\":7,\"order_no\":\"A7\",\"name\":\"a\nb\"}",
    ] {
        let mut rows: Vec<Vec<u8>> = (0..151).map(row).collect();
        rows[7] = damaged.to_vec();
        let source = source(rows, TOKEN, |rows, total| {
            Reply::json(page_of(rows, &format!("\"count\":{total}")))
        });
        let source = source.await;
        let (world, run) = synced(&source, |_| {}).await;
        assert_eq!(run.ended.failed, None);
        assert_eq!((run.account.read, written(&run), run.account.dead), (151, 150, 1));
        let letters = letters(&world).await;
        assert_eq!((letters.len(), letters[0].kind.as_str()), (1, "damaged_row"));
        assert_eq!(letters[0].payload.unpack().unwrap(), damaged, "the very bytes");
        let is_named = letters[0].key.as_deref() == Some("7");
        assert!(is_named || !damaged.contains(&0xE8), "the order is named: {:?}", letters[0].key);
    }
}

#[tokio::test]
async fn packed_marked_and_other_charsets_arrive_whole() {
    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(body).unwrap();
        packer.finish().unwrap()
    }
    type Make = fn(Vec<u8>) -> Reply;
    let shapes: [Make; 5] = [
        |body| Reply::json(gzip(&body)).with("content-encoding", "gzip"),
        |body| Reply::json(gzip(&body)),
        |body| Reply::json([b"\xEF\xBB\xBF", &body[..]].concat()),
        |body| {
            let text = String::from_utf8(body).unwrap();
            let (gbk, _, _) = encoding_rs::GBK.encode(&text);
            Reply::json(gbk.to_vec()).with("content-type", "application/json; charset=GBK")
        },
        |body| {
            let text = String::from_utf8(body).unwrap();
            Reply::json(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
        },
    ];
    for shape in shapes {
        let source = source((0..30).map(row).collect(), TOKEN, move |rows, total| {
            shape(page_of(rows, &format!("\"count\":{total}")))
        });
        let source = source.await;
        let (world, run) = synced(&source, |_| {}).await;
        assert_eq!((run.ended.failed.as_ref(), written(&run)), (None, 30));
        let first = world.mapped().await.into_iter().next().unwrap();
        let order = first.event::<events::MappedOrder>().unwrap().body;
        assert!(String::from_utf8(order.record).unwrap().contains("订单"), "not a letter is lost");
    }
}

#[tokio::test]
async fn lists_with_holes_and_totals_that_contradict_each_other_are_read_whole() {
    let with_holes = |rows: &[Vec<u8>], total: usize| {
        let entries: Vec<Vec<u8>> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| [format!("\"{}\":", 2 * at).as_bytes(), &row[..]].concat())
            .collect();
        let list = entries.join(&b","[..]);
        let end = format!("}},\"totalItem\":\"{total}\"}}}}");
        Reply::json([br#"{"code":"200","data":{"list":{"#, &list[..], end.as_bytes()].concat())
    };
    let page_is_total = |rows: &[Vec<u8>], total: usize| {
        Reply::json(page_of(rows, &format!("\"count\":{},\"totalItem\":{total}", rows.len())))
    };
    let other_way_round = |rows: &[Vec<u8>], total: usize| {
        Reply::json(page_of(rows, &format!("\"totalItem\":\"{}\",\"count\":{total}.0", rows.len())))
    };
    type Make = fn(&[Vec<u8>], usize) -> Reply;
    let shapes: [Make; 3] = [with_holes, page_is_total, other_way_round];
    for shape in shapes {
        let source = source((0..250).map(row).collect(), TOKEN, shape).await;
        let (_, run) = synced(&source, |_| {}).await;
        assert_eq!((run.ended.failed.as_ref(), written(&run)), (None, 250));
    }
}

#[tokio::test]
async fn hints_that_cannot_be_read_do_not_void_an_answer() {
    for token in [
        r#"{"access_token":"abc","expires_in":"28800"}"#,
        r#"{"access_token":"abc","expires_in":7199.5,"error":""}"#,
        r#"{"access_token":"abc","expires_in":-1,"error":0}"#,
        r#"{"access_token":"abc","expires_in":"soon","error":[]}"#,
        r#"{"access_token":"abc"}"#,
    ] {
        let source = source((0..3).map(row).collect(), token, |rows, total| {
            let page = page_of(rows, &format!("\"count\":{total}"));
            let text = String::from_utf8(page).unwrap();
            Reply::json(text.replacen("\"code\":200", "\"code\":200,\"error\":0,\"now\":\"?\"", 1))
        });
        let source = source.await;
        let (_, run) = synced(&source, |_| {}).await;
        assert_eq!((run.ended.failed.as_ref(), written(&run)), (None, 3), "{token}");
    }
}

#[tokio::test]
async fn of_equal_names_the_last_counts_for_page_and_mapping_alike() {
    let rows: Vec<Vec<u8>> = (1..=3)
        .map(|id| {
            let text = String::from_utf8(row(id)).unwrap();
            text.replacen("{\"order_id\"", "{\"order_id\":99,\"order_id\"", 1).into_bytes()
        })
        .collect();
    let source = source(rows, TOKEN, |rows, total| Reply::json(page_of(rows, &format!("\"count\":{total}"))));
    let source = source.await;
    let (_, run) = synced(&source, |_| {}).await;
    assert_eq!((run.ended.failed.as_ref(), run.account.read, written(&run)), (None, 3, 3));
}

#[tokio::test]
async fn two_orders_with_one_key_are_named_and_do_not_replace_each_other() {
    let mut rows: Vec<Vec<u8>> = (1..=4).map(row).collect();
    rows[2] = String::from_utf8(row(3)).unwrap().replace("\"A3\"", "\"A1\"").into_bytes();
    let source = source(rows, TOKEN, |rows, total| Reply::json(page_of(rows, &format!("\"count\":{total}"))));
    let source = source.await;
    let (world, run) =
        synced(&source, |world| world.map_with(&MAPPING.replace("key = \"order_id\"", "key = \"order_no\"")))
            .await;
    assert_eq!((run.account.read, written(&run), run.account.dead), (4, 3, 1));
    let letters = letters(&world).await;
    assert_eq!(letters[0].kind, "same_key");
    let message = &letters[0].message;
    assert!(message.contains("row 0 (order_id 1) and row 2 (order_id 3)"), "{message}");
}

#[tokio::test]
async fn an_answer_that_says_no_is_never_an_empty_page() {
    for no in [
        r#"{"success":false,"message":"busy","data":{"list":[],"count":0}}"#,
        r#"{"code":"E500","data":{"list":[],"count":0}}"#,
        r#"{"code":200,"error":"maintenance","data":{"list":[],"count":0}}"#,
    ] {
        let source = source(Vec::new(), TOKEN, move |_, _| Reply::json(no)).await;
        let (_, run) = synced(&source, |_| {}).await;
        assert!(run.ended.failed.is_some() && !run.ended.complete, "{no}");
    }
}

#[tokio::test]
async fn an_order_that_a_page_lists_twice_is_named() {
    let rows: Vec<Vec<u8>> = [1, 2, 3, 2].into_iter().map(row).collect();
    let source = source(rows, TOKEN, |rows, total| Reply::json(page_of(rows, &format!("\"count\":{total}"))));
    let source = source.await;
    let (_, run) = synced(&source, |_| {}).await;
    let (_, reason) = run.ended.failed.expect("four are counted and three are there");
    assert!(reason.ends_with("; page 1 lists the order 2 more than once"), "{reason}");
}

#[tokio::test]
async fn a_redirect_is_named_with_its_place() {
    let source = source(Vec::new(), TOKEN, |_, _| {
        Reply::page(302, "moved").with("location", "https://user:pw@login.example/sso?token=secret")
    });
    let source = source.await;
    let mut world = World::new(1, Faults::default()).await;
    world.config.source.base_url = Some(source.url());
    let (live, stop) = (fetcher::Live::default(), tokio_util::sync::CancellationToken::new());
    let fetching = tokio::spawn({
        let (config, journal) = (world.config.clone(), world.nats.journal().await);
        let (live, stop) = (live.clone(), stop.clone());
        async move { fetcher::run(&config, journal, fetcher::Mode::Once, live, stop).await }
    });
    eventually("a redirect is told", || live.trouble().is_some()).await;
    let trouble = live.trouble().unwrap();
    assert!(trouble.contains("a redirect to https://login.example/sso, which is not followed"), "{trouble}");
    stop.cancel();
    fetching.await.unwrap().unwrap();
}
