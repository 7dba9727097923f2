//! Public holidays by country and province, computed by rule.
//!
//! A date is the day that the law names, not the day on which a holiday that falls on a weekend is observed. A holiday
//! counts for a province when its law (or, for [`EVERYWHERE`], that of all of them) makes it a day off.

use jiff::{ToSpan, civil::Date, civil::Weekday};

use super::provinces::Province::{self, AB, BC, MB, NB, NL, NS, NT, NU, ON, PE, QC, SK, YT};

/// One holiday of one year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// The day itself.
    pub date: Date,
    /// Its English name.
    pub name: &'static str,
    /// Where it is a day off; empty means the whole country.
    pub provinces: &'static [Province],
}

impl Holiday {
    /// The name, followed by the codes of the provinces unless the whole country has the day off.
    pub fn label(&self) -> String {
        if self.provinces.is_empty() {
            return self.name.to_owned();
        }
        let codes: Vec<&str> = self.provinces.iter().map(|province| province.code()).collect();
        format!("{} ({})", self.name, codes.join(" "))
    }
}

/// The public holidays of Canada and of its provinces in a year, by date and then in the order of the rules.
///
/// Empty for a year that the calendar cannot hold.
pub fn canada(year: i16) -> Vec<Holiday> {
    let mut holidays: Vec<Holiday> = CANADA
        .iter()
        .filter(|rule| year >= rule.since)
        .filter_map(|rule| Some(Holiday { date: rule.when.date(year)?, name: rule.name, provinces: rule.provinces }))
        .collect();
    holidays.sort_by_key(|holiday| holiday.date);
    holidays
}

const EVERYWHERE: &[Province] = &[];

#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    when: When,
    provinces: &'static [Province],
    since: i16,
}

#[derive(Clone, Copy)]
enum When {
    /// A month and a day.
    Fixed(i8, i8),
    /// The nth weekday of a month.
    Nth(i8, Weekday, i8),
    /// The last such weekday strictly before a month's day.
    Before(Weekday, i8, i8),
    /// Days after Easter Sunday.
    Easter(i32),
}

impl When {
    fn date(self, year: i16) -> Option<Date> {
        match self {
            Self::Fixed(month, day) => Date::new(year, month, day).ok(),
            Self::Nth(nth, weekday, month) => Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok(),
            Self::Before(weekday, month, day) => Date::new(year, month, day).ok()?.nth_weekday(-1, weekday).ok(),
            Self::Easter(days) => easter_sunday(year)?.checked_add(days.days()).ok(),
        }
    }
}

/// Easter Sunday of the Gregorian calendar, by the anonymous computus (Meeus, Jones, Butcher).
pub fn easter_sunday(year: i16) -> Option<Date> {
    let year_number = i32::from(year);
    let golden = year_number % 19;
    let (century, in_century) = (year_number / 100, year_number % 100);
    let sun_correction = century / 4;
    let moon_correction = (century + 8) / 25;
    let epact = (19 * golden + century - sun_correction - (century - moon_correction + 1) / 3 + 15) % 30;
    let to_sunday = (32 + 2 * (century % 4) + 2 * (in_century / 4) - epact - in_century % 4) % 7;
    let late_moon = (golden + 11 * epact + 22 * to_sunday) / 451;
    let days_from_march = epact + to_sunday - 7 * late_moon + 114;
    let month = i8::try_from(days_from_march / 31).ok()?;
    let day = i8::try_from(days_from_march % 31 + 1).ok()?;
    Date::new(year, month, day).ok()
}

const fn rule(name: &'static str, when: When, provinces: &'static [Province]) -> Rule {
    Rule { name, when, provinces, since: i16::MIN }
}

const fn since(year: i16, rule: Rule) -> Rule {
    Rule { since: year, ..rule }
}

const TRUTH: &str = "National Day for Truth and Reconciliation";

const CANADA: &[Rule] = &[
    rule("New Year's Day", When::Fixed(1, 1), EVERYWHERE),
    rule("Family Day", When::Nth(3, Weekday::Monday, 2), &[AB, BC, NB, ON, SK]),
    rule("Heritage Day", When::Nth(3, Weekday::Monday, 2), &[NS]),
    rule("Islander Day", When::Nth(3, Weekday::Monday, 2), &[PE]),
    rule("Louis Riel Day", When::Nth(3, Weekday::Monday, 2), &[MB]),
    rule("Good Friday", When::Easter(-2), EVERYWHERE),
    rule("Easter Monday", When::Easter(1), &[QC]),
    rule("Victoria Day", When::Before(Weekday::Monday, 5, 25), &[AB, BC, MB, NT, NU, ON, SK, YT]),
    rule("National Patriots' Day", When::Before(Weekday::Monday, 5, 25), &[QC]),
    rule("National Indigenous Peoples Day", When::Fixed(6, 21), &[NT, YT]),
    rule("National Holiday of Quebec", When::Fixed(6, 24), &[QC]),
    rule("Canada Day", When::Fixed(7, 1), EVERYWHERE),
    rule("Nunavut Day", When::Fixed(7, 9), &[NU]),
    rule("British Columbia Day", When::Nth(1, Weekday::Monday, 8), &[BC]),
    rule("Civic Holiday", When::Nth(1, Weekday::Monday, 8), &[NT, NU]),
    rule("New Brunswick Day", When::Nth(1, Weekday::Monday, 8), &[NB]),
    rule("Saskatchewan Day", When::Nth(1, Weekday::Monday, 8), &[SK]),
    rule("Discovery Day", When::Nth(3, Weekday::Monday, 8), &[YT]),
    rule("Labour Day", When::Nth(1, Weekday::Monday, 9), EVERYWHERE),
    since(2022, rule(TRUTH, When::Fixed(9, 30), &[NT, NU, PE])),
    since(2023, rule(TRUTH, When::Fixed(9, 30), &[BC, YT])),
    since(2024, rule(TRUTH, When::Fixed(9, 30), &[MB])),
    rule("Thanksgiving", When::Nth(2, Weekday::Monday, 10), &[AB, BC, MB, NT, NU, ON, QC, SK, YT]),
    rule("Remembrance Day", When::Fixed(11, 11), &[AB, BC, NB, NL, NT, NU, PE, SK, YT]),
    rule("Christmas Day", When::Fixed(12, 25), EVERYWHERE),
    rule("Boxing Day", When::Fixed(12, 26), &[ON]),
];

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn labels(day: Date) -> Vec<String> {
        canada(day.year()).iter().filter(|holiday| holiday.date == day).map(Holiday::label).collect()
    }

    #[test]
    fn easter_falls_on_the_published_dates() {
        let published = [
            date(1961, 4, 2),
            date(2000, 4, 23),
            date(2008, 3, 23),
            date(2020, 4, 12),
            date(2024, 3, 31),
            date(2025, 4, 20),
            date(2026, 4, 5),
            date(2038, 4, 25),
            date(2285, 3, 22),
        ];
        for easter in published {
            assert_eq!(easter_sunday(easter.year()), Some(easter));
        }
    }

    #[test]
    fn country_wide_holidays_carry_their_name_alone() {
        assert_eq!(labels(date(2026, 1, 1)), ["New Year's Day"]);
        assert_eq!(labels(date(2026, 4, 3)), ["Good Friday"]);
        assert_eq!(labels(date(2025, 7, 1)), ["Canada Day"]);
        assert_eq!(labels(date(2025, 9, 1)), ["Labour Day"]);
        assert_eq!(labels(date(2025, 12, 25)), ["Christmas Day"]);
    }

    #[test]
    fn provincial_holidays_name_their_provinces() {
        assert_eq!(
            labels(date(2026, 2, 16)),
            ["Family Day (AB BC NB ON SK)", "Heritage Day (NS)", "Islander Day (PE)", "Louis Riel Day (MB)"]
        );
        assert_eq!(labels(date(2026, 4, 6)), ["Easter Monday (QC)"]);
        assert_eq!(labels(date(2025, 10, 13)), ["Thanksgiving (AB BC MB NT NU ON QC SK YT)"]);
        assert_eq!(labels(date(2026, 6, 24)), ["National Holiday of Quebec (QC)"]);
        assert_eq!(labels(date(2026, 7, 9)), ["Nunavut Day (NU)"]);
        assert_eq!(labels(date(2026, 12, 26)), ["Boxing Day (ON)"]);
    }

    #[test]
    fn the_monday_before_may_25_is_never_may_25() {
        let victoria_day = |year| canada(year).iter().find(|day| day.name == "Victoria Day").map(|day| day.date);
        assert_eq!(victoria_day(2025), Some(date(2025, 5, 19)));
        assert_eq!(victoria_day(2026), Some(date(2026, 5, 18)));
        // May 25 is itself a Monday in 2020.
        assert_eq!(victoria_day(2020), Some(date(2020, 5, 18)));
    }

    #[test]
    fn a_holiday_starts_in_the_year_of_its_law() {
        assert!(labels(date(2021, 9, 30)).is_empty());
        assert_eq!(labels(date(2022, 9, 30)).len(), 1);
        assert_eq!(labels(date(2024, 9, 30)).len(), 3);
    }

    #[test]
    fn an_ordinary_day_has_none() {
        assert!(labels(date(2025, 8, 6)).is_empty());
    }
}
