use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the zone database has it")
}

fn asked(since: &str, until: &str, cut: Cut, zone_name: &str) -> AskedTimes {
    let parameters =
        vec![("start_time".to_string(), since.to_string()), ("end_time".to_string(), until.to_string())];
    AskedTimes::of(&parameters, "update_time", cut, &zone(zone_name)).expect("two times")
}

#[test]
fn both_ends_belong_to_what_was_asked_for_and_a_second_more() {
    let asked = asked("2025-03-06 16:00:00", "2025-03-06 17:00:00", Cut::Second, "Asia/Shanghai");
    for inside in [
        "2025-03-06 16:00:00",
        "2025-03-06 15:59:59",
        "2025-03-06T17:00:00.999",
        "2025-03-06 17:00:01",
        "2025-03-06T08:30:00Z",
        "1741251325",
        "1741251325000",
    ] {
        assert!(!asked.is_outside(inside), "{inside}");
    }
    for outside in
        ["2025-03-06 15:59:58", "2025-03-06 17:00:02", "2025-03-06T16:30:00Z", "1741254325", "2010-01-01"]
    {
        assert!(asked.is_outside(outside), "{outside}");
    }
}

#[test]
fn what_is_no_time_is_not_judged() {
    let asked = asked("2025-03-06 16:00:00", "2025-03-06 17:00:00", Cut::Second, "Asia/Shanghai");
    for text in ["", "0000-00-00 00:00:00", "0000-00-00", "7", "yesterday", "20250306", "123456789012345"] {
        assert!(!asked.is_outside(text), "{text}");
    }
    assert!(!asked.is_outside("2025-03-06"), "some moment of that day is within");
}

#[test]
fn a_request_without_times_judges_nothing() {
    let none = vec![("start_index".to_string(), "1".to_string())];
    assert!(AskedTimes::of(&none, "update_time", Cut::Second, &TimeZone::UTC).is_none());
    let open = vec![("start_time".to_string(), "2025-03-06 00:00:00".to_string())];
    let open = AskedTimes::of(&open, "update_time", Cut::Second, &TimeZone::UTC).expect("one time");
    assert!(open.is_outside("2025-03-05 00:00:00") && !open.is_outside("2099-01-01 00:00:00"));
}

#[test]
fn days_are_whole_days_of_the_source() {
    let asked = asked("2025-03-06", "2025-03-07", Cut::Day, "Asia/Shanghai");
    for inside in ["2025-03-06 00:00:00", "2025-03-07 23:59:59", "2025-03-05T16:00:00Z", "2025-03-06"] {
        assert!(!asked.is_outside(inside), "{inside}");
    }
    for outside in ["2025-03-05 23:59:58", "2025-03-08 00:00:02", "2025-03-08"] {
        assert!(asked.is_outside(outside), "{outside}");
    }
}

#[test]
fn a_text_of_the_repeated_hour_is_outside_only_when_both_its_moments_are() {
    // 02:00 to 03:00 comes twice on 2025-10-26.
    let asked = asked("2025-10-26 01:50:00", "2025-10-26 02:10:00", Cut::Second, "Europe/Berlin");
    for inside in ["2025-10-26 02:05:00", "2025-10-26 02:40:00", "2025-10-26 01:50:00"] {
        assert!(!asked.is_outside(inside), "{inside}");
    }
    for outside in ["2025-10-26 01:49:58", "2025-10-26 03:00:00"] {
        assert!(asked.is_outside(outside), "{outside}");
    }
}

fn page(rows: &[(&str, &str)]) -> Page {
    let mut body = String::new();
    let mut places = Vec::new();
    for (id, at) in rows {
        let from = body.len();
        body.push_str(&format!(r#"{{"id":{id},"update_time":"{at}"}}"#));
        places.push(from..body.len());
    }
    let body = format!(r#"{{"code":200,"data":{{"count":{},"list":[{}]}}}}"#, rows.len(), {
        let rows: Vec<&str> = places.iter().map(|place| &body[place.clone()]).collect();
        rows.join(",")
    });
    let reader =
        okki::Reader { request: "/list", status: 200, retry_after: None, id: "id", zone: &TimeZone::UTC };
    reader.page(&body.into()).expect("a page")
}

#[test]
fn the_first_row_outside_is_named_with_what_to_look_at() {
    let asked = asked("2025-03-06 16:00:00", "2025-03-06 17:00:00", Cut::Second, "UTC");
    assert!(asked.check(&page(&[("1", "2025-03-06 16:00:00"), ("2", "0000-00-00 00:00:00")])).is_ok());
    let wrong = [("1", "2025-03-06 16:00:00"), ("7", "2024-01-01 00:00:00"), ("8", "2024-01-01 00:00:00")];
    let error = asked.check(&page(&wrong)).expect_err("two rows outside");
    let said = error.to_string();
    assert!(said.contains("order 7, whose update_time is 2024-01-01 00:00:00 (2 rows of 3)"), "{said}");
    assert!(said.contains("source.time_zone") && said.contains("source.time_field"), "{said}");
    assert!(matches!(error, OkkiError::Malformed { .. }));
}

proptest! {
    #[test]
    fn a_row_of_a_moment_within_a_slice_is_never_outside(
        since in 1_600_000_000_i64..1_900_000_000,
        length in 0_i64..200_000,
        part in 0.0_f64..=1.0,
        place in 0_usize..4,
        by_day in any::<bool>(),
    ) {
        let zone = zone(["Europe/Berlin", "America/New_York", "Asia/Shanghai", "America/Havana"][place]);
        let at = since + (length as f64 * part) as i64;
        let local = |second: i64| {
            let at = Timestamp::from_second(second).expect("a time").to_zoned_datetime(zone.clone());
            at.strftime("%Y-%m-%d %H:%M:%S").to_string()
        };
        let moment = okki::Moment {
            since: Timestamp::from_second(since).expect("a time"),
            until: Timestamp::from_second(since + length).expect("a time"),
            zone: zone.clone(),
        };
        let expand = |text| okki::expand(text, &moment).expect("sound");
        let parameters = vec![
            ("start_time".to_string(), expand("{{LAST_SYNC_TIME}}")),
            ("end_time".to_string(), expand("{{CURRENT_TIME}}")),
        ];
        let cut = if by_day { Cut::Day } else { Cut::Second };
        let asked = AskedTimes::of(&parameters, "at", cut, &zone).expect("two times");
        prop_assert!(!asked.is_outside(&local(at)), "{} in {:?}", local(at), parameters);
        // What the source compares are texts: one within is asked for.
        prop_assert!(parameters[0].1 <= local(at) && local(at) <= parameters[1].1);
    }
}

#[test]
fn a_time_without_seconds_can_be_any_second_of_its_minute_or_hour() {
    let asked = asked("2025-03-06 16:55:30", "2025-03-06 17:00:00", Cut::Second, "Asia/Shanghai");
    for inside in [
        "2025-03-06 16:55",
        "2025-03-06T16:55",
        "2025-03-06T08:55Z",
        "2025-03-06T16:55+08:00",
        "2025-03-06 16",
    ] {
        assert!(!asked.is_outside(inside), "{inside}");
    }
    for outside in ["2025-03-06 16:54", "2025-03-06 17:01", "2025-03-06 15", "2025-03-06 16:55:00"] {
        assert!(asked.is_outside(outside), "{outside}");
    }
    let found = moments("2025-03-06 16:55", &zone("Asia/Shanghai"), Cut::Second).expect("a time");
    assert_eq!(found.until - found.since, 59 * SECOND);
}
