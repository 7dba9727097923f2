//! `date_dimension`: the calendar with ISO weeks, fiscal periods and public holidays.

use arrow::array::RecordBatch;
use jiff::civil::{Date, date};

use super::{
    columns::{booleans, dates, epoch_day, integers, text, words},
    holidays,
    table::{Log, Table, Type},
};
use crate::Error;

/// The first and the last day of the dimension.
pub const FIRST_DAY: Date = date(2020, 1, 1);
/// See [`FIRST_DAY`].
pub const LAST_DAY: Date = date(2035, 12, 31);

/// The table.
pub const DATE_DIMENSION: Table = Table {
    name: "date_dimension",
    key: &["date_day"],
    columns: &[
        ("date_day", Type::Date),
        ("year", Type::Integer),
        ("quarter", Type::Integer),
        ("month", Type::Integer),
        ("month_name", Type::Text),
        ("week_of_year", Type::Integer),
        ("iso_year", Type::Integer),
        ("day_of_month", Type::Integer),
        ("day_of_week", Type::Integer),
        ("day_name", Type::Text),
        ("is_weekend", Type::Boolean),
        ("is_holiday", Type::Boolean),
        ("holiday_name", Type::Text),
        ("fiscal_year", Type::Integer),
        ("fiscal_quarter", Type::Integer),
        ("fiscal_month", Type::Integer),
        ("iso_week_start", Type::Date),
        ("days_in_month", Type::Integer),
        ("is_month_end", Type::Boolean),
    ],
    log: Log::None,
};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The fiscal year begins in February and is named for the calendar year in which it does.
const FISCAL_START: i64 = 2;

/// Every row, by date.
///
/// # Errors
/// `Internal` when the batch can't be assembled.
pub fn rows() -> Result<RecordBatch, Error> {
    let holidays = holidays::of("CA");
    let mut holidays = holidays.iter().peekable();

    let mut integer_columns: [Vec<i64>; 11] = Default::default();
    let (mut days, mut week_starts) = (Vec::new(), Vec::new());
    let (mut is_weekend, mut is_holiday, mut is_month_end) = (Vec::new(), Vec::new(), Vec::new());
    let (mut month_names, mut day_names, mut holiday_names) = (words(0, 0), words(0, 0), words(0, 0));
    let all_days = FIRST_DAY.series(jiff::Span::new().days(1)).take_while(|&day| day <= LAST_DAY);
    for day in all_days {
        let (week, month) = (day.iso_week_date(), i64::from(day.month()));
        let day_of_week = day.weekday().to_monday_one_offset();
        let values = [
            i64::from(day.year()),
            (month + 2) / 3,
            month,
            i64::from(week.week()),
            i64::from(week.year()),
            i64::from(day.day()),
            i64::from(day_of_week),
            i64::from(day.year()) - i64::from(month < FISCAL_START),
            (month - FISCAL_START).rem_euclid(12) / 3 + 1,
            (month - FISCAL_START).rem_euclid(12) + 1,
            i64::from(day.days_in_month()),
        ];
        for (column, value) in integer_columns.iter_mut().zip(values) {
            column.push(value);
        }
        days.push(epoch_day(day));
        month_names.append_value(MONTHS[usize::from(day.month().unsigned_abs()) - 1]);
        day_names.append_value(DAYS[usize::from(day_of_week.unsigned_abs()) - 1]);
        is_weekend.push(day_of_week >= 6);
        week_starts.push(epoch_day(day) - i32::from(day_of_week) + 1);
        is_month_end.push(day.day() == day.days_in_month());

        let mut labels = Vec::new();
        while let Some(holiday) = holidays.next_if(|holiday| holiday.date == day) {
            labels.push(holiday.label());
        }
        is_holiday.push(!labels.is_empty());
        holiday_names.append_option((!labels.is_empty()).then(|| labels.join(", ")));
    }
    let [
        year,
        quarter,
        month,
        week,
        iso_year,
        day_of_month,
        day_of_week,
        fiscal_year,
        fiscal_quarter,
        fiscal_month,
        length,
    ] = integer_columns.map(integers);
    DATE_DIMENSION.batch(vec![
        dates(days),
        year,
        quarter,
        month,
        text(&mut month_names),
        week,
        iso_year,
        day_of_month,
        day_of_week,
        text(&mut day_names),
        booleans(is_weekend),
        booleans(is_holiday),
        text(&mut holiday_names),
        fiscal_year,
        fiscal_quarter,
        fiscal_month,
        dates(week_starts),
        length,
        booleans(is_month_end),
    ])
}
