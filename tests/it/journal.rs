//! Publishing, appending, batches and reading, against a real server.

use bytes::Bytes;
use events::{PageJob, WatermarkMoved, WindowId};
use futures::StreamExt;
use journal::{Committer, Connection, From, Journal, JournalError, Record, Stream, Topology, TraceParent};
use orderflow_tests::Nats;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

fn names() -> Topology {
    Topology::new("test", 4)
}

fn job(page: u32) -> Record {
    let job = PageJob { window: WindowId::live(1), pass: 1, page, slice: None };
    Record::new(names().jobs(), format!("job:{page}"), &job).unwrap()
}

async fn ready() -> (Nats, Journal) {
    let nats = Nats::start().await;
    let journal = nats.journal().await;
    journal.ensure(&names()).await.unwrap();
    (nats, journal)
}

async fn stored(journal: &Journal, stream: Stream) -> Vec<journal::Entry> {
    let log = journal.read(&names(), stream, None, From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}

/// A server that introduces itself with this version and answers pings: a real one that old cannot be had everywhere.
async fn introducing_itself_as(version: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let (read, mut write) = socket.into_split();
        let info = format!(
            "INFO {{\"server_id\":\"A\",\"version\":\"{version}\",\"proto\":1,\"host\":\"h\",\"port\":1,\
             \"headers\":true,\"max_payload\":1048576,\"jetstream\":true}}\r\n"
        );
        write.write_all(info.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("PING") {
                write.write_all(b"PONG\r\n").await.unwrap();
            }
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_before_anything_is_written() {
    for version in ["2.9.10", "2.10.27", "2.12.0"] {
        let url = introducing_itself_as(version).await;
        let connection = Connection { url: url.clone().into(), name: "test".into(), ..Connection::default() };
        let error = Journal::connect(&connection).await.unwrap_err();
        assert!(matches!(&error, JournalError::TooOld { found, .. } if found == version));
        assert_eq!(
            error.to_string(),
            format!(
                "nats-server {version} at {url} is too old: orderflow needs 2.12.1 or newer, because older servers accept \
                 atomic batches and pinned consumers and silently ignore them"
            )
        );
    }
}

#[tokio::test]
async fn streams_are_set_up_once_however_many_try() {
    let nats = Nats::start().await;
    let tries = (0..6).map(|_| async { nats.journal().await.ensure(&names()).await });
    for result in futures::future::join_all(tries).await {
        result.unwrap();
    }
    let journal = nats.journal().await;
    for stream in Stream::ALL {
        assert_eq!(journal.size(&names(), stream).await.unwrap().0, 0);
    }
    let error = journal.ensure(&Topology::new("test", 8)).await.unwrap_err();
    assert!(
        error.to_string().starts_with("stream test-MAPPED: writer.partitions is 4, expected 8; "),
        "{error}"
    );
}

#[tokio::test]
async fn the_same_fact_is_stored_once() {
    let (_nats, journal) = ready().await;
    let first = journal.publish(&job(1)).await.unwrap();
    let again = journal.publish(&job(1)).await.unwrap();
    assert_eq!((first.duplicate, again.duplicate, first.seq), (false, true, again.seq));
    assert_eq!(stored(&journal, Stream::Jobs).await.len(), 1);
}

#[tokio::test]
async fn of_many_appends_that_expect_the_same_one_wins() {
    let (nats, journal) = ready().await;
    let subject = names().watermark();
    let tries = (0..8).map(|try_| {
        let (nats, subject) = (&nats, subject.clone());
        async move {
            let moved = WatermarkMoved { to: try_, window: WindowId::live(1) };
            let record = Record::new(subject, format!("try:{try_}"), &moved).unwrap().expecting(0);
            nats.journal().await.publish(&record).await
        }
    });
    let results = futures::future::join_all(tries).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(JournalError::Conflict { .. }))));
    assert_eq!(stored(&journal, Stream::Sync).await.len(), 1);
}

#[tokio::test]
async fn a_batch_is_stored_whole_one_after_another_or_not_at_all() {
    let (_nats, journal) = ready().await;
    let batch: Vec<Record> = (1..=1_000).map(job).collect();
    let sequences: Vec<u64> = journal.commit(&batch).await.unwrap().iter().map(|stored| stored.seq).collect();
    assert_eq!(sequences, (1..=1_000).collect::<Vec<u64>>());

    let with_a_duplicate: Vec<Record> = [2_001, 500, 2_002].map(job).into();
    let refused = journal.commit(&with_a_duplicate).await.unwrap_err();
    assert!(matches!(refused, JournalError::DuplicateInBatch), "{refused}");
    let with_a_conflict = vec![job(2_003), job(2_004).expecting(7)];
    let refused = journal.commit(&with_a_conflict).await.unwrap_err();
    assert!(matches!(refused, JournalError::Conflict { .. }), "{refused}");
    assert_eq!(stored(&journal, Stream::Jobs).await.len(), 1_000, "a refused batch stores nothing");

    let stored_all = journal.store_all(&with_a_duplicate).await.unwrap();
    let duplicates: Vec<bool> = stored_all.iter().map(|stored| stored.duplicate).collect();
    assert_eq!(duplicates, [false, true, false]);
    assert_eq!(stored_all[1].seq, 500);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_named() {
    let (_nats, journal) = ready().await;
    let mut record = job(1);
    record.payload = Bytes::from(vec![0; journal.max_payload()]);
    let error = journal.publish(&record).await.unwrap_err();
    assert!(
        matches!(&error, JournalError::TooLarge { subject, .. } if *subject == names().jobs()),
        "{error}"
    );
}

#[tokio::test]
async fn group_commit_answers_each_and_one_conflict_touches_no_other() {
    let (_nats, journal) = ready().await;
    let committer = Committer::start(journal.clone());
    let stores = (1..=3_000).map(|page| {
        let record = if page == 1_234 { job(page).expecting(99_999) } else { job(page) };
        let committer = committer.clone();
        async move { (page, committer.store(vec![record]).await) }
    });
    let results = futures::future::join_all(stores).await;
    let mut sequences = Vec::new();
    for (page, result) in results {
        match result {
            Ok(stored) => sequences.push((stored[0].seq, page)),
            Err(JournalError::Conflict { .. }) => assert_eq!(page, 1_234),
            Err(error) => panic!("page {page}: {error}"),
        }
    }
    assert_eq!(sequences.len(), 2_999);
    for (seq, page) in sequences.into_iter().step_by(97) {
        let entry = journal.get(&names(), Stream::Jobs, seq).await.unwrap();
        assert_eq!(entry.event::<PageJob>().unwrap().body.page, page, "the answer names the right message");
    }
}

#[tokio::test]
async fn a_few_are_stored_one_by_one_in_order_and_each_has_its_own_fate() {
    let (_nats, journal) = ready().await;
    let committer = Committer::start(journal.clone());
    journal.publish(&job(5)).await.unwrap();
    let conflict = vec![job(3), job(4).expecting(99_999)];
    let wishes = [vec![job(1), job(2)], conflict, vec![job(5)], vec![job(6), job(7), job(8)]];
    let results = futures::future::join_all(wishes.map(|wish| committer.store(wish))).await;
    let shown: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(stored) => stored.iter().map(|stored| (stored.seq, stored.duplicate)).collect(),
            Err(JournalError::Conflict { .. }) => Vec::new(),
            Err(error) => panic!("{error}"),
        })
        .collect();
    let expected: [&[(u64, bool)]; 4] =
        [&[(2, false), (3, false)], &[], &[(1, true)], &[(5, false), (6, false), (7, false)]];
    assert_eq!(shown, expected);
    assert_eq!(stored(&journal, Stream::Jobs).await.len(), 7, "what stood before the conflict is stored");
}

#[tokio::test]
async fn a_wish_of_more_than_a_batch_and_duplicates_among_others_are_stored_once() {
    let (_nats, journal) = ready().await;
    let committer = Committer::start(journal.clone());
    journal.store_all(&[job(7), job(8)]).await.unwrap();
    let wishes: [Vec<u32>; 5] =
        [(1..=5).collect(), vec![6], vec![7], (8..=9).collect(), (10..=1_500).collect()];
    let stores = wishes.iter().map(|pages| committer.store(pages.iter().copied().map(job).collect()));
    let results = futures::future::join_all(stores).await;
    for (pages, result) in wishes.iter().zip(results) {
        for (page, at) in pages.iter().zip(result.unwrap()) {
            assert_eq!(at.duplicate, [7, 8].contains(page), "page {page}");
            let entry = journal.get(&names(), Stream::Jobs, at.seq).await.unwrap();
            assert_eq!(entry.event::<PageJob>().unwrap().body.page, *page);
        }
    }
    assert_eq!(stored(&journal, Stream::Jobs).await.len(), 1_500);
}

#[tokio::test]
async fn a_log_is_read_from_anywhere_to_its_end_and_followed_beyond() {
    let (_nats, journal) = ready().await;
    let names = names();
    for page in 1..=50 {
        journal.publish(&job(page)).await.unwrap();
    }
    let from = journal.read(&names, Stream::Jobs, None, From::Seq(41), true).await.unwrap();
    let sequences: Vec<u64> = from.map(|entry| entry.unwrap().seq).collect().await;
    assert_eq!(sequences, (41..=50).collect::<Vec<u64>>());
    let last = journal.read(&names, Stream::Jobs, None, From::LastPerSubject, false).await.unwrap();
    assert_eq!(last.count().await, 1);
    let beyond = journal.read(&names, Stream::Jobs, None, From::Seq(51), false).await.unwrap();
    assert_eq!(beyond.count().await, 0);
    assert!(journal.last(&names, Stream::Sync, &names.watermark()).await.unwrap().is_none());

    let mut followed = journal.follow(&names, Stream::Jobs, None, From::Seq(50)).await.unwrap();
    assert_eq!(followed.next().await.unwrap().unwrap().seq, 50);
    journal.publish(&job(51)).await.unwrap();
    assert_eq!(followed.next().await.unwrap().unwrap().seq, 51);
}

#[tokio::test]
async fn the_trace_travels_in_the_headers() {
    let (_nats, journal) = ready().await;
    let trace = TraceParent { trace_id: 7, span_id: 9, sampled: true };
    let stored = journal.publish(&job(1).traced(Some(trace))).await.unwrap();
    let entry = journal.get(&names(), Stream::Jobs, stored.seq).await.unwrap();
    assert_eq!(entry.trace(), Some(trace));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_killed_server() {
    let (mut nats, journal) = ready().await;
    let batch: Vec<Record> = (1..=300).map(job).collect();
    journal.commit(&batch).await.unwrap();
    nats.kill().await;
    nats.restart().await;
    let journal = nats.journal().await;
    assert_eq!(stored(&journal, Stream::Jobs).await.len(), 300);
    journal.ensure(&names()).await.unwrap();
}
