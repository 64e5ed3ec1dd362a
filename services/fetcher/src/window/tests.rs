//! A model of a source whose orders are edited, deleted and made visible late between any two page reads, read by a
//! window: whatever happens, it does not close without every order that it owes.

use std::collections::{BTreeMap, HashSet};

use events::{WindowClosed, WindowId};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::granularity::SECOND;

/// The length of the window, in seconds.
const LENGTH: i64 = 400;

/// How the source sorts its list.
#[derive(Debug, Clone, Copy)]
enum Sorting {
    Time,
    TimeDescending,
    Id,
    /// Differently each time.
    None,
}

/// What may happen to the source before a page is read, in percent each.
#[derive(Debug, Clone)]
struct Drift {
    edit: u64,
    delete: u64,
    late: u64,
    /// An order leaves and another enters at the same moment.
    swap: u64,
    /// After so many reads the source rests.
    rests_after: usize,
}

#[derive(Debug, Clone)]
struct Model {
    /// Update time (microseconds) by id, of what is visible.
    orders: BTreeMap<u32, Micros>,
    next_id: u32,
    dice: u64,
    sorting: Sorting,
    page_size: u32,
    /// Pages behind the first from this number on are refused.
    refused_from: Option<u32>,
}

impl Model {
    fn roll(&mut self, below: u64) -> u64 {
        // xorshift64*
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % below.max(1)
    }

    fn any(&mut self) -> Option<u32> {
        let at = self.roll(self.orders.len() as u64) as usize;
        self.orders.keys().nth(at).copied()
    }

    /// An edit stamps the order with a time behind the window's frozen end.
    fn edit(&mut self) {
        if let Some(id) = self.any() {
            self.orders.insert(id, (LENGTH + 100) * SECOND);
        }
    }

    fn late(&mut self) {
        let at = self.roll((LENGTH * SECOND) as u64 + 1) as Micros;
        self.orders.insert(self.next_id, at);
        self.next_id += 1;
    }

    fn drift(&mut self, drift: &Drift) {
        if self.roll(100) < drift.edit {
            self.edit();
        }
        if self.roll(100) < drift.delete
            && let Some(id) = self.any()
        {
            self.orders.remove(&id);
        }
        if self.roll(100) < drift.late {
            self.late();
        }
        if self.roll(100) < drift.swap {
            self.edit();
            self.late();
        }
    }

    /// One page, as the source's filter and paging give it.
    fn list(&mut self, slice: Slice, page: u32, by_day: bool) -> (u64, Vec<String>) {
        let cut = if by_day { 100 * SECOND } else { 1 };
        let floor = |at: Micros| at.div_euclid(cut);
        let mut rows: Vec<(Micros, u32)> = self
            .orders
            .iter()
            .map(|(id, at)| (*at, *id))
            .filter(|(at, _)| floor(slice.since) <= floor(*at) && floor(*at) <= floor(slice.until))
            .collect();
        match self.sorting {
            Sorting::Time => rows.sort_unstable(),
            Sorting::TimeDescending => rows.sort_unstable_by(|a, b| b.cmp(a)),
            Sorting::Id => rows.sort_unstable_by_key(|(_, id)| *id),
            Sorting::None => {
                for at in (1..rows.len()).rev() {
                    let other = self.roll(at as u64 + 1) as usize;
                    rows.swap(at, other);
                }
            }
        }
        let from = ((page - 1) * self.page_size) as usize;
        let ids = rows.iter().skip(from).take(self.page_size as usize).map(|(_, id)| id.to_string());
        (rows.len() as u64, ids.collect())
    }
}

fn opened(page_size: u32, max_passes: u32) -> WindowOpened {
    WindowOpened {
        window: WindowId::live(1),
        since: 0,
        until: LENGTH * SECOND,
        page_size,
        max_passes,
        listing: Default::default(),
        news: News::Changed,
    }
}

/// How a window read in this world came out.
struct Outcome {
    next: Next,
    missed: Vec<u32>,
    pages: usize,
}

/// Reads a window with several fetchers at once: jobs are done in any order, and what they read is recorded later and in
/// any order.
fn run(mut model: Model, drift: &Drift, by_day: bool) -> Outcome {
    let granularity = match by_day {
        // The model's days are 100 seconds long; the window lies within one of ours, so it is not split.
        true => Granularity::Day(TimeZone::UTC),
        false => Granularity::Second(TimeZone::UTC),
    };
    let mut owed = model.orders.clone();
    owed.retain(|_, at| *at <= LENGTH * SECOND);
    let mut window = Window::new(opened(model.page_size, 6), 1, 0, &granularity);
    let (mut jobs, mut read, mut seen) = (Vec::new(), Vec::new(), HashSet::<String>::new());
    for pages in 0.. {
        jobs.extend(window.take_unasked());
        if window.next(0, Micros::MAX, &granularity) != Next::Pages || (jobs.is_empty() && read.is_empty()) {
            owed.retain(|id, at| model.orders.get(id) == Some(at) && !seen.contains(&id.to_string()));
            return Outcome {
                next: window.next(0, Micros::MAX, &granularity),
                missed: owed.into_keys().collect(),
                pages,
            };
        }
        assert!(pages < 50_000, "it does not end");
        if !jobs.is_empty() && (read.len() < 4 && model.roll(2) == 0 || read.is_empty()) {
            if pages < drift.rests_after {
                model.drift(drift);
            }
            let at = model.roll(jobs.len() as u64) as usize;
            let (slice, pass, page) = jobs.swap_remove(at);
            if page > 1 && model.refused_from.is_some_and(|from| page >= from) {
                let (window, reason) = (WindowId::live(1), "refused".to_string());
                let refused = PageRefused { window, pass, page, slice: Some(slice), reason };
                read.push(WindowEvent::Refused(refused));
                continue;
            }
            let (total, ids) = model.list(slice, page, by_day);
            seen.extend(ids.iter().cloned());
            read.push(WindowEvent::Page(PageFetched {
                window: WindowId::live(1),
                pass,
                page,
                raw_seq: 1,
                total,
                ids,
                slice: Some(slice),
                contents: Vec::new(),
                details: Vec::new(),
                gone: Vec::new(),
                living: Vec::new(),
                source_now: None,
                read_at: None,
            }));
        } else {
            let at = model.roll(read.len() as u64) as usize;
            let fetched = read.swap_remove(at);
            window.apply(fetched, 2, &granularity);
        }
    }
    unreachable!("the loop returns")
}

prop_compose! {
    fn any_drift()(
        edit in 0_u64..60,
        delete in 0_u64..20,
        late in 0_u64..40,
        swap in 0_u64..60,
        rests_after in prop_oneof![Just(0), 0_usize..200, Just(usize::MAX)],
    ) -> Drift {
        Drift { edit, delete, late, swap, rests_after }
    }
}

prop_compose! {
    fn any_model()(
        times in proptest::collection::vec(0..=LENGTH * SECOND, 0..80),
        burst in proptest::option::of((0..LENGTH, 0_usize..30)),
        dice in 1_u64..,
        sorting in prop_oneof![
            Just(Sorting::Time), Just(Sorting::TimeDescending), Just(Sorting::Id), Just(Sorting::None)
        ],
        page_size in 1_u32..12,
        refused_from in proptest::option::weighted(0.2, 2_u32..6),
    ) -> Model {
        let burst = burst.into_iter().flat_map(|(at, count)| std::iter::repeat_n(at * SECOND, count));
        let orders: BTreeMap<u32, Micros> = (0..).zip(times.into_iter().chain(burst)).collect();
        Model { next_id: orders.len() as u32, orders, dice, sorting, page_size, refused_from }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_course_of_events_closes_a_window_that_missed_an_order(
        model in any_model(), drift in any_drift(), by_day in any::<bool>(),
    ) {
        let Outcome { next, missed, .. } = run(model, &drift, by_day);
        match next {
            Next::Close(proof, _) => {
                prop_assert_eq!(proof.total, proof.distinct);
                prop_assert!(missed.is_empty(), "missed {:?}", missed);
            }
            Next::Fail(reason) => prop_assert!(!reason.is_empty()),
            Next::Pages => prop_assert!(false, "neither proved nor failed, and nothing to read"),
        }
    }

    #[test]
    fn a_source_that_holds_still_is_proved_in_two_looks(model in any_model()) {
        let still = Drift { edit: 0, delete: 0, late: 0, swap: 0, rests_after: 0 };
        let sorted = Model { sorting: Sorting::Time, refused_from: None, ..model };
        let (calm, size) = (sorted.orders.len() as u64, u64::from(sorted.page_size));
        let Outcome { next, missed, pages } = run(sorted, &still, false);
        let Next::Close(proof, until) = next else { return Err(TestCaseError::fail("not proved")) };
        prop_assert!(missed.is_empty());
        prop_assert_eq!((proof.total, proof.slices.len(), until), (calm, 1, LENGTH * SECOND));
        // Each page is a step of reading and one of recording.
        let looks = if calm <= size { 1 } else { 2 };
        prop_assert_eq!(proof.pages_read, looks * calm.div_ceil(size).max(1));
        prop_assert_eq!(pages as u64, 2 * proof.pages_read);
    }
}

#[test]
fn a_source_that_moves_on_every_page_is_proved_in_slices() {
    let orders: BTreeMap<u32, Micros> = (0..300).map(|id| (id, Micros::from(id) * SECOND)).collect();
    let model =
        Model { next_id: 300, orders, dice: 7, sorting: Sorting::Time, page_size: 10, refused_from: None };
    let drift = Drift { edit: 100, delete: 0, late: 0, swap: 100, rests_after: 150 };
    let Outcome { next, missed, .. } = run(model, &drift, false);
    let Next::Close(proof, _) = next else { panic!("{next:?}") };
    assert!(missed.is_empty() && proof.slices.len() > 8, "{proof:?}");
}

fn fetched(pass: u32, page: u32, total: u64, ids: &[&str], source_now: Option<Micros>) -> WindowEvent {
    WindowEvent::Page(PageFetched {
        window: WindowId::live(1),
        pass,
        page,
        raw_seq: 1,
        total,
        ids: ids.iter().map(ToString::to_string).collect(),
        slice: None,
        contents: Vec::new(),
        details: Vec::new(),
        gone: Vec::new(),
        living: Vec::new(),
        source_now,
        read_at: None,
    })
}

#[test]
fn a_proof_reaches_as_far_as_the_sources_clock_had_come() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let (settle, until) = (60 * SECOND, LENGTH * SECOND);
    for (source_now, reaches) in [
        (None, until),
        (Some(until + settle), until),
        (Some(until + settle + 3_600 * SECOND), until),
        (Some(until - 30 * SECOND), until - 90 * SECOND),
    ] {
        let mut window = Window::new(opened(10, 2), 1, 0, &granularity);
        window.apply(fetched(1, 1, 1, &["1"], source_now), 2, &granularity);
        let Next::Close(_, to) = window.next(settle, Micros::MAX, &granularity) else {
            panic!("{source_now:?}")
        };
        assert_eq!(to, reaches, "{source_now:?}");
    }
    let mut window = Window::new(opened(10, 2), 1, 0, &granularity);
    window.apply(fetched(1, 1, 1, &["1"], Some(settle)), 2, &granularity);
    assert!(
        matches!(window.next(settle, Micros::MAX, &granularity), Next::Fail(why) if why.contains("the source's clock"))
    );
}

#[test]
fn a_window_that_ended_wants_nothing_and_remembers_how_far_it_came() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let mut window = Window::new(opened(2, 2), 1, 0, &granularity);
    let whole = window.whole();
    assert_eq!(window.take_unasked(), [(whole, 1, 1)]);
    // Another fetcher, which has read further, may ask for what we do not know of yet.
    assert!(!window.wants((whole, 1, 2)) && window.may_want((whole, 1, 2)) && window.may_want((whole, 2, 1)));
    assert!(window.may_want((Slice { since: 0, until: SECOND }, 1, 1)));
    window.apply(fetched(1, 1, 2, &["1", "2"], None), 2, &granularity);
    let Next::Close(proof, until) = window.next(0, Micros::MAX, &granularity) else { panic!("{window:?}") };
    let closed = WindowClosed { window: WindowId::live(1), since: 0, until, proof };
    window.apply(WindowEvent::Closed(closed), 3, &granularity);
    assert!(!window.wants((whole, 1, 1)) && !window.may_want((whole, 2, 1)));
    assert_eq!(window.take_unasked(), []);
    let progress = window.progress();
    assert_eq!((progress.orders, progress.total, progress.pages, progress.ended), (2, Some(2), 1, true));
}

#[test]
fn a_source_that_ignores_the_window_is_given_up_within_bounds() {
    let granularity = Granularity::Second(TimeZone::UTC);
    let mut window = Window::new(opened(10, 3), 1, 0, &granularity);
    let mut pages = 0;
    // Always the same ten of a hundred, whatever is asked for.
    let ids: Vec<String> = (0..10).map(|id| id.to_string()).collect();
    while window.next(0, Micros::MAX, &granularity) == Next::Pages {
        for (slice, pass, page) in window.take_unasked() {
            let WindowEvent::Page(fetched) = fetched(pass, page, 100, &[], None) else { unreachable!() };
            let fetched = PageFetched { slice: Some(slice), ids: ids.clone(), ..fetched };
            window.apply(WindowEvent::Page(fetched), 2, &granularity);
            pages += 1;
        }
    }
    assert!(
        matches!(window.next(0, Micros::MAX, &granularity), Next::Fail(_)) && pages < 2_000,
        "{pages} pages"
    );
}

mod answers;
