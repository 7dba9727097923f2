//! Expression + variables -> value.

use std::slice;

use crate::evaluate::View;
use crate::exception::Exception;
use crate::expression::Expression;
use crate::value::Value;

impl Expression {
    pub(crate) fn evaluate(&self, view: &View<'_, '_>) -> Result<Value, Exception> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::List(items) => Ok(Value::list(evaluate_all(items, view)?)),
            Self::Variable(name) => view
                .variable(name)
                .ok_or_else(|| Exception::key_error(format!("variable \"{name}\" has not been assigned yet"))),
            Self::Index(container, key) => {
                let container = container.evaluate(view)?;
                let key = key.evaluate(view)?;
                item(&container, &key).cloned()
            }
            Self::Negate(inner) => match inner.evaluate(view)? {
                Value::Int(int) => int
                    .checked_neg()
                    .map(Value::Int)
                    .ok_or_else(|| Exception::value_error("-(-2^63) does not fit a 64-bit integer")),
                Value::Double(double) => Ok(Value::Double(-double)),
                other => Err(Exception::type_error(format!("unsupported operand type for unary -: {}", other.kind()))),
            },
            Self::Not(inner) => Ok(Value::Bool(!inner.truth("not", view)?)),
            Self::And(left, right) => Ok(Value::Bool(left.truth("and", view)? && right.truth("and", view)?)),
            Self::Or(left, right) => Ok(Value::Bool(left.truth("or", view)? || right.truth("or", view)?)),
            Self::Binary(operator, left, right) => operator.apply(&left.evaluate(view)?, &right.evaluate(view)?),
            Self::Call(function, arguments) => function.call(evaluate_all(arguments, view)?, view.host()),
            Self::Routine(name, arguments) => view.call(name, evaluate_all(arguments, view)?),
        }
    }

    fn truth(&self, operator: &str, view: &View<'_, '_>) -> Result<bool, Exception> {
        match self.evaluate(view)? {
            Value::Bool(bool) => Ok(bool),
            other => Err(Exception::type_error(format!("{operator} takes a boolean, not {}", other.kind()))),
        }
    }
}

fn evaluate_all(expressions: &[Expression], view: &View<'_, '_>) -> Result<Vec<Value>, Exception> {
    expressions.iter().map(|expression| expression.evaluate(view)).collect()
}

/// `container[key]`
fn item<'a>(container: &'a Value, key: &Value) -> Result<&'a Value, Exception> {
    match (container, key) {
        (Value::Map(map), Value::Text(key)) => {
            map.get(key).ok_or_else(|| Exception::key_error(format!("key not found: {key}")))
        }
        (Value::List(items), Value::Int(index)) => {
            usize::try_from(*index).ok().and_then(|index| items.get(index)).ok_or_else(|| outside(*index, items.len()))
        }
        _ => Err(not_indexable(container, key)),
    }
}

/// Where an assignment to `container[path...]` goes. A missing key of the last map is made; everything before must exist.
pub(crate) fn place<'a>(mut container: &'a mut Value, path: &[Value]) -> Result<&'a mut Value, Exception> {
    for (depth, key) in path.iter().enumerate() {
        let last = depth + 1 == path.len();
        container = match (container, key) {
            (Value::Map(map), Value::Text(key)) => {
                let map = std::sync::Arc::make_mut(map);
                if last {
                    map.entry(key.clone()).or_insert(Value::Null)
                } else {
                    map.get_mut(key).ok_or_else(|| Exception::key_error(format!("key not found: {key}")))?
                }
            }
            (Value::List(items), Value::Int(index)) => {
                let length = items.len();
                usize::try_from(*index)
                    .ok()
                    .and_then(|index| std::sync::Arc::make_mut(items).get_mut(index))
                    .ok_or_else(|| outside(*index, length))?
            }
            (container, key) => return Err(not_indexable(container, key)),
        };
    }
    Ok(container)
}

fn outside(index: i64, length: usize) -> Exception {
    Exception::index_error(format!("index {index} is out of range for a list of {length}"))
}

fn not_indexable(container: &Value, key: &Value) -> Exception {
    Exception::type_error(match container {
        Value::Map(_) => format!("a map is indexed by a string, not by {}", key.kind()),
        Value::List(_) => format!("a list is indexed by an integer, not by {}", key.kind()),
        other => format!(
            "{} has no items: cannot look up {}",
            other.kind(),
            Value::list(slice::from_ref(key).to_vec()).to_json_lossy()
        ),
    })
}
