//! Days of the sandbox: where they begin, how long they are, how busy they are.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};

use super::{change::MOST_DAYS, holidays, random::Random};
use crate::Error;

/// New customers and purchases on a day of weight 1 at the start of the sandbox.
const CUSTOMERS: f64 = 2_000.0;
const PURCHASES: f64 = 4_000.0;
const DAILY_GROWTH: f64 = 1.002;

/// More than this many rows of one kind a day cannot be numbered.
const MOST_A_DAY: f64 = 1e9;

/// Monday to Sunday.
const WEEKDAYS: [f64; 7] = [0.75, 0.80, 0.85, 0.95, 1.20, 1.65, 1.40];

/// ISO weeks 1 to 53. The two weeks around Cyber Monday, which moves, are set in [`weight`].
const WEEKS: [f64; 53] = [
    0.75, 0.75, 0.75, 0.75, 0.80, 0.85, 0.80, 0.80, 0.85, 0.85, 0.85, 0.90, 0.95, // to the end of March
    0.95, 0.90, 0.90, 0.90, 0.95, 1.00, 0.95, 0.95, 0.95, 0.95, 1.00, 0.95, 0.95, // to the end of June
    0.90, 0.90, 0.90, 0.95, 0.95, 1.00, 1.00, 1.05, 1.10, 1.05, 1.00, 1.00, 1.00, // to the end of September
    1.05, 1.10, 1.10, 1.15, 1.20, 1.25, 1.35, 1.50, 1.80, 1.90, 1.90, 1.80, 1.30, 0.90,
];
const BLACK_FRIDAY_WEEK: f64 = 2.00;
const CYBER_MONDAY_WEEK: f64 = 2.40;

/// Public holidays of the whole country are quieter.
const HOLIDAY: f64 = 0.60;

/// One day of the sandbox.
#[derive(Clone, Copy, Debug)]
pub struct Day {
    /// The business date.
    pub date: Date,
    /// Where it begins, in microseconds since 1970 (UTC).
    pub begin: i64,
    /// How long it is, in microseconds: 23 to 25 hours where clocks change.
    pub length: i64,
    /// New customers of the day, at least one.
    pub customers: u32,
    /// Purchases made on the day, whenever they become visible; at least one unless the shops are closed.
    pub purchases: u32,
}

/// Whether the shops are closed: nothing is sold, and no transaction is told of.
pub fn is_closed(date: Date) -> bool {
    (date.month(), date.day()) == (12, 25)
}

impl Day {
    /// The half-open window of the day.
    pub fn window(&self) -> (i64, i64) {
        (self.begin, self.begin + self.length)
    }

    /// The day cut into this many equal slots.
    pub fn slots(&self, count: u32) -> Slots {
        Slots { width: self.length / i64::from(count.max(1)) }
    }
}

/// Equal, disjoint stretches of a day, so that row n of a day happens before row n + 1 and never at the same instant.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    width: i64,
}

impl Slots {
    /// An offset in the first half of a slot, never 0.
    #[inline]
    pub fn early(self, slot: u32, random: Random) -> i64 {
        i64::from(slot) * self.width + 1 + random.below(self.width / 2 - 1)
    }

    /// An offset in the second half of a slot.
    #[inline]
    pub fn late(self, slot: u32, random: Random) -> i64 {
        i64::from(slot) * self.width + self.width / 2 + random.below(self.width - self.width / 2)
    }

    /// How many slots lie wholly before an offset.
    #[inline]
    pub fn before(self, offset: i64) -> u32 {
        u32::try_from(offset / self.width).unwrap_or(u32::MAX)
    }
}

/// The days of a sandbox, from its start (ordinal 0) to the last one asked for.
#[derive(Debug)]
pub struct Days(Vec<Day>);

impl Days {
    /// Days 0 to `last`.
    ///
    /// # Errors
    /// `Rejected` when a day lies outside the calendar or is too busy to number its rows.
    pub fn new(start: Date, zone: &TimeZone, scale: f64, last: u32) -> Result<Self, Error> {
        if last >= MOST_DAYS {
            return Err(Error::Rejected(format!(
                "the sandbox starts on {start}, more than {MOST_DAYS} days before: start it later"
            )));
        }
        let mut begin = midnight(start, zone)?;
        let mut date = start;
        let mut growth = 1.0;
        let mut days = Vec::with_capacity(last as usize + 1);
        let holidays: Vec<Date> = holidays::of("CA")
            .into_iter()
            .filter(|holiday| holiday.subdivisions.is_empty())
            .map(|holiday| holiday.date)
            .collect();
        for _ in 0..=last {
            let tomorrow = date.tomorrow().map_err(Error::internal("find the day after the last"))?;
            let end = midnight(tomorrow, zone)?;
            let holiday = if holidays.binary_search(&date).is_ok() { HOLIDAY } else { 1.0 };
            let busy = growth * weight(date) * holiday * scale;
            days.push(Day {
                date,
                begin,
                length: end - begin,
                customers: count(CUSTOMERS * busy, date)?,
                purchases: if is_closed(date) { 0 } else { count(PURCHASES * busy, date)? },
            });
            (date, begin) = (tomorrow, end);
            growth *= DAILY_GROWTH;
        }
        Ok(Self(days))
    }

    /// The day with this ordinal.
    #[inline]
    pub fn get(&self, ordinal: u32) -> &Day {
        &self.0[ordinal as usize]
    }

    /// Whether the shops are closed on a day.
    pub fn is_closed(&self, ordinal: u32) -> bool {
        is_closed(self.get(ordinal).date)
    }

    /// The ordinal of the day that an instant lies in, and the offset into it; none outside.
    pub fn place(&self, instant: i64) -> Option<(u32, i64)> {
        let after = self.0.partition_point(|day| day.begin <= instant);
        let day = self.0.get(after.checked_sub(1)?)?;
        let offset = instant - day.begin;
        (offset < day.length).then(|| (u32::try_from(after - 1).unwrap_or(u32::MAX), offset))
    }

    /// The ordinal of the last day.
    pub fn last(&self) -> u32 {
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }
}

/// How busy a date is: its weekday times its ISO week.
pub fn weight(date: Date) -> f64 {
    let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
    let week = date.iso_week_date();
    let cyber_monday = cyber_monday(date.year()).map(Date::iso_week_date);
    let weeks_to_cyber_monday =
        cyber_monday.filter(|cyber| cyber.year() == week.year()).map(|cyber| cyber.week() - week.week());
    let seasonal = match weeks_to_cyber_monday {
        Some(0) => CYBER_MONDAY_WEEK,
        Some(1) => BLACK_FRIDAY_WEEK,
        _ => WEEKS[usize::from(week.week().unsigned_abs()) - 1],
    };
    WEEKDAYS[weekday] * seasonal
}

/// The Monday after the fourth Thursday of November.
fn cyber_monday(year: i16) -> Option<Date> {
    let thanksgiving = Date::new(year, 11, 1).ok()?.nth_weekday_of_month(4, Weekday::Thursday).ok()?;
    thanksgiving.checked_add(4.days()).ok()
}

fn midnight(date: Date, zone: &TimeZone) -> Result<i64, Error> {
    let zoned = date.to_zoned(zone.clone()).map_err(Error::internal(format!("find the beginning of {date}")))?;
    Ok(zoned.timestamp().as_microsecond())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against the bounds before")]
fn count(expected: f64, date: Date) -> Result<u32, Error> {
    if expected > MOST_A_DAY {
        return Err(Error::Rejected(format!(
            "the scale asks for {expected:.0} rows on {date}, more than {MOST_A_DAY:.0}: use a smaller scale"
        )));
    }
    Ok((expected.round() as u32).max(1))
}

/// Renders microseconds since 1970 for a message.
pub fn instant(microseconds: i64) -> String {
    Timestamp::from_microsecond(microseconds).map_or_else(|_| microseconds.to_string(), |instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "the weights are written with the same operations")]
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn toronto() -> TimeZone {
        TimeZone::get("America/Toronto").unwrap()
    }

    #[test]
    fn days_touch_each_other_through_both_clock_changes() {
        let days = Days::new(date(2025, 8, 1), &toronto(), 1.0, 364).unwrap();
        for ordinal in 1..=364 {
            assert_eq!(days.get(ordinal - 1).window().1, days.get(ordinal).begin);
        }
        let hours = |wanted| (0..=364).map(|ordinal| days.get(ordinal)).find(|day| day.date == wanted).unwrap().length;
        assert_eq!(hours(date(2025, 11, 2)), 25 * HOUR);
        assert_eq!(hours(date(2026, 3, 8)), 23 * HOUR);
        assert_eq!(hours(date(2025, 8, 1)), 24 * HOUR);
    }

    #[test]
    fn volume_follows_base_growth_weekday_and_week() {
        let days = Days::new(date(2025, 8, 1), &toronto(), 1.0, 365).unwrap();
        // Friday in week 31: 1.20 x 0.95.
        assert_eq!((days.get(0).customers, days.get(0).purchases), (2_280, 4_560));
        // Saturday of the same week, one day of growth: 4,000 x 1.65 x 0.95 x 1.002.
        assert_eq!(days.get(1).purchases, 6_283);
        // The same Friday a year later, week 31 again after 364 days.
        let grown = 4_560.0 * 1.002_f64.powi(364);
        assert!((f64::from(days.get(364).purchases) - grown).abs() < 1.0);
    }

    #[test]
    fn cyber_monday_peaks_in_whichever_week_it_falls() {
        assert_eq!(weight(date(2025, 12, 1)), 0.75 * 2.40); // week 49
        assert_eq!(weight(date(2025, 11, 28)), 1.20 * 2.00);
        assert_eq!(weight(date(2027, 11, 29)), 0.75 * 2.40); // week 48
        assert_eq!(weight(date(2026, 1, 5)), 0.75 * 0.75);
        // January 1, 2027 belongs to week 53 of 2026.
        assert_eq!(weight(date(2027, 1, 1)), 1.20 * 0.90);
    }

    #[test]
    fn a_tiny_scale_leaves_one_row_and_a_huge_one_is_refused() {
        let days = Days::new(date(2025, 8, 1), &toronto(), 1e-9, 3).unwrap();
        assert_eq!((days.get(3).customers, days.get(3).purchases), (1, 1));
        let refused = Days::new(date(2025, 8, 1), &toronto(), 1e9, 3);
        assert!(matches!(refused, Err(Error::Rejected(message)) if message.contains("smaller scale")));
    }

    proptest! {
        #[test]
        fn slots_are_disjoint_ordered_and_inside_the_day(count in 1..=1_000_000_000_u32, at: u32, seed: u64) {
            let day = Day { date: date(2025, 8, 1), begin: 0, length: 23 * HOUR, customers: 1, purchases: 1 };
            let (slots, slot) = (day.slots(count), at % count);
            let (early, late) = (slots.early(slot, Random::new(seed)), slots.late(slot, Random::new(seed)));
            prop_assert!(0 < early && early < late && late < day.length);
            prop_assert_eq!(slots.before(early), slot);
            prop_assert_eq!(slots.before(late), slot);
        }
    }
}
