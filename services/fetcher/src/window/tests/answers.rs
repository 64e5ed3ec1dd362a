//! Answers that are refused, belong to another question, or come by a wrong clock.

use super::*;

#[test]
fn a_source_that_refuses_deep_pages_is_read_in_slices_that_have_none() {
    for refused_from in [2, 3, 6] {
        let orders: BTreeMap<u32, Micros> = (0..300).map(|id| (id, Micros::from(id) * SECOND)).collect();
        let (sorting, refused_from) = (Sorting::TimeDescending, Some(refused_from));
        let model = Model { next_id: 300, orders, dice: 7, sorting, page_size: 10, refused_from };
        let still = Drift { edit: 0, delete: 0, late: 0, swap: 0, rests_after: 0 };
        let Outcome { next, missed, .. } = run(model, &still, false);
        let Next::Close(proof, _) = next else { panic!("{next:?}") };
        assert!(missed.is_empty() && proof.total == 300, "{proof:?}");
        // Once it is known how deep is too deep, larger slices are not asked for beyond their first page.
        assert!(proof.pages_read < 200, "{} pages", proof.pages_read);
    }
}

#[test]
fn what_cannot_be_split_fails_with_what_the_source_said() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let refusal = |page| {
        let (window, reason) = (WindowId::live(1), "page 2 cannot be fetched: too deep".to_string());
        WindowEvent::Refused(PageRefused { window, pass: 1, page, slice: None, reason })
    };
    let mut second = Window::new(WindowOpened { until: SECOND, ..opened(1, 2) }, 1, 0, &granularity);
    second.apply(fetched(1, 1, 3, &["1"], None), 2, &granularity);
    second.apply(refusal(2), 3, &granularity);
    let next = second.next(0, Micros::MAX, &granularity);
    assert!(matches!(next, Next::Fail(why) if why.contains("too deep")));
    // A refusal that nobody waits for says nothing.
    let mut whole = Window::new(opened(1, 2), 1, 0, &granularity);
    whole.apply(refusal(7), 2, &granularity);
    assert_eq!(whole.next(0, Micros::MAX, &granularity), Next::Pages);
    whole.apply(refusal(1), 3, &granularity);
    assert_eq!((whole.next(0, Micros::MAX, &granularity), whole.slices()), (Next::Pages, 2));
    assert_eq!(whole.refused_from, None, "page 1 is no matter of depth");
}

#[test]
fn a_page_that_belongs_to_another_time_proves_nothing() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let mut window = Window::new(opened(1, 2), 1, 0, &granularity);
    let apply = |window: &mut Window, slice: Slice, ids: &[&str], total: u64| {
        let WindowEvent::Page(page) = fetched(window.pass_of(slice), 1, total, ids, None) else {
            unreachable!()
        };
        let contents = ids.iter().map(|id| id.len() as u64 + 7).collect();
        let page = PageFetched { slice: Some(slice), contents, ..page };
        window.apply(WindowEvent::Page(page), 2, &granularity);
    };
    let whole = window.whole();
    let WindowEvent::Page(page) = fetched(1, 1, 3, &["1"], None) else { unreachable!() };
    window.apply(WindowEvent::Page(page), 2, &granularity);
    window.apply(
        WindowEvent::Refused(PageRefused {
            window: WindowId::live(1),
            pass: 1,
            page: 2,
            slice: None,
            reason: "too deep".into(),
        }),
        3,
        &granularity,
    );
    let (first, second) = granularity.halves(whole).expect("halves");
    let (early, _) = granularity.halves(first).expect("halves");
    let (_, late) = granularity.halves(second).expect("halves");
    // Both halves are split, and a cache gives the earliest quarter's page for the latest as well.
    apply(&mut window, first, &["1"], 2);
    apply(&mut window, second, &["1"], 2);
    apply(&mut window, early, &["12345"], 1);
    for _ in 0..2 {
        apply(&mut window, late, &["12345"], 1);
    }
    let next = window.next(0, Micros::MAX, &granularity);
    assert!(matches!(&next, Next::Fail(why) if why.contains("row by row")), "{next:?}");
}

#[test]
fn no_proof_reaches_beyond_now_and_a_window_of_the_future_is_given_up() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let mut window = Window::new(opened(10, 2), 1, 0, &granularity);
    window.apply(fetched(1, 1, 1, &["1"], None), 2, &granularity);
    let now = 100 * SECOND;
    assert!(matches!(window.next(10 * SECOND, now, &granularity), Next::Close(_, to) if to == 90 * SECOND));
    let future = WindowOpened { since: 500 * SECOND, until: 900 * SECOND, ..opened(10, 2) };
    let mut window = Window::new(future, 1, 0, &granularity);
    window.apply(fetched(1, 1, 0, &[], None), 2, &granularity);
    let next = window.next(10 * SECOND, now, &granularity);
    assert!(matches!(&next, Next::Fail(why) if why.contains("was ahead")), "{next:?}");
}

#[test]
fn clocks_that_differ_a_little_close_a_window_at_its_end() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let mut window = Window::new(opened(1, 2), 1, 0, &granularity);
    window.apply(fetched(1, 1, 1, &["1"], None), 2, &granularity);
    for behind in [0, 1, 3, 5] {
        let now = (LENGTH + 10 - behind) * SECOND;
        let next = window.next(10 * SECOND, now, &granularity);
        assert!(matches!(next, Next::Close(_, to) if to == LENGTH * SECOND), "{behind}: {next:?}");
    }
    let now = (LENGTH + 10 - 6) * SECOND;
    let next = window.next(10 * SECOND, now, &granularity);
    assert!(matches!(next, Next::Close(_, to) if to == (LENGTH - 6) * SECOND), "{next:?}");
}

#[test]
fn the_same_page_of_both_readings_of_a_repeated_hour_is_right() {
    let zone = TimeZone::get("Europe/Berlin").expect("the zone database has it");
    let granularity = Granularity::Second(zone);
    let mut window = Window::new(opened(1, 2), 1, 0, &granularity);
    let WindowEvent::Page(page) = fetched(1, 1, 1, &["1"], None) else { unreachable!() };
    let page = PageFetched { contents: vec![7], ..page };
    // 2025-10-26T00:10:00Z is 02:10, and so is an hour later.
    let begins = 1_761_437_400 * SECOND;
    let slice = |after: Micros| {
        let since = begins + after * SECOND;
        Slice { since, until: since + 600 * SECOND }
    };
    assert_eq!(window.seen_elsewhere(slice(0), &page, &granularity), None);
    assert_eq!(window.seen_elsewhere(slice(3_600), &page, &granularity), None);
    let why = window.seen_elsewhere(slice(7_200), &page, &granularity).expect("another hour");
    assert!(why.contains("row by row"), "{why}");
}

#[test]
fn a_window_whose_total_is_nonsense_fails_at_once() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let mut window = Window::new(opened(100, 3), 1, 0, &granularity);
    window.take_unasked();
    let ids: Vec<String> = (0..100).map(|id: u32| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    window.apply(fetched(1, 1, 1_000_000_000, &ids, None), 2, &granularity);
    assert!(window.take_unasked().is_empty(), "nothing more is asked for");
    let next = window.next(0, Micros::MAX, &granularity);
    let Next::Fail(why) = next else { panic!("{next:?}") };
    assert!(why.contains("the source counts 1000000000 orders"), "{why}");
}

/// A source that counts more orders than it shows, however finely it is asked: a bound made of what
/// it counts would never be reached.
#[test]
fn a_window_is_bounded_by_the_pages_that_were_there_and_not_by_a_total() {
    for total in [40_000_000, 9_000_000, 5_000_000] {
        let granularity = Granularity::Second(TimeZone::UTC);
        let long = WindowOpened { until: 400_000_000 * SECOND, ..opened(100, 3) };
        let mut window = Window::new(long, 1, 0, &granularity);
        let ids: Vec<String> = (0..100).map(|id: u32| id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut read = 0;
        while window.next(0, Micros::MAX, &granularity) == Next::Pages {
            let (slice, pass, number) = *window.take_unasked().first().expect("a page is asked for");
            let rows = if number == 1 { &ids[..] } else { &[] };
            let WindowEvent::Page(page) = fetched(pass, number, total, rows, None) else { unreachable!() };
            let page = PageFetched { slice: Some(slice), ..page };
            window.apply(WindowEvent::Page(page), 2, &granularity);
            window.ask_again();
            read += 1;
            assert!(read <= 1_100, "of {total}");
        }
        let next = window.next(0, Micros::MAX, &granularity);
        assert!(matches!(next, Next::Fail(_)), "{next:?}");
    }
}
