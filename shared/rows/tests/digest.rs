//! What makes two tables the same, and what does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array,
    DictionaryArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    LargeListArray, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray, StringViewArray, StructArray,
    Time32SecondArray, Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt32Array, UInt64Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int32Type, Int64Type, IntervalUnit, Schema, i256};
use proptest::prelude::*;
use proptest::sample::Index;
use rows::RowDigest;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn digest(batch: &RecordBatch) -> String {
    digest_without(batch, &[])
}

fn digest_without(batch: &RecordBatch, excluded: &[&str]) -> String {
    let mut digest = RowDigest::new(&batch.schema(), excluded).unwrap();
    digest.update(batch).unwrap();
    digest.finish().to_string()
}

fn of(array: impl Array + 'static) -> String {
    digest(&batch(vec![("c", Arc::new(array))]))
}

fn all_equal(digests: &[String]) {
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:#?}");
}

fn all_different(digests: &[String]) {
    let mut sorted = digests.to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), digests.len(), "{digests:#?}");
}

#[test]
fn numbers_are_equal_by_value() {
    let decimal = |values: Vec<i128>, scale| {
        Decimal128Array::from_iter_values(values).with_precision_and_scale(38, scale).unwrap()
    };
    let wide = |values: Vec<i128>, scale| {
        let values = values.into_iter().map(i256::from_i128);
        Decimal256Array::from_iter_values(values).with_precision_and_scale(76, scale).unwrap()
    };
    all_equal(&[
        of(Int8Array::from(vec![0, 5, 120])),
        of(Int16Array::from(vec![0, 5, 120])),
        of(Int32Array::from(vec![0, 5, 120])),
        of(Int64Array::from(vec![0, 5, 120])),
        of(UInt32Array::from(vec![0, 5, 120])),
        of(UInt64Array::from(vec![0, 5, 120])),
        of(decimal(vec![0, 5, 120], 0)),
        of(decimal(vec![0, 500, 12_000], 2)),
        of(decimal(vec![0, 5 * 10_i128.pow(30), 120 * 10_i128.pow(30)], 30)),
        of(wide(vec![0, 50, 1_200], 1)),
    ]);
    all_equal(&[
        of(decimal(vec![-1_230, 1, 0], 3)),
        of(decimal(vec![-12_300, 10, 0], 4)),
        of(wide(vec![-123_000, 100, 0], 5)),
    ]);
    all_different(&[
        of(Int64Array::from(vec![-1])),
        of(UInt64Array::from(vec![u64::MAX])),
        of(decimal(vec![-1], 1)),
        of(decimal(vec![1], 1)),
        of(decimal(vec![1], 2)),
        of(decimal(vec![1 << 64], 0)),
        of(decimal(vec![1 << 64], 1)),
        of(decimal(vec![(1 << 64) + 1], 0)),
        of(Float64Array::from(vec![1.0])),
        of(BooleanArray::from(vec![true])),
        of(StringArray::from(vec!["1"])),
        of(Date32Array::from(vec![1])),
        of(Time64MicrosecondArray::from(vec![1])),
        of(TimestampMicrosecondArray::from(vec![1])),
    ]);
}

#[test]
fn times_are_equal_by_instant() {
    all_equal(&[
        of(TimestampSecondArray::from(vec![-3, 7])),
        of(TimestampMillisecondArray::from(vec![-3_000, 7_000])),
        of(TimestampMicrosecondArray::from(vec![-3_000_000, 7_000_000])),
        of(TimestampNanosecondArray::from(vec![-3_000_000_000, 7_000_000_000])),
        of(TimestampMicrosecondArray::from(vec![-3_000_000, 7_000_000]).with_timezone("UTC")),
    ]);
    all_different(&[
        of(TimestampNanosecondArray::from(vec![1_000])),
        of(TimestampNanosecondArray::from(vec![1_001])),
        of(TimestampNanosecondArray::from(vec![999])),
        of(TimestampSecondArray::from(vec![i64::MAX])),
    ]);
    all_equal(&[of(Date32Array::from(vec![-1, 20_000])), of(Date64Array::from(vec![-86_400_000, 1_728_000_000_000]))]);
    all_equal(&[
        of(Time32SecondArray::from(vec![61])),
        of(Time64MicrosecondArray::from(vec![61_000_000])),
        of(Time64NanosecondArray::from(vec![61_000_000_000])),
    ]);
}

#[test]
fn floats_are_equal_by_normalised_bits() {
    let nan = f64::from_bits(0xfff8_0000_0000_1234);
    all_equal(&[
        of(Float64Array::from(vec![0.0, f64::NAN, 1.5])),
        of(Float64Array::from(vec![-0.0, nan, 1.5])),
        of(Float32Array::from(vec![-0.0, f32::NAN, 1.5])),
    ]);
    all_different(&[of(Float64Array::from(vec![1.5])), of(Float64Array::from(vec![1.5 + f64::EPSILON]))]);
}

#[test]
fn text_and_bytes_are_equal_by_bytes() {
    let texts = vec![Some("a"), None, Some(""), Some("a longer text that no view holds inline")];
    let bytes: Vec<Option<&[u8]>> = texts.iter().map(|text| text.map(str::as_bytes)).collect();
    all_equal(&[
        of(StringArray::from(texts.clone())),
        of(LargeStringArray::from(texts.clone())),
        of(StringViewArray::from(texts.clone())),
        of(BinaryArray::from(bytes)),
        of(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
    ]);
    all_different(&[of(StringArray::from(vec![None::<&str>])), of(StringArray::from(vec![""]))]);
}

#[test]
fn null_is_null_whatever_its_type_and_nothing_else() {
    all_equal(&[
        of(NullArray::new(2)),
        of(Int64Array::from(vec![None, None])),
        of(StringArray::from(vec![None::<&str>, None])),
        of([None::<&str>, None].into_iter().collect::<DictionaryArray<Int32Type>>()),
        of(ListArray::from_iter_primitive::<Int64Type, Vec<Option<i64>>, _>([None, None])),
    ]);
    all_different(&[
        of(Int64Array::from(vec![None, None])),
        of(Int64Array::from(vec![Some(0), None])),
        of(Int64Array::from(vec![0, 0])),
    ]);
}

#[test]
fn lists_are_equal_by_elements_in_order() {
    let list = |lists: Vec<Option<Vec<Option<i64>>>>| ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let large = |lists: Vec<Option<Vec<Option<i64>>>>| LargeListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let lists = vec![Some(vec![Some(1), None]), None, Some(vec![])];
    all_equal(&[
        of(list(lists.clone())),
        of(large(lists)),
        // A slice does not begin where its values do.
        of(list(vec![Some(vec![Some(9)]), Some(vec![Some(1), None]), None, Some(vec![])]).slice(1, 3)),
    ]);
    all_equal(&[
        of(list(vec![Some(vec![Some(1), Some(2)]), Some(vec![Some(3), Some(4)])])),
        of(FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(
            [Some(vec![Some(0), Some(0)]), Some(vec![Some(1), Some(2)]), Some(vec![Some(3), Some(4)])],
            2,
        )
        .slice(1, 2)),
    ]);
    all_different(&[
        of(list(vec![Some(vec![Some(1), Some(2)])])),
        of(list(vec![Some(vec![Some(2), Some(1)])])),
        of(list(vec![Some(vec![Some(1), Some(2), None])])),
        of(list(vec![Some(vec![])])),
        of(list(vec![None])),
        of(list(vec![Some(vec![None])])),
        of(list(vec![Some(vec![Some(1)]), Some(vec![Some(2)])])),
        of(ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0), Some(2.0)])])),
    ]);
}

#[test]
fn records_are_equal_by_named_fields() {
    let record = |fields: Vec<(&str, ArrayRef)>, nulls: Option<Vec<bool>>| {
        let named = fields.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
        let named: Fields = named.collect();
        StructArray::new(named, fields.into_iter().map(|(_, array)| array).collect(), nulls.map(Into::into))
    };
    let numbers = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let small = |values: Vec<i32>| Arc::new(Int32Array::from(values)) as ArrayRef;
    all_equal(&[
        of(record(vec![("a", numbers(vec![1, 2])), ("b", numbers(vec![3, 4]))], None)),
        of(record(vec![("b", small(vec![3, 4])), ("a", numbers(vec![1, 2]))], None)),
    ]);
    all_equal(&[
        of(record(vec![("a", numbers(vec![1, 2]))], Some(vec![true, false]))),
        // What lies under a NULL record does not count.
        of(record(vec![("a", numbers(vec![1, 9]))], Some(vec![true, false]))),
    ]);
    all_different(&[
        of(record(vec![("a", numbers(vec![1])), ("b", numbers(vec![2]))], None)),
        of(record(vec![("a", numbers(vec![2])), ("b", numbers(vec![1]))], None)),
        of(record(vec![("b", numbers(vec![1])), ("c", numbers(vec![2]))], None)),
        of(record(vec![("a", numbers(vec![1]))], None)),
        of(record(vec![("a", numbers(vec![1]))], Some(vec![false]))),
        of(Int64Array::from(vec![1])),
    ]);
}

#[test]
fn column_order_is_irrelevant_and_excluded_columns_do_not_count() {
    let numbers = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
    let texts = || Arc::new(StringArray::from(vec!["x", "y"])) as ArrayRef;
    let others = || Arc::new(StringArray::from(vec!["p", "q"])) as ArrayRef;
    let plain = digest(&batch(vec![("a", numbers()), ("b", texts())]));
    all_equal(&[
        plain.clone(),
        digest(&batch(vec![("b", texts()), ("a", numbers())])),
        digest_without(&batch(vec![("b", texts()), ("bgp_partition", others()), ("a", numbers())]), &["bgp_partition"]),
    ]);
    all_different(&[
        plain,
        digest(&batch(vec![("a", texts()), ("b", numbers())])),
        digest(&batch(vec![("a", numbers()), ("c", texts())])),
        // Values that change places between two rows.
        digest(&batch(vec![("a", numbers()), ("b", Arc::new(StringArray::from(vec!["y", "x"])))])),
    ]);
}

#[test]
fn no_rows_are_the_same_no_rows_only_for_the_same_columns() {
    let empty = |name| digest(&batch(vec![(name, Arc::new(Int64Array::from(Vec::<i64>::new())))]));
    assert_eq!(empty("a"), empty("a"));
    all_different(&[empty("a"), empty("b"), of(Int64Array::from(vec![0]))]);
}

#[test]
fn what_has_no_digest_is_refused_by_name() {
    let interval = Field::new("span", DataType::Interval(IntervalUnit::DayTime), true);
    let error = RowDigest::new(&Arc::new(Schema::new(vec![interval])), &[]).unwrap_err().to_string();
    assert!(error.contains("column span has the type Interval"), "{error}");

    let twice = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("a", DataType::Utf8, true)]);
    let error = RowDigest::new(&Arc::new(twice), &[]).unwrap_err().to_string();
    assert!(error.contains("column a comes twice"), "{error}");

    let numbers = batch(vec![("a", Arc::new(Int64Array::from(vec![1])))]);
    let texts = batch(vec![("a", Arc::new(StringArray::from(vec!["1"])))]);
    let mut digest = RowDigest::new(&numbers.schema(), &[]).unwrap();
    assert!(digest.update(&texts).is_err());
    assert_eq!(digest.rows(), 0);
    let other = RowDigest::new(&batch(vec![("b", Arc::new(Int64Array::from(vec![1])))]).schema(), &[]).unwrap();
    assert!(digest.merge(&other).is_err());
}

/// The digests below stand in manifests. If this test fails, the canonical form changed: give it a new `FORMAT`.
#[test]
fn the_format_is_what_it_was() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let record = StructArray::from(vec![(
        Arc::new(Field::new("inner", DataType::Utf8, true)),
        Arc::new(StringArray::from(vec![Some("x"), None, Some("")])) as ArrayRef,
    )]);
    let decimals = Decimal128Array::from(vec![Some(1_250), None, Some(-(1_i128 << 100))]);
    let everything = batch(vec![
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("integer", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(0), None]))),
        ("decimal", Arc::new(decimals.with_precision_and_scale(38, 3).unwrap())),
        ("float", Arc::new(Float64Array::from(vec![Some(-0.0), Some(f64::NAN), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(20_301), Some(-1), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(1), Some(86_399_999_999), None]))),
        ("timestamp", Arc::new(TimestampNanosecondArray::from(vec![Some(1), Some(-1_000), None]))),
        ("text", Arc::new(StringArray::from(vec![Some("é"), Some(""), None]))),
        ("list", Arc::new(list)),
        ("record", Arc::new(record)),
    ]);
    assert_eq!(digest(&everything), "a863a43d9e9676b8d34a39d3e9fb28b9");
    assert_eq!(of(Int64Array::from(vec![1, 2, 3])), "1f3c987de507b2e2c7c0889f9e839146");
    assert_eq!(of(Int64Array::from(Vec::<i64>::new())), "79d6446ed8bcf9f373ccfa8a90fb7389");
}

type Row = (Option<i64>, Option<String>, Option<f64>, Option<Vec<Option<i16>>>);

fn row() -> impl Strategy<Value = Row> {
    // Few different values, so that rows resemble each other.
    (
        prop::option::of(-2_i64..3),
        prop::option::of("[ab]{0,2}"),
        prop::option::of(prop_oneof![Just(0.0), Just(-0.0), Just(1.5), Just(f64::NAN)]),
        prop::option::of(prop::collection::vec(prop::option::of(0_i16..2), 0..3)),
    )
}

fn table(rows: &[Row]) -> RecordBatch {
    use arrow::datatypes::Int16Type;
    let lists = ListArray::from_iter_primitive::<Int16Type, _, _>(rows.iter().map(|row| row.3.clone()));
    batch(vec![
        ("number", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        ("text", Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringArray>())),
        ("float", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
        ("list", Arc::new(lists)),
    ])
}

/// What the digest must tell apart, spelled out: the sorted rows as text.
fn canonical(rows: &[Row]) -> Vec<String> {
    let mut rows: Vec<String> = rows
        .iter()
        .map(|(number, text, float, list)| {
            let float = float.map(|float| if float.is_nan() { "NaN".to_owned() } else { (float + 0.0).to_string() });
            format!("{number:?} {text:?} {float:?} {list:?}")
        })
        .collect();
    rows.sort();
    rows
}

proptest! {
    #[test]
    fn order_and_cuts_and_threads_are_irrelevant(
        rows in prop::collection::vec(row(), 1..40),
        order in prop::collection::vec(any::<Index>(), 40),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let whole = table(&rows);
        let mut places: Vec<u32> = (0..u32::try_from(rows.len()).unwrap()).collect();
        for (place, other) in order.iter().enumerate().take(rows.len()) {
            places.swap(place, other.index(rows.len()));
        }
        let shuffled = take_record_batch(&whole, &UInt32Array::from(places)).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let mut merged = RowDigest::new(&whole.schema(), &[]).unwrap();
        for cut in cuts.windows(2).rev() {
            let mut part = RowDigest::new(&whole.schema(), &[]).unwrap();
            part.update(&shuffled.slice(cut[0], cut[1] - cut[0])).unwrap();
            merged.merge(&part).unwrap();
        }
        prop_assert_eq!(merged.rows(), rows.len() as u64);
        prop_assert_eq!(merged.finish().to_string(), digest(&whole));
    }

    #[test]
    fn two_tables_are_equal_only_when_their_rows_are(
        left in prop::collection::vec(row(), 0..4),
        right in prop::collection::vec(row(), 0..4),
    ) {
        let same = canonical(&left) == canonical(&right);
        prop_assert_eq!(digest(&table(&left)) == digest(&table(&right)), same);
    }

    #[test]
    fn a_row_that_comes_twice_counts_twice(rows in prop::collection::vec(row(), 1..10), which in any::<Index>()) {
        let whole = table(&rows);
        let again = whole.slice(which.index(rows.len()), 1);
        let more = concat_batches(&whole.schema(), [&whole, &again]).unwrap();
        let most = concat_batches(&whole.schema(), [&whole, &again, &again]).unwrap();
        all_different(&[digest(&whole), digest(&more), digest(&most)]);
    }
}
