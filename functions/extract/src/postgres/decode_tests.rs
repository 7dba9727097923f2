use arrow::array::types::{Decimal128Type, Int64Type};
use arrow::array::{Array, AsArray};
use proptest::prelude::*;
use wap::Identifier;

use super::*;

fn numeric(weight: i16, sign: u16, digits: &[i16]) -> Vec<u8> {
    let count = i16::try_from(digits.len()).unwrap();
    let words = [&[count, weight, sign.cast_signed(), 0], digits].concat();
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A number in units of `scale` decimals, as a server sends it: from its text, digit by digit.
fn sent(units: i128, scale: u8) -> Vec<u8> {
    let text = format!("{:0>width$}", units.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = text.split_at(text.len() - usize::from(scale));
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let groups: Vec<i16> = format!("{whole}{fraction}")
        .as_bytes()
        .chunks(4)
        .map(|group| std::str::from_utf8(group).unwrap().parse().unwrap())
        .collect();
    let mut weight = i16::try_from(whole.len() / 4).unwrap() - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    weight -= i16::try_from(leading).unwrap();
    let trailing = groups[leading..].iter().rev().take_while(|group| **group == 0).count();
    let digits = &groups[leading..groups.len() - trailing];
    if digits.is_empty() { numeric(0, 0, &[]) } else { numeric(weight, if units < 0 { 0x4000 } else { 0 }, digits) }
}

fn array(elements: &[Option<&[u8]>]) -> Vec<u8> {
    let count = i32::try_from(elements.len()).unwrap();
    let mut bytes: Vec<u8> = [1, 0, 25, count, 1].iter().flat_map(|number: &i32| number.to_be_bytes()).collect();
    for element in elements {
        bytes.extend(element.map_or(-1, |element| i32::try_from(element.len()).unwrap()).to_be_bytes());
        bytes.extend(element.unwrap_or_default());
    }
    bytes
}

fn column(column_type: ColumnType, mode: Mode) -> Column {
    let name = Identifier::new("c").unwrap();
    Column { name, column_type, mode, description: None, personal: false, rounding: None }
}

fn builder(column_type: ColumnType) -> Builder {
    Builder::new(&column(column_type, Mode::Nullable), Check::None)
}

#[test]
fn decimals_keep_every_digit_or_are_refused() {
    // 12345.6789, -0.0001, 0, 10000.
    assert_eq!(decimal(&numeric(1, 0, &[1, 2345, 6789]), 12, 4), Ok(123_456_789));
    assert_eq!(decimal(&numeric(1, 0, &[1, 2345, 6700]), 12, 2), Ok(1_234_567));
    assert_eq!(decimal(&numeric(-1, 0x4000, &[1]), 12, 4), Ok(-1));
    assert_eq!(decimal(&numeric(0, 0, &[]), 12, 4), Ok(0));
    assert_eq!(decimal(&numeric(1, 0, &[1]), 12, 0), Ok(10_000));
    let refused = |value: &[u8], precision, scale| decimal(value, precision, scale).unwrap_err();
    assert!(refused(&numeric(1, 0, &[1, 2345, 6789]), 12, 2).contains("more than 2 decimals"));
    assert!(refused(&numeric(1, 0, &[1, 2345]), 4, 0).contains("more than 4 digits"));
    assert!(refused(&numeric(30, 0, &[1]), 38, 9).contains("before the point"));
    assert!(refused(&numeric(-300, 0, &[1]), 38, 9).contains("decimals"));
    assert_eq!(refused(&numeric(0, 0xC000, &[]), 12, 2), "it is NaN");
    assert_eq!(refused(&numeric(0, 0xD000, &[]), 12, 2), "it is infinite");
    for broken in [&[0, 1][..], &[0, 2, 0, 0, 0, 0, 0, 0, 0, 1], &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]] {
        assert_eq!(refused(broken, 12, 2), "it is no numeric");
    }
}

#[test]
fn values_that_no_type_here_holds_are_refused() {
    let refused = |column_type: ColumnType, value: &[u8]| builder(column_type).append(value).unwrap_err();
    assert_eq!(refused(ColumnType::Date, &i32::MAX.to_be_bytes()), "it is infinite");
    assert_eq!(refused(ColumnType::Timestamp, &i64::MIN.to_be_bytes()), "it is infinite");
    assert_eq!(refused(ColumnType::Date, &(i32::MAX - 1).to_be_bytes()), "it is not of the years 1 to 9999");
    assert_eq!(refused(ColumnType::Datetime, &(i64::MAX - 1).to_be_bytes()), "it is not of the years 1 to 9999");
    assert!(refused(ColumnType::Time, &DAY.to_be_bytes()).starts_with("it is 24:00"));
    assert_eq!(refused(ColumnType::String, &[0xff]), "it is no UTF-8");
    assert!(refused(ColumnType::Integer, &[1]).contains("1 bytes where 8"));
}

#[test]
fn the_first_and_the_last_day_are_kept() {
    // As `date '0001-01-01' - date '2000-01-01'` and so on.
    for (days, kept) in [(-730_119, FIRST_DAY), (2_921_939, LAST_DAY), (0, EPOCH_DAYS)] {
        assert_eq!(date(days), Ok(kept));
        assert_eq!(instant(i64::from(days) * DAY), Ok(i64::from(kept) * DAY));
    }
    assert!(date(-730_120).is_err() && date(2_921_940).is_err());
    assert!(instant(-730_119 * DAY - 1).is_err() && instant(2_921_940 * DAY).is_err());
}

#[test]
fn texts_are_looked_at_where_the_server_has_not() {
    for (check, right, wrong) in [
        (Check::Json, vec!["{\"a\": [1]}", " null ", "1"], vec!["{\"a\": }", "", "a", "1 2"]),
        (
            Check::Shape,
            vec!["POINT (1 2)", "point(1 2)", "POLYGON ((0 0, 1 1, 1 0, 0 0))", "POINT EMPTY"],
            vec!["POINT 1 2", "POINT (1 2", "POINT )1 2(", "CIRCLE (1 2)", "", "é"],
        ),
        (Check::None, vec!["", "anything"], vec![]),
    ] {
        for text in right {
            assert_eq!(check.look(text), Ok(()), "{text}");
        }
        for text in wrong {
            assert!(check.look(text).is_err(), "{text}");
        }
    }
}

#[test]
fn lists_are_kept_in_their_order_and_a_missing_one_is_empty() {
    let columns = [column(ColumnType::Integer, Mode::Repeated)];
    let mut decoder = Decoder::new(&columns, &[Check::None]);
    let (one, two) = (1_i64.to_be_bytes(), 2_i64.to_be_bytes());
    decoder.append(0, Some(&array(&[Some(&two), Some(&one)]))).unwrap();
    decoder.append(0, None).unwrap();
    // Without a dimension, as servers send an empty one.
    decoder.append(0, Some(&[0; 12])).unwrap();
    decoder.append(0, Some(&array(&[Some(&one)]))).unwrap();
    let batch = decoder.take().unwrap();
    let lists = batch.column(0).as_list::<i32>();
    let values = |row: usize| lists.value(row).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!((0..4).map(values).collect::<Vec<_>>(), [vec![2, 1], vec![], vec![], vec![1]]);
    assert_eq!(lists.null_count(), 0);
    // The next batch begins anew.
    decoder.append(0, None).unwrap();
    assert_eq!(decoder.take().unwrap().len(), 1);

    let mut refused = |value: &[u8]| decoder.append(0, Some(value)).unwrap_err();
    assert!(refused(&array(&[Some(&one), None])).contains("a NULL in it"));
    let nested: Vec<u8> = [2, 0, 20, 1, 1, 1, 1].iter().flat_map(|number: &i32| number.to_be_bytes()).collect();
    assert!(refused(&nested).contains("list of lists"));
    assert_eq!(refused(&[0, 0, 0, 1]), "it is no list");
    assert_eq!(refused(&[&array(&[Some(&one)])[..], &[0]].concat()), "it is no list");
}

#[test]
fn a_batch_is_full_by_rows_or_by_bytes() {
    let columns = [column(ColumnType::String, Mode::Nullable)];
    let mut decoder = Decoder::new(&columns, &[Check::None]);
    for row in 1..=ROWS {
        decoder.append(0, Some(b"a")).unwrap();
        assert_eq!(decoder.end_row(), row == ROWS);
    }
    assert_eq!((decoder.rows(), decoder.take().unwrap().len(), decoder.rows()), (ROWS, ROWS, 0));
    decoder.append(0, Some(&vec![b'a'; BYTES])).unwrap();
    assert!(decoder.end_row());
}

fn any_type() -> impl Strategy<Value = ColumnType> {
    let numeric = (1_u8..=38).prop_flat_map(|precision| (Just(precision), 0..=precision));
    prop_oneof![
        Just(ColumnType::String),
        Just(ColumnType::Integer),
        Just(ColumnType::Boolean),
        Just(ColumnType::Date),
        Just(ColumnType::Time),
        Just(ColumnType::Timestamp),
        Just(ColumnType::Float),
        Just(ColumnType::Bytes),
        numeric.prop_map(|(precision, scale)| ColumnType::Numeric { precision, scale }),
    ]
}

proptest! {
    #[test]
    fn every_decimal_comes_back(
        units in prop_oneof![any::<i64>().prop_map(i128::from), (1 - 10_i128.pow(38))..10_i128.pow(38)],
        scale in 0_u8..=38,
    ) {
        let columns = [column(ColumnType::Bignumeric { precision: 38, scale }, Mode::Nullable)];
        let mut decoder = Decoder::new(&columns, &[Check::None]);
        decoder.append(0, Some(&sent(units, scale))).unwrap();
        decoder.append(0, None).unwrap();
        let batch = decoder.take().unwrap();
        let found = batch.column(0).as_primitive::<Decimal128Type>();
        prop_assert_eq!((found.value(0), found.is_null(0), found.is_null(1)), (units, false, true));
        // With one decimal less it is the same, or refused.
        if scale > 0 {
            let fewer = decimal(&sent(units, scale), 38, scale - 1);
            prop_assert_eq!(fewer.ok(), (units % 10 == 0).then_some(units / 10));
        }
        // With fewer digits it is refused where they are needed.
        let digits = u8::try_from(units.unsigned_abs().to_string().len()).unwrap();
        prop_assert_eq!(decimal(&sent(units, scale), digits, scale), Ok(units));
        if digits > 1 {
            prop_assert!(decimal(&sent(units, scale), digits - 1, scale).is_err());
        }
    }

    /// Whatever a server sends, it is kept or refused.
    #[test]
    fn no_bytes_are_a_panic(
        column_type in any_type(),
        is_list in any::<bool>(),
        values in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 1..8),
    ) {
        let mode = if is_list { Mode::Repeated } else { Mode::Nullable };
        let columns = [column(column_type, mode)];
        let mut decoder = Decoder::new(&columns, &[Check::Json]);
        let refused = values.iter().any(|value| decoder.append(0, value.as_deref()).is_err());
        if !refused {
            prop_assert_eq!(decoder.take().unwrap().len(), values.len());
        }
    }

    #[test]
    fn moments_are_moved_by_thirty_years(microseconds in -60_000_000_000_000_000_i64..200_000_000_000_000_000) {
        prop_assert_eq!(instant(microseconds), Ok(microseconds + 946_684_800_000_000));
    }
}
