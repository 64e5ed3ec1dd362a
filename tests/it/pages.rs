//! RAW read as whole pages, in one message or in many.

use events::{Listing, Payload, RawPage, WindowId};
use futures::StreamExt;
use journal::{Journal, JournalError, Record, StoredPage, Topology};
use orderflow_tests::Nats;

fn names() -> Topology {
    Topology::new("test", 4)
}

/// A page that does not shrink much.
fn page(number: u32, size: u32) -> RawPage {
    let body: Vec<u8> =
        (0..size).flat_map(|n| (n ^ number).wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    RawPage {
        window: WindowId::live(1),
        pass: 1,
        page: number,
        part: 0,
        parts: 1,
        request: "/v1/invoices/order/list".into(),
        status: 200,
        fetched_at: 1,
        rows: 0,
        body: Payload::pack(&body),
        listing: Listing::Orders,
        news: None,
        details: None,
    }
}

async fn store(journal: &Journal, parts: &[RawPage]) {
    let record = |part: &RawPage| {
        Record::new(names().raw(), format!("raw:{}:{}", part.page, part.part), part).unwrap()
    };
    journal.commit(&parts.iter().map(record).collect::<Vec<_>>()).await.unwrap();
}

/// The sequence and the number of each page; that of the first part of one that is not whole.
fn shown(read: &Result<StoredPage, JournalError>) -> String {
    match read {
        Ok(StoredPage { seq, page, .. }) => format!("{seq}: page {}", page.page),
        Err(JournalError::Incomplete { seq, .. }) => format!("{seq}: not whole"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn pages_are_read_whole_by_range_and_by_any_of_their_parts() {
    let nats = Nats::start().await;
    let journal = nats.journal().await;
    journal.ensure(&names()).await.unwrap();
    let (small, large) = (page(1, 10), page(2, 2_000));
    store(&journal, std::slice::from_ref(&small)).await;
    let parts = large.clone().into_parts(2_500);
    assert_eq!(parts.len(), 4);
    store(&journal, &parts).await;
    // Of the third page a part is missing, and the fourth message of it is no page at all.
    store(&journal, &page(3, 2_000).into_parts(2_500)[..2]).await;
    let job = events::PageJob { window: WindowId::live(1), pass: 1, page: 1, slice: None };
    journal.publish(&Record::new(names().raw(), "no page", &job).unwrap()).await.unwrap();
    store(&journal, &[page(4, 10)]).await;

    let read = async |from, until| {
        let pages = journal.pages(&names(), from..until).await.unwrap();
        pages.map(|page| shown(&page)).collect::<Vec<_>>().await
    };
    let wrong = "message 8 of test-RAW cannot be read";
    assert_eq!(read(1, u64::MAX).await, ["1: page 1", "2: page 2", wrong, wrong, "9: page 4"]);
    assert_eq!(read(2, 3).await, ["2: page 2"], "the parts of a page belong to it, also beyond the range");
    assert_eq!(read(3, 6).await, [""; 0], "and a page that began before the range does not");
    assert_eq!(read(5, 5).await, [""; 0]);
    assert_eq!(read(10, 20).await, [""; 0]);

    for seq in 2..=5 {
        let found = journal.page_at(&names(), seq).await.unwrap().unwrap();
        assert_eq!((found.seq, &found.page), (2, &large), "by message {seq}");
    }
    assert_eq!(journal.page_at(&names(), 1).await.unwrap().unwrap().page, small);
    assert_eq!(journal.page_at(&names(), 10).await.unwrap(), None);
    for seq in [6, 7, 8] {
        assert!(matches!(journal.page_at(&names(), seq).await, Err(JournalError::Codec { seq: 8, .. })));
    }
    // A stray part behind a whole page does not belong to it.
    store(&journal, &parts[1..2].iter().map(|part| RawPage { page: 5, ..part.clone() }).collect::<Vec<_>>())
        .await;
    let error = journal.page_at(&names(), 10).await.unwrap_err();
    assert!(matches!(error, JournalError::Incomplete { seq: 9, .. }), "{error}");
}
