//! The rules one by one; that no course of events gets around them is held by the model in `window/tests.rs`.

use super::*;

const SLICE: Slice = Slice { since: 0, until: 60_000_000 };

fn facts(total: u64, ids: impl IntoIterator<Item = u128>) -> PageFacts {
    let ids = ids.into_iter().map(|id| OrderDigest::of(&id.to_string())).collect();
    PageFacts { total, ids, gone: 0 }
}

fn reading(splittable: bool) -> Reading {
    Reading::new(SLICE, 2, 2, splittable)
}

fn read(reading: &mut Reading, pages: &[(u64, &[u128])]) {
    for (at, (total, ids)) in (1..).zip(pages) {
        reading.page(reading.pass, at, facts(*total, ids.iter().copied()));
    }
}

fn proof(reading: &Reading) -> (u32, Option<u32>, u32, u64) {
    match &reading.state {
        State::Proved(proof) => (proof.pass, proof.confirmed_by, proof.pages, proof.distinct),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_page_that_holds_everything_is_a_proof() {
    let mut empty = reading(true);
    assert_eq!(empty.take_unasked(), [1]);
    read(&mut empty, &[(0, &[])]);
    assert_eq!(proof(&empty), (1, None, 1, 0));
    let mut full = reading(true);
    read(&mut full, &[(2, &[1, 2])]);
    assert_eq!(proof(&full), (1, None, 1, 2));
    // A source that gives more rows a page than were asked for.
    let mut large = reading(true);
    read(&mut large, &[(4, &[1, 2, 3, 4])]);
    assert_eq!(proof(&large), (1, None, 1, 4));
}

#[test]
fn several_pages_are_asked_for_and_their_orders_looked_for_again() {
    let mut slice = reading(true);
    slice.take_unasked();
    read(&mut slice, &[(5, &[1, 2])]);
    assert_eq!(slice.take_unasked(), [2, 3]);
    assert_eq!(slice.take_unasked(), [0_u32; 0], "each is handed out once");
    slice.page(1, 3, facts(5, [5]));
    assert_eq!(slice.state, State::Reading);
    slice.page(1, 2, facts(5, [3, 4]));
    assert_eq!((&slice.state, slice.pass), (&State::Reading, 2), "counted, not yet proved");
    assert_eq!(slice.take_unasked(), [1]);
    // In another order, and one becomes visible while they are looked for.
    read(&mut slice, &[(5, &[5, 4]), (6, &[3, 9]), (6, &[2, 1])]);
    assert_eq!(proof(&slice), (2, Some(2), 3, 5));
    assert_eq!(slice.orders().len(), 5);
}

#[test]
fn an_order_that_leaves_while_another_enters_does_not_make_a_proof() {
    let mut slice = reading(false);
    // 1 leaves and 9 enters between the pages: 3 is skipped, and every count fits.
    read(&mut slice, &[(4, &[1, 2]), (4, &[4, 9])]);
    assert_eq!((&slice.state, slice.pass), (&State::Reading, 2));
    // When the second pass began there were 2, 3, 4 and 9: 3 was not met before, and may have entered since.
    read(&mut slice, &[(4, &[2, 9]), (4, &[3, 4])]);
    assert_eq!((&slice.state, slice.pass), (&State::Reading, 3));
    read(&mut slice, &[(4, &[2, 9]), (4, &[3, 4])]);
    assert_eq!(proof(&slice), (3, Some(3), 2, 4));
}

#[test]
fn orders_that_leave_on_every_pass_do_no_harm_once_the_others_are_known() {
    let mut slice = Reading::new(SLICE, 2, 3, false);
    // 1 leaves between the pages, so that 3 is skipped; the second pass meets it, and the third knows all of them.
    read(&mut slice, &[(5, &[1, 2]), (4, &[4, 5]), (4, &[])]);
    read(&mut slice, &[(4, &[2, 4]), (4, &[3, 5])]);
    assert_eq!((&slice.state, slice.pass), (&State::Reading, 3));
    // 5 leaves in the end: it was there when the third pass began.
    read(&mut slice, &[(4, &[5, 2]), (3, &[3, 4])]);
    assert_eq!(proof(&slice), (3, Some(3), 2, 4));
}

#[test]
fn what_moves_is_split_at_once_and_otherwise_read_to_its_end() {
    let mut splittable = reading(true);
    read(&mut splittable, &[(6, &[1, 2]), (5, &[3, 4])]);
    let State::Split(why) = &splittable.state else { panic!("{:?}", splittable.state) };
    assert_eq!(why, "the total was 5 and 6 while the pages were read");

    let mut whole = reading(false);
    read(&mut whole, &[(6, &[1, 2]), (5, &[3, 4])]);
    assert_eq!((&whole.state, whole.pass), (&State::Reading, 1));
    read(&mut whole, &[(0, &[]), (0, &[]), (5, &[5])]);
    assert_eq!((&whole.state, whole.pass), (&State::Reading, 2));
    read(&mut whole, &[(5, &[2, 3]), (5, &[3, 4]), (5, &[5])]);
    let State::Failed(why) = &whole.state else { panic!("{:?}", whole.state) };
    assert_eq!(why, "4 distinct orders were read where the source counts 5: rows moved");
    assert_eq!(whole.distinct_so_far(), 4, "WindowFailed says so");
}

#[test]
fn one_page_that_contradicts_itself_is_no_drift() {
    let mut lies = reading(true);
    read(&mut lies, &[(2, &[1])]);
    assert_eq!((&lies.state, lies.pass), (&State::Reading, 2));
    read(&mut lies, &[(2, &[1])]);
    let State::Failed(why) = &lies.state else { panic!("{:?}", lies.state) };
    assert!(why.starts_with("page 1 holds 1 rows where the source counts 2"), "{why}");
    let mut more = reading(true);
    read(&mut more, &[(0, &[1])]);
    read(&mut more, &[(0, &[1])]);
    assert!(
        matches!(&more.state, State::Failed(why) if why.contains("1 distinct orders")),
        "{:?}",
        more.state
    );
}

#[test]
fn a_total_that_is_nonsense_costs_no_memory() {
    for splittable in [true, false] {
        let mut slice = reading(splittable);
        for _ in 0..2 {
            read(&mut slice, &[(u64::MAX, &[1, 2])]);
        }
        assert!(matches!(slice.state, State::Split(_) | State::Failed(_)), "{:?}", slice.state);
        assert_eq!(slice.take_unasked(), [0_u32; 0]);
    }
}

#[test]
fn an_order_that_was_listed_and_could_not_be_had_proves_nothing() {
    let mut slice = reading(true);
    slice.page(1, 1, PageFacts { gone: 1, ..facts(2, [1]) });
    assert_eq!((&slice.state, slice.pass), (&State::Reading, 2));
    slice.page(2, 1, PageFacts { gone: 1, ..facts(2, [1]) });
    let State::Failed(why) = &slice.state else { panic!("{:?}", slice.state) };
    assert_eq!(why, "1 orders were listed and gone when their detail was asked for");
    let mut deleted = reading(true);
    deleted.page(1, 1, PageFacts { gone: 1, ..facts(2, [1]) });
    read(&mut deleted, &[(1, &[1])]);
    assert_eq!(proof(&deleted), (2, None, 1, 1), "it was deleted: not listed any more");
}

#[test]
fn a_late_page_changes_nothing() {
    let mut slice = reading(false);
    read(&mut slice, &[(3, &[1, 2]), (3, &[2])]);
    assert_eq!(slice.pass, 2);
    slice.page(1, 2, facts(3, [3]));
    assert_eq!((slice.rows(), slice.wants(1, 2), slice.wants(2, 1)), (0, false, true));
}

#[test]
fn a_total_that_is_nonsense_does_not_fill_the_memory_with_pages() {
    let mut slice = reading(true);
    slice.take_unasked();
    read(&mut slice, &[(2 * MOST_PAGES, &[1, 2])]);
    assert_eq!(slice.take_unasked().len(), PAGES_AHEAD as usize);
    slice.page(1, 2, facts(2 * MOST_PAGES, [3, 4]));
    assert_eq!(slice.take_unasked(), [PAGES_AHEAD + 2], "one more for each that was read");
    assert_eq!(slice.state, State::Reading);
}

#[test]
fn a_slice_of_more_pages_than_are_asked_for_ahead_is_read_to_its_end() {
    let pages = PAGES_AHEAD * 3 + 1;
    let mut slice = Reading::new(SLICE, 1, 2, true);
    for _ in 0..2 {
        let pass = slice.pass;
        let mut read = 0;
        loop {
            let asked = slice.take_unasked();
            if asked.is_empty() || slice.pass != pass {
                break;
            }
            for page in asked {
                assert_eq!((pass, &slice.state), (slice.pass, &State::Reading), "page {page}");
                slice.page(pass, page, facts(u64::from(pages), [u128::from(page)]));
                read += 1;
                if slice.pass != pass {
                    break;
                }
            }
            if slice.pass != pass {
                break;
            }
        }
        assert_eq!(read, pages);
    }
    assert_eq!(proof(&slice), (2, Some(2), pages, u64::from(pages)));
}
