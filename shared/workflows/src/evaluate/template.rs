//! YAML values with expressions in them -> values.

use std::sync::Arc;

use crate::evaluate::View;
use crate::exception::Exception;
use crate::syntax::Template;
use crate::value::{Map, Value};

impl Template {
    pub(crate) fn evaluate(&self, view: &View<'_, '_>) -> Result<Value, Exception> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Formula(formula) => formula.expression.evaluate(view),
            Self::List(items) => {
                Ok(Value::list(items.iter().map(|item| item.evaluate(view)).collect::<Result<_, _>>()?))
            }
            Self::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    let Value::Text(key) = key.evaluate(view)? else {
                        return Err(Exception::type_error("the key of a map must be a string"));
                    };
                    map.insert(key, value.evaluate(view)?);
                }
                Ok(Value::Map(Arc::new(map)))
            }
        }
    }

    /// For `condition`.
    pub(super) fn truth(&self, view: &View<'_, '_>) -> Result<bool, Exception> {
        match self.evaluate(view)? {
            Value::Bool(bool) => Ok(bool),
            other => Err(Exception::type_error(format!("condition must be a boolean, not {}", other.kind()))),
        }
    }

    /// For a number of seconds or a factor.
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 seconds")]
    pub(super) fn number(&self, name: &str, view: &View<'_, '_>) -> Result<f64, Exception> {
        match self.evaluate(view)? {
            Value::Int(int) => Ok(int as f64),
            Value::Double(double) => Ok(double),
            other => Err(Exception::type_error(format!("{name} must be a number, not {}", other.kind()))),
        }
    }

    /// For a count.
    pub(super) fn int(&self, name: &str, view: &View<'_, '_>) -> Result<i64, Exception> {
        match self.evaluate(view)? {
            Value::Int(int) => Ok(int),
            other => Err(Exception::type_error(format!("{name} must be an integer, not {}", other.kind()))),
        }
    }
}
