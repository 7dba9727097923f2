//! The canonical form of each type, column by column.

use arrow::array::types::{
    ArrowPrimitiveType, ByteArrayType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, OffsetSizeTrait};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowNativeType, DataType, Field, TimeUnit, i256};

use crate::Error;
use crate::lanes::Lanes;

/// How the values of one column, field or list are hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    name: String,
    /// The hash of NULL. It does not depend on the type.
    null: Lanes,
    /// What values are hashed under.
    seed: Lanes,
    form: Form,
}

/// The canonical form. Types of one form are equal where their values are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Nothing but NULL.
    Null,
    Boolean,
    /// Integers and decimals.
    Number,
    Float,
    Date,
    Time,
    Timestamp,
    /// Text and bytes.
    Bytes,
    List(Box<Column>),
    /// Fields with their places.
    Record(Vec<(usize, Column)>),
}

impl Form {
    /// Keeps forms apart. Part of the digest: never change one, never use one again.
    fn tag(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean => 1,
            Self::Number => 2,
            Self::Float => 3,
            Self::Date => 4,
            Self::Time => 5,
            Self::Timestamp => 6,
            Self::Bytes => 7,
            Self::List(_) => 8,
            Self::Record(_) => 9,
        }
    }
}

impl Column {
    pub(crate) fn new(parent: Lanes, field: &Field) -> Result<Self, Error> {
        Self::of_type(parent, field.name(), field.data_type())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn of_type(parent: Lanes, name: &str, data_type: &DataType) -> Result<Self, Error> {
        let null = parent.derive(0, name);
        let form = match data_type {
            DataType::Null => Form::Null,
            DataType::Boolean => Form::Boolean,
            integer if integer.is_integer() => Form::Number,
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
            | DataType::Decimal256(_, scale)
                if *scale >= 0 =>
            {
                Form::Number
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Form::Float,
            DataType::Date32 | DataType::Date64 => Form::Date,
            DataType::Time32(_) | DataType::Time64(_) => Form::Time,
            DataType::Timestamp(..) => Form::Timestamp,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Form::Bytes,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Form::Bytes
            }
            DataType::Dictionary(_, values) => return Self::of_type(parent, name, values),
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                // The element's name differs between engines and means nothing.
                Form::List(Box::new(Self::of_type(null, "", element.data_type())?))
            }
            DataType::Struct(fields) => {
                let fields = fields.iter().enumerate();
                Form::Record(
                    fields.map(|(index, field)| Ok((index, Self::new(null, field)?))).collect::<Result<_, _>>()?,
                )
            }
            other => {
                return Err(Error::Rejected(format!(
                    "column {name} has the type {other}, which has no digest; convert it where the rows are read"
                )));
            }
        };
        Ok(Self { name: name.to_owned(), null, seed: null.derive(form.tag(), ""), form })
    }

    /// Adds the hash of each value to its row.
    pub(crate) fn add(&self, array: &ArrayRef, rows: &mut [Lanes]) -> Result<(), Error> {
        let seed = self.seed;
        match array.data_type() {
            DataType::Null => self.add_each(None, std::iter::repeat(self.null), rows),
            DataType::Boolean => {
                let array = array.as_boolean();
                let values = array.values().iter().map(|value| seed.absorb(u64::from(value)));
                self.add_each(array.nulls(), values, rows);
            }
            DataType::Int8 => self.add_primitive::<Int8Type>(array, rows, |value| integer(seed, value.into())),
            DataType::Int16 => self.add_primitive::<Int16Type>(array, rows, |value| integer(seed, value.into())),
            DataType::Int32 => self.add_primitive::<Int32Type>(array, rows, |value| integer(seed, value.into())),
            DataType::Int64 => self.add_primitive::<Int64Type>(array, rows, |value| integer(seed, value)),
            DataType::UInt8 => self.add_primitive::<UInt8Type>(array, rows, |value| integer(seed, value.into())),
            DataType::UInt16 => self.add_primitive::<UInt16Type>(array, rows, |value| integer(seed, value.into())),
            DataType::UInt32 => self.add_primitive::<UInt32Type>(array, rows, |value| integer(seed, value.into())),
            DataType::UInt64 => self.add_primitive::<UInt64Type>(array, rows, |value| decimal(seed, value.into(), 0)),
            DataType::Decimal32(_, scale) => {
                self.add_primitive::<Decimal32Type>(array, rows, |value| decimal(seed, value.into(), *scale));
            }
            DataType::Decimal64(_, scale) => {
                self.add_primitive::<Decimal64Type>(array, rows, |value| decimal(seed, value.into(), *scale));
            }
            DataType::Decimal128(_, scale) => {
                self.add_primitive::<Decimal128Type>(array, rows, |value| decimal(seed, value, *scale));
            }
            DataType::Decimal256(_, scale) => {
                self.add_primitive::<Decimal256Type>(array, rows, |value| wide_decimal(seed, value, *scale));
            }
            DataType::Float16 => self.add_primitive::<Float16Type>(array, rows, |value| float(seed, value.to_f64())),
            DataType::Float32 => self.add_primitive::<Float32Type>(array, rows, |value| float(seed, value.into())),
            DataType::Float64 => self.add_primitive::<Float64Type>(array, rows, |value| float(seed, value)),
            DataType::Date32 => self.add_primitive::<Date32Type>(array, rows, |value| integer(seed, value.into())),
            DataType::Date64 => {
                self.add_primitive::<Date64Type>(array, rows, |value| divided(seed, value, 86_400_000));
            }
            DataType::Time32(TimeUnit::Second) => {
                self.add_primitive::<Time32SecondType>(array, rows, |value| multiplied(seed, value.into(), 1_000_000));
            }
            DataType::Time32(_) => {
                self.add_primitive::<Time32MillisecondType>(array, rows, |value| multiplied(seed, value.into(), 1_000));
            }
            DataType::Time64(TimeUnit::Nanosecond) => {
                self.add_primitive::<Time64NanosecondType>(array, rows, |value| divided(seed, value, 1_000));
            }
            DataType::Time64(_) => {
                self.add_primitive::<Time64MicrosecondType>(array, rows, |value| integer(seed, value));
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                self.add_primitive::<TimestampSecondType>(array, rows, |value| multiplied(seed, value, 1_000_000));
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.add_primitive::<TimestampMillisecondType>(array, rows, |value| multiplied(seed, value, 1_000));
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.add_primitive::<TimestampMicrosecondType>(array, rows, |value| integer(seed, value));
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.add_primitive::<TimestampNanosecondType>(array, rows, |value| divided(seed, value, 1_000));
            }
            DataType::Utf8 => self.add_bytes(array.as_string::<i32>(), rows),
            DataType::LargeUtf8 => self.add_bytes(array.as_string::<i64>(), rows),
            DataType::Binary => self.add_bytes(array.as_binary::<i32>(), rows),
            DataType::LargeBinary => self.add_bytes(array.as_binary::<i64>(), rows),
            DataType::Utf8View => {
                let values = array.as_string_view().iter();
                let values = values.map(|value| bytes(seed, value.unwrap_or_default().as_bytes()));
                self.add_each(array.nulls(), values, rows);
            }
            DataType::BinaryView => {
                let values = array.as_binary_view().iter().map(|value| bytes(seed, value.unwrap_or_default()));
                self.add_each(array.nulls(), values, rows);
            }
            DataType::FixedSizeBinary(_) => {
                let values = array.as_fixed_size_binary().iter().map(|value| bytes(seed, value.unwrap_or_default()));
                self.add_each(array.nulls(), values, rows);
            }
            DataType::Dictionary(..) => self.add_dictionary(array, rows)?,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                self.add_lists(list.nulls(), list.values(), &ends(list.value_offsets()), rows)?;
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                self.add_lists(list.nulls(), list.values(), &ends(list.value_offsets()), rows)?;
            }
            DataType::FixedSizeList(_, length) => {
                let list = array.as_fixed_size_list();
                let length = usize::try_from(*length).unwrap_or_default();
                let offsets: Vec<usize> = (0..=list.len()).map(|row| row * length).collect();
                self.add_lists(list.nulls(), list.values(), &offsets, rows)?;
            }
            DataType::Struct(_) => self.add_records(array, rows)?,
            other => return Err(Error::Rejected(format!("column {} has the type {other}", self.name))),
        }
        Ok(())
    }

    /// Adds one hash a row, or that of NULL where the row has none.
    #[inline]
    fn add_each(&self, nulls: Option<&NullBuffer>, hashes: impl Iterator<Item = Lanes>, rows: &mut [Lanes]) {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => rows.iter_mut().zip(hashes).for_each(|(row, hash)| *row += hash),
            Some(nulls) => rows
                .iter_mut()
                .zip(hashes)
                .zip(nulls.iter())
                .for_each(|((row, hash), valid)| *row += if valid { hash } else { self.null }),
        }
    }

    #[inline]
    fn add_primitive<T: ArrowPrimitiveType>(
        &self,
        array: &ArrayRef,
        rows: &mut [Lanes],
        hash: impl Fn(T::Native) -> Lanes,
    ) {
        let array = array.as_primitive::<T>();
        self.add_each(array.nulls(), array.values().iter().map(|value| hash(*value)), rows);
    }

    #[inline]
    fn add_bytes<T: ByteArrayType>(&self, array: &GenericByteArray<T>, rows: &mut [Lanes]) {
        let data = array.value_data();
        let values = array.value_offsets().windows(2);
        let hashes = values.map(|ends| bytes(self.seed, &data[ends[0].as_usize()..ends[1].as_usize()]));
        self.add_each(array.nulls(), hashes, rows);
    }

    /// Hashes each value of the dictionary once.
    fn add_dictionary(&self, array: &ArrayRef, rows: &mut [Lanes]) -> Result<(), Error> {
        let dictionary = array.as_any_dictionary();
        if dictionary.values().is_empty() {
            // Nothing can be referred to, so every row is NULL.
            self.add_each(None, std::iter::repeat(self.null), rows);
            return Ok(());
        }
        let mut hashes = vec![Lanes::default(); dictionary.values().len()];
        self.add(dictionary.values(), &mut hashes)?;
        let keys = dictionary.normalized_keys();
        self.add_each(dictionary.keys().nulls(), keys.into_iter().map(|key| hashes[key]), rows);
        Ok(())
    }

    /// `offsets` has one place more than there are lists: list `i` is `values[offsets[i]..offsets[i + 1]]`.
    fn add_lists(
        &self,
        nulls: Option<&NullBuffer>,
        values: &ArrayRef,
        offsets: &[usize],
        rows: &mut [Lanes],
    ) -> Result<(), Error> {
        let (Form::List(element), [first, .., last]) = (&self.form, offsets) else {
            return Ok(());
        };
        let mut elements = vec![Lanes::default(); last - first];
        element.add(&values.slice(*first, last - first), &mut elements)?;
        let hashes = offsets.windows(2).map(|ends| {
            let elements = &elements[ends[0] - first..ends[1] - first];
            let start = self.seed.absorb(elements.len() as u64);
            elements.iter().fold(start, |hash, element| hash.absorb_lanes(*element))
        });
        self.add_each(nulls, hashes, rows);
        Ok(())
    }

    fn add_records(&self, array: &ArrayRef, rows: &mut [Lanes]) -> Result<(), Error> {
        let record = array.as_struct();
        let mut records = vec![Lanes::default(); record.len()];
        if let Form::Record(fields) = &self.form {
            for (index, field) in fields {
                field.add(record.column(*index), &mut records)?;
            }
        }
        self.add_each(record.nulls(), records.into_iter().map(|fields| self.seed.absorb_lanes(fields)), rows);
        Ok(())
    }
}

fn ends<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<usize> {
    offsets.iter().map(|offset| offset.as_usize()).collect()
}

#[inline]
fn integer(seed: Lanes, value: i64) -> Lanes {
    seed.absorb(value.cast_unsigned())
}

/// A number of more than 64 bits, or with decimals left.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves of 128 bits")]
fn wide(seed: Lanes, digits: i128, scale: u64) -> Lanes {
    let digits = digits.cast_unsigned();
    seed.absorb(digits as u64).absorb((digits >> 64) as u64).absorb(scale)
}

#[inline]
fn decimal(seed: Lanes, digits: i128, scale: i8) -> Lanes {
    let Ok(mut short) = i64::try_from(digits) else {
        return long_decimal(seed, digits, scale);
    };
    let mut scale = scale;
    while scale > 0 && short % 10 == 0 {
        short /= 10;
        // Zero has as many zeros as one likes.
        scale = if short == 0 { 0 } else { scale - 1 };
    }
    if scale == 0 { integer(seed, short) } else { wide(seed, short.into(), scale.unsigned_abs().into()) }
}

#[cold]
fn long_decimal(seed: Lanes, mut digits: i128, mut scale: i8) -> Lanes {
    while scale > 0 && digits % 10 == 0 {
        digits /= 10;
        scale -= 1;
    }
    match i64::try_from(digits) {
        Ok(short) if scale == 0 => integer(seed, short),
        _ => wide(seed, digits, scale.unsigned_abs().into()),
    }
}

#[cold]
fn wide_decimal(seed: Lanes, mut digits: i256, mut scale: i8) -> Lanes {
    let ten = i256::from_i128(10);
    while scale > 0 && digits.checked_rem(ten) == Some(i256::ZERO) {
        digits = digits.checked_div(ten).unwrap_or(digits);
        scale -= 1;
    }
    if let Some(digits) = digits.to_i128() {
        return decimal(seed, digits, scale);
    }
    let (low, high) = digits.to_parts();
    wide(wide(seed, low.cast_signed(), 0), high, scale.unsigned_abs().into())
}

#[inline]
fn float(seed: Lanes, value: f64) -> Lanes {
    let canonical = if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    seed.absorb(canonical.to_bits())
}

/// A coarse unit in a finer one.
#[inline]
fn multiplied(seed: Lanes, value: i64, factor: i64) -> Lanes {
    match value.checked_mul(factor) {
        Some(value) => integer(seed, value),
        None => wide(seed, i128::from(value) * i128::from(factor), 0),
    }
}

/// A fine unit in a coarser one; what is left over still counts.
#[inline]
fn divided(seed: Lanes, value: i64, divisor: i64) -> Lanes {
    let whole = integer(seed, value.div_euclid(divisor));
    match value.rem_euclid(divisor) {
        0 => whole,
        rest => whole.absorb(rest.cast_unsigned()),
    }
}

#[inline]
fn bytes(seed: Lanes, value: &[u8]) -> Lanes {
    seed.absorb_lanes(Lanes::of_bytes(value))
}
