//! The calendar: windows cover all of time, keys and windows agree, and what is no partition is refused by name.

#![expect(clippy::expect_used)]

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use pipeline::{Calendar, Granularity, Window};
use proptest::prelude::*;
use wap::PartitionKey;

/// Among them zones with half-hour changes, changes at midnight and just after it, and a day that never was.
const ZONES: [&str; 12] = [
    "UTC",
    "America/Toronto",
    "Europe/London",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Pacific/Apia",
];

fn calendar(zone: &str, granularity: Granularity, week_starts: Weekday) -> Calendar {
    let time_zone = TimeZone::get(zone).expect("the zone is in the database");
    Calendar { granularity, week_starts, ..Calendar::daily(time_zone, date(1970, 1, 1)) }
}

fn toronto(granularity: Granularity) -> Calendar {
    calendar("America/Toronto", granularity, Weekday::Monday)
}

fn key(text: &str) -> PartitionKey {
    PartitionKey::new(text).expect("the key has the shape of one")
}

fn hours(window: Window) -> i64 {
    window.end.duration_since(window.start).as_hours()
}

fn refusal(calendar: &Calendar, text: &str) -> String {
    calendar.parse(text).expect_err("the partition is refused").to_string()
}

fn texts(partitions: impl IntoIterator<Item = PartitionKey>) -> Vec<String> {
    partitions.into_iter().map(|partition| partition.to_string()).collect()
}

fn any_calendar() -> impl Strategy<Value = Calendar> {
    const GRANULARITIES: [Granularity; 4] =
        [Granularity::Hour, Granularity::Day, Granularity::Week, Granularity::Month];
    const WEEKDAYS: [Weekday; 4] = [Weekday::Monday, Weekday::Wednesday, Weekday::Saturday, Weekday::Sunday];
    (prop::sample::select(&ZONES), prop::sample::select(&GRANULARITIES), prop::sample::select(&WEEKDAYS))
        .prop_map(|(zone, granularity, weekday)| calendar(zone, granularity, weekday))
}

/// Half of them within a few hours of a change of the clocks, where mistakes live.
fn instant_near_changes(calendar: &Calendar) -> impl Strategy<Value = Timestamp> + use<> {
    let from = date(1990, 1, 1).at(0, 0, 0, 0).in_tz("UTC").expect("a date").timestamp();
    let until = date(2035, 1, 1).at(0, 0, 0, 0).in_tz("UTC").expect("a date").timestamp();
    let changes: Vec<i64> = calendar
        .time_zone
        .following(from)
        .map(|change| change.timestamp().as_second())
        .take_while(|second| *second < until.as_second())
        .chain([from.as_second()])
        .collect();
    let near = (prop::sample::select(changes), -8_000_i64..8_000).prop_map(|(change, offset)| change + offset);
    prop_oneof![near, from.as_second()..until.as_second()]
        .prop_map(|second| Timestamp::from_second(second).expect("the second is within the calendar"))
}

fn calendar_and_instant() -> impl Strategy<Value = (Calendar, Timestamp)> {
    any_calendar().prop_flat_map(|calendar| (Just(calendar.clone()), instant_near_changes(&calendar)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_instant_is_in_the_window_of_its_partition((calendar, instant) in calendar_and_instant()) {
        let partition = calendar.partition_of(instant).unwrap();
        let window = calendar.window(&partition).unwrap();
        prop_assert!(window.contains(instant), "{instant} is not in {partition}: {window:?}");
        prop_assert_eq!(calendar.partition_of(window.start).unwrap(), partition.clone());
        let last = window.end.checked_sub(1.nanosecond()).unwrap();
        prop_assert_eq!(calendar.partition_of(last).unwrap(), partition);
    }

    #[test]
    fn windows_follow_each_other_without_gap_or_overlap((calendar, instant) in calendar_and_instant()) {
        let partition = calendar.partition_of(instant).unwrap();
        let next = calendar.next(&partition).unwrap().unwrap();
        let window = calendar.window(&partition).unwrap();
        prop_assert_eq!(window.end, calendar.window(&next).unwrap().start);
        prop_assert_eq!(calendar.partition_of(window.end).unwrap(), next.clone());
        prop_assert_eq!(calendar.previous(&next).unwrap(), Some(partition.clone()));
        prop_assert!(partition < next, "keys are ordered as time is");
    }

    #[test]
    fn a_partition_reads_back_as_itself((calendar, instant) in calendar_and_instant()) {
        let partition = calendar.partition_of(instant).unwrap();
        prop_assert_eq!(calendar.parse(partition.as_str()).unwrap(), partition);
    }

    #[test]
    fn a_week_begins_on_its_weekday((calendar, instant) in calendar_and_instant()) {
        let weekly = Calendar { granularity: Granularity::Week, ..calendar };
        let first: Date = weekly.partition_of(instant).unwrap().as_str().parse().unwrap();
        prop_assert_eq!(first.weekday(), weekly.week_starts);
    }

    #[test]
    fn the_partitions_of_a_day_are_those_of_its_instants((calendar, instant) in calendar_and_instant()) {
        let days = Calendar { granularity: Granularity::Day, ..calendar.clone() };
        let day = days.partition_of(instant).unwrap();
        let concerned = calendar.partitions_for(&day).unwrap();
        prop_assert!(concerned.contains(&calendar.partition_of(days.window(&day).unwrap().start).unwrap()));
        if calendar.granularity == Granularity::Hour {
            prop_assert!(concerned.contains(&calendar.partition_of(instant).unwrap()));
        } else {
            prop_assert_eq!(concerned.len(), 1);
        }
    }

    #[test]
    fn no_text_makes_the_calendar_panic(calendar in any_calendar(), text in "[0-9T:Zal-]{0,16}") {
        if let Ok(partition) = calendar.parse(&text) {
            prop_assert_eq!(partition.as_str(), text);
        }
    }
}

#[test]
fn a_day_has_23_24_or_25_hours() {
    let days = toronto(Granularity::Day);
    for (day, length) in [("2025-03-09", 23), ("2025-08-01", 24), ("2025-11-02", 25)] {
        assert_eq!(hours(days.window(&key(day)).unwrap()), length, "{day}");
    }
    let window = days.window(&key("2025-08-01")).unwrap();
    assert_eq!(window.start.to_string(), "2025-08-01T04:00:00Z");
    assert_eq!(window.end.to_string(), "2025-08-02T04:00:00Z");
}

#[test]
fn a_repeated_hour_is_one_partition_of_two_hours() {
    let window = toronto(Granularity::Hour).window(&key("2025-11-02T01")).unwrap();
    assert_eq!(hours(window), 2);
    assert_eq!(window.start.to_string(), "2025-11-02T05:00:00Z");
}

#[test]
fn a_skipped_hour_is_no_partition() {
    let hourly = toronto(Granularity::Hour);
    assert_eq!(
        refusal(&hourly, "2025-03-09T02"),
        "partition 2025-03-09T02 does not exist: the clocks of America/Toronto skip it"
    );
    assert_eq!(hourly.next(&key("2025-03-09T01")).unwrap(), Some(key("2025-03-09T03")));
    assert_eq!(hourly.partitions_for(&key("2025-03-09")).unwrap().len(), 23);
    assert_eq!(hourly.partitions_for(&key("2025-11-02")).unwrap().len(), 24);
}

#[test]
fn a_skipped_day_is_no_partition() {
    let days = calendar("Pacific/Apia", Granularity::Day, Weekday::Monday);
    assert!(refusal(&days, "2011-12-30").ends_with("the clocks of Pacific/Apia skip it"));
    assert_eq!(days.previous(&key("2011-12-31")).unwrap(), Some(key("2011-12-29")));
}

#[test]
fn clocks_that_go_back_over_midnight_do_not_reopen_a_day() {
    // At 00:01 on 7 November 2010 they went back to 23:01 of the day before.
    let days = calendar("America/St_Johns", Granularity::Day, Weekday::Monday);
    let before: Timestamp = "2010-11-07T02:29:59Z".parse().unwrap();
    let after: Timestamp = "2010-11-07T02:45:00Z".parse().unwrap();
    assert_eq!(days.partition_of(before).unwrap(), key("2010-11-06"));
    assert_eq!(days.partition_of(after).unwrap(), key("2010-11-07"));
}

#[test]
fn an_hour_begins_where_the_clocks_jump_into_it() {
    // At 00:01 on 13 March 2011 they went forward to 01:01.
    let hourly = calendar("America/St_Johns", Granularity::Hour, Weekday::Monday);
    let midnight = hourly.window(&key("2011-03-13T00")).unwrap();
    let one = hourly.window(&key("2011-03-13T01")).unwrap();
    assert_eq!(midnight.start.to_string(), "2011-03-13T03:30:00Z");
    assert_eq!(one.start.to_string(), "2011-03-13T03:31:00Z");
    assert_eq!(one.end.to_string(), "2011-03-13T04:30:00Z");
}

#[test]
fn what_is_no_partition_is_refused_with_the_accepted_form() {
    let cases = [
        (
            toronto(Granularity::Day),
            "yesterday",
            "\"yesterday\" is not a partition; write YYYY-MM-DD, such as \
             2025-08-01",
        ),
        (
            toronto(Granularity::Day),
            "2025-08",
            "partition 2025-08 is not of granularity day; write YYYY-MM-DD, such as 2025-08-01",
        ),
        (
            toronto(Granularity::Hour),
            "all",
            "partition all is not of granularity hour; write YYYY-MM-DDTHH, such as 2025-08-01T05",
        ),
        (toronto(Granularity::All), "2025-08-01", "partition 2025-08-01 is not of granularity all; write all"),
        (
            toronto(Granularity::Day),
            "2025-02-29",
            "partition 2025-02-29 does not exist: the calendar has no such date or hour; years go from 0001 to 9998",
        ),
        (
            toronto(Granularity::Hour),
            "2025-08-01T24",
            "partition 2025-08-01T24 does not exist: the calendar has no such date or hour; years go from 0001 to 9998",
        ),
        (
            toronto(Granularity::Month),
            "2025-13",
            "partition 2025-13 does not exist: the calendar has no such date or hour; years go from 0001 to 9998",
        ),
        (
            calendar("America/Toronto", Granularity::Week, Weekday::Wednesday),
            "2025-08-01",
            "2025-08-01 does not begin a week; weeks begin on wednesday: that week is 2025-07-30",
        ),
    ];
    for (calendar, text, expected) in cases {
        assert_eq!(refusal(&calendar, text), expected);
    }
}

#[test]
fn partitions_outside_the_bounds_of_a_table_are_refused() {
    let monthly = Calendar { start: date(2025, 8, 15), end: Some(date(2025, 10, 1)), ..toronto(Granularity::Month) };
    assert_eq!(monthly.parse("2025-08").unwrap(), key("2025-08"), "the month that the first day lies in");
    assert_eq!(monthly.parse("2025-10").unwrap(), key("2025-10"), "the month that the last day lies in");
    assert_eq!(refusal(&monthly, "2025-07"), "partition 2025-07 is before 2025-08, the first one");
    assert_eq!(refusal(&monthly, "2025-11"), "partition 2025-11 is after 2025-10, the last one");
    assert!(monthly.partitions_for(&key("2025-07-31")).unwrap().is_empty());
    assert!(monthly.partitions_for(&key("2025-11-01")).unwrap().is_empty());
}

#[test]
fn ranges_include_both_ends() {
    let days = toronto(Granularity::Day);
    let range = days.range(&key("2025-07-30"), &key("2025-08-01")).unwrap();
    assert_eq!(texts(range), ["2025-07-30", "2025-07-31", "2025-08-01"]);
    assert_eq!(texts(days.range(&key("2025-08-01"), &key("2025-08-01")).unwrap()), ["2025-08-01"]);
    assert_eq!(
        days.range(&key("2025-08-02"), &key("2025-08-01")).unwrap_err().to_string(),
        "the range from 2025-08-02 to 2025-08-01 is empty; write the earlier partition first"
    );
    let all = toronto(Granularity::All);
    assert_eq!(texts(all.range(&PartitionKey::all(), &PartitionKey::all()).unwrap()), ["all"]);
}

#[test]
fn a_run_concerns_the_partition_that_contains_its_day() {
    let run = key("2025-08-01");
    let concerned = |calendar: Calendar| texts(calendar.partitions_for(&run).unwrap());
    assert_eq!(concerned(toronto(Granularity::Day)), ["2025-08-01"]);
    assert_eq!(concerned(toronto(Granularity::Week)), ["2025-07-28"]);
    assert_eq!(concerned(calendar("UTC", Granularity::Week, Weekday::Sunday)), ["2025-07-27"]);
    assert_eq!(concerned(toronto(Granularity::Month)), ["2025-08"]);
    assert_eq!(concerned(toronto(Granularity::All)), ["all"]);
    assert_eq!(concerned(toronto(Granularity::Hour)).len(), 24);
    let hour = key("2025-08-01T05");
    assert_eq!(texts(toronto(Granularity::Hour).partitions_for(&hour).unwrap()), ["2025-08-01T05"]);
    assert_eq!(texts(toronto(Granularity::Day).partitions_for(&hour).unwrap()), ["2025-08-01"]);
    assert_eq!(
        toronto(Granularity::Day).partitions_for(&key("2025-08")).unwrap_err().to_string(),
        "a run is for a day or an hour, not for 2025-08; write YYYY-MM-DD or YYYY-MM-DDTHH"
    );
}

#[test]
fn a_partition_is_future_until_its_first_instant() {
    let days = toronto(Granularity::Day);
    let window = days.window(&key("2025-08-01")).unwrap();
    let before = window.start.checked_sub(1.nanosecond()).unwrap();
    assert!(days.is_future(&key("2025-08-01"), before).unwrap());
    assert!(!days.is_future(&key("2025-08-01"), window.start).unwrap());
    assert!(!window.has_ended(window.end.checked_sub(1.nanosecond()).unwrap()));
    assert!(window.has_ended(window.end));
    assert!(!toronto(Granularity::All).is_future(&PartitionKey::all(), before).unwrap());
}

#[test]
fn the_ends_of_the_calendar_are_refused_and_not_reached() {
    let days = toronto(Granularity::Day);
    for outside in ["0000-01-01", "9999-01-01"] {
        assert!(days.window(&key(outside)).is_err(), "{outside}");
    }
    assert_eq!(days.next(&key("9998-12-31")).unwrap(), None);
    assert_eq!(days.previous(&key("0001-01-01")).unwrap(), None);
    assert!(days.partition_of(Timestamp::MAX).is_err());
    assert!(days.partition_of(Timestamp::MIN).is_err());
}
