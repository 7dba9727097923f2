//! What the operators do with each pair of types.

use std::cmp::Ordering;

use crate::exception::Exception;
use crate::expression::Operator;
use crate::value::Value;

impl Operator {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }

    pub(super) fn apply(self, left: &Value, right: &Value) -> Result<Value, Exception> {
        match self {
            Self::Equal => Ok(Value::Bool(left.equals(right))),
            Self::NotEqual => Ok(Value::Bool(!left.equals(right))),
            Self::Less => self.compare(left, right, Ordering::is_lt),
            Self::LessOrEqual => self.compare(left, right, Ordering::is_le),
            Self::Greater => self.compare(left, right, Ordering::is_gt),
            Self::GreaterOrEqual => self.compare(left, right, Ordering::is_ge),
            Self::In => self.contains(right, left),
            Self::Add => match (printed(left), printed(right)) {
                // A string on either side makes it a concatenation.
                (Some(first), Some(second)) if is_text(left) || is_text(right) => Ok(Value::text(first + &second)),
                _ => self.calculate(left, right),
            },
            _ => self.calculate(left, right),
        }
    }

    fn calculate(self, left: &Value, right: &Value) -> Result<Value, Exception> {
        match (left, right) {
            (Value::Int(left), Value::Int(right)) => self.integers(*left, *right),
            _ => match (left.as_number(), right.as_number()) {
                (Some(left), Some(right)) => self.doubles(left, right),
                _ => Err(self.mismatch(left, right)),
            },
        }
    }

    fn integers(self, left: i64, right: i64) -> Result<Value, Exception> {
        if right == 0 && matches!(self, Self::Divide | Self::FloorDivide | Self::Remainder) {
            return Err(Exception::zero_division());
        }
        let result = match self {
            Self::Add => left.checked_add(right),
            Self::Subtract => left.checked_sub(right),
            Self::Multiply => left.checked_mul(right),
            #[expect(clippy::cast_precision_loss, reason = "/ divides as doubles")]
            Self::Divide => return Ok(Value::Double(left as f64 / right as f64)),
            // Rounds down, and the remainder has the divisor's sign, so that a == a // b * b + a % b.
            Self::FloorDivide => left.checked_div(right).map(|quotient| quotient - i64::from(floors(left, right))),
            _ => {
                left.checked_rem(right).map(|remainder| if floors(left, right) { remainder + right } else { remainder })
            }
        };
        result.map(Value::Int).ok_or_else(|| {
            Exception::value_error(format!("{left} {} {right} does not fit a 64-bit integer", self.sign()))
        })
    }

    fn doubles(self, left: f64, right: f64) -> Result<Value, Exception> {
        if right == 0.0 && matches!(self, Self::Divide | Self::FloorDivide | Self::Remainder) {
            return Err(Exception::zero_division());
        }
        Ok(Value::Double(match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::FloorDivide => (left / right).floor(),
            _ => left - right * (left / right).floor(),
        }))
    }

    fn compare(self, left: &Value, right: &Value, holds: fn(Ordering) -> bool) -> Result<Value, Exception> {
        let order = match (left, right) {
            (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            _ => match (left.as_number(), right.as_number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => return Err(self.mismatch(left, right)),
            },
        };
        Ok(Value::Bool(order.is_some_and(holds)))
    }

    fn contains(self, container: &Value, item: &Value) -> Result<Value, Exception> {
        match (container, item) {
            (Value::List(items), _) => Ok(Value::Bool(items.iter().any(|candidate| candidate.equals(item)))),
            (Value::Map(map), Value::Text(key)) => Ok(Value::Bool(map.contains_key(key))),
            _ => Err(self.mismatch(item, container)),
        }
    }

    fn mismatch(self, left: &Value, right: &Value) -> Exception {
        Exception::type_error(format!(
            "unsupported operand types for {}: {} and {}",
            self.sign(),
            left.kind(),
            right.kind()
        ))
    }
}

/// Whether rounding down differs from rounding towards zero.
fn floors(left: i64, right: i64) -> bool {
    left.checked_rem(right).is_some_and(|remainder| remainder != 0 && (remainder < 0) != (right < 0))
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::Text(_))
}

/// The text of a string, number or boolean: what `string()` and concatenation give.
pub(crate) fn printed(value: &Value) -> Option<String> {
    match value {
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Int(int) => Some(int.to_string()),
        // The shortest text that reads back as the same double, always with a point or an exponent.
        Value::Double(double) => Some(format!("{double:?}")),
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}
