//! `holidays`: public holidays of Canada and the United States, from a file that a script makes (`data/make_holidays.py`).
//!
//! A date is the day that the law names, not the day on which a holiday that falls on a weekend is observed. A holiday
//! of the whole country is one by the country's own law; a subdivision may have it under another name as well.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use jiff::civil::Date;

use super::{
    cells::{Cell, Cells},
    columns::epoch_day,
    table::{Log, Table, Type},
};
use crate::Error;

/// The table.
pub const HOLIDAYS: Table = Table {
    name: "holidays",
    key: &["date_day", "country", "subdivision"],
    columns: &[("date_day", Type::Date), ("country", Type::Text), ("subdivision", Type::Text), ("name", Type::Text)],
    log: Log::None,
};

const FILE: &str = include_str!("../../data/holidays.csv");

/// One holiday of one year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// The day itself.
    pub date: Date,
    /// By its two letters.
    pub country: &'static str,
    /// Where it is a day off, separated by spaces; empty means the whole country.
    pub subdivisions: &'static str,
    /// Its English name.
    pub name: &'static str,
}

impl Holiday {
    /// The name, followed by the codes of the subdivisions unless the whole country has the day off.
    pub fn label(&self) -> String {
        if self.subdivisions.is_empty() {
            self.name.to_owned()
        } else {
            format!("{} ({})", self.name, self.subdivisions)
        }
    }
}

/// Every holiday of a country, by date and then in the order of the file.
pub fn of(country: &str) -> Vec<Holiday> {
    let mut holidays: Vec<Holiday> = all().filter(|holiday| holiday.country == country).collect();
    holidays.sort_by_key(|holiday| holiday.date);
    holidays
}

fn all() -> impl Iterator<Item = Holiday> {
    FILE.lines().filter(|line| !line.starts_with('#')).flat_map(|line| {
        let mut fields = line.split(';');
        let mut field = move || fields.next().unwrap_or_default();
        let (country, subdivisions, name, dates) = (field(), field(), field(), field());
        let dates = dates.split(' ').filter_map(|date| date.parse().ok());
        dates.map(move |date| Holiday { date, country, subdivisions, name })
    })
}

/// Every row: one a day, country and subdivision.
///
/// # Errors
/// `Internal` when the batch can't be assembled.
pub fn rows() -> Result<RecordBatch, Error> {
    let mut rows = BTreeMap::<(Date, &str, &str), Vec<&str>>::new();
    for holiday in all() {
        // An empty list still has one word, the empty one, which stands for the whole country.
        for subdivision in holiday.subdivisions.split(' ') {
            rows.entry((holiday.date, holiday.country, subdivision)).or_default().push(holiday.name);
        }
    }
    let mut cells = Cells::new(&HOLIDAYS, rows.len());
    for ((date, country, subdivision), names) in rows {
        let subdivision = (!subdivision.is_empty()).then_some(subdivision);
        cells.push([Cell::Date(epoch_day(date)), country.into(), subdivision.into(), names.join(", ").into()]);
    }
    HOLIDAYS.batch(cells.finish().collect())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn labels(country: &str, day: Date) -> Vec<String> {
        of(country).iter().filter(|holiday| holiday.date == day).map(Holiday::label).collect()
    }

    #[test]
    fn every_line_of_the_file_reads_whole() {
        let lines = FILE.lines().skip(1).map(|line| line.split(';').collect::<Vec<_>>());
        let dates: usize = lines.map(|fields| <[&str; 4]>::try_from(fields).unwrap()[3].split(' ').count()).sum();
        assert_eq!(all().count(), dates);
    }

    #[test]
    fn country_wide_holidays_carry_their_name_alone() {
        assert_eq!(labels("CA", date(2026, 1, 1)), ["New Year's Day"]);
        assert_eq!(labels("CA", date(2026, 4, 3)), ["Good Friday"]);
        assert_eq!(labels("CA", date(2025, 9, 1)), ["Labour Day"]);
        assert_eq!(labels("US", date(2025, 11, 27)), ["Thanksgiving Day"]);
    }

    #[test]
    fn others_name_their_subdivisions() {
        assert_eq!(
            labels("CA", date(2026, 2, 16)),
            ["Family Day (AB BC NB ON SK)", "Heritage Day (NS)", "Islander Day (PE)", "Louis Riel Day (MB)"]
        );
        assert_eq!(labels("CA", date(2026, 12, 26)), ["Boxing Day (ON)"]);
        assert_eq!(labels("US", date(2026, 4, 20)), ["Patriots' Day (MA ME)"]);
        assert!(labels("CA", date(2025, 8, 6)).is_empty());
    }
}
