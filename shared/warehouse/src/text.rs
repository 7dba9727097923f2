//! Values as the text that every back end shows them by.

use jiff::ToSpan;
use jiff::civil::{DateTime, date};

/// An instant, in microseconds since 1970, as RFC 3339 text in UTC. By the civil calendar, because both warehouses hold
/// the last day of the year 9999, which stands for "no end", and an instant with a time zone can't be that late.
/// Nothing if it is beyond the years 1 to 9999.
pub(crate) fn instant(microseconds: i64) -> Option<String> {
    let moment = DateTime::from(date(1970, 1, 1)).checked_add(microseconds.microseconds()).ok()?;
    Some(datetime(moment))
}

/// A date and time that counts as UTC.
pub(crate) fn datetime(moment: DateTime) -> String {
    format!("{moment}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_up_to_the_last_microsecond_of_9999() {
        assert_eq!(instant(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(instant(-1).as_deref(), Some("1969-12-31T23:59:59.999999Z"));
        assert_eq!(instant(253_402_300_799_999_999).as_deref(), Some("9999-12-31T23:59:59.999999Z"));
        assert_eq!(instant(253_402_300_800_000_000), None);
    }
}
