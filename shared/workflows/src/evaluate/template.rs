//! YAML values with expressions in them -> values.

use std::sync::Arc;

use crate::evaluate::Scope;
use crate::exception::Exception;
use crate::host::Host;
use crate::syntax::Template;
use crate::value::{Map, Value};

impl Template {
    pub(crate) fn evaluate(&self, scope: &Scope, host: &Host) -> Result<Value, Exception> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Formula(formula) => formula.expression.evaluate(scope, host),
            Self::List(items) => {
                Ok(Value::list(items.iter().map(|item| item.evaluate(scope, host)).collect::<Result<_, _>>()?))
            }
            Self::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    let Value::Text(key) = key.evaluate(scope, host)? else {
                        return Err(Exception::type_error("the key of a map must be a string"));
                    };
                    map.insert(key, value.evaluate(scope, host)?);
                }
                Ok(Value::Map(Arc::new(map)))
            }
        }
    }

    /// For `condition`.
    pub(super) fn truth(&self, scope: &Scope, host: &Host) -> Result<bool, Exception> {
        match self.evaluate(scope, host)? {
            Value::Bool(bool) => Ok(bool),
            other => Err(Exception::type_error(format!("condition must be a boolean, not {}", other.kind()))),
        }
    }

    /// For a number of seconds or a factor.
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 seconds")]
    pub(super) fn number(&self, name: &str, scope: &Scope, host: &Host) -> Result<f64, Exception> {
        match self.evaluate(scope, host)? {
            Value::Int(int) => Ok(int as f64),
            Value::Double(double) => Ok(double),
            other => Err(Exception::type_error(format!("{name} must be a number, not {}", other.kind()))),
        }
    }

    /// For a count.
    pub(super) fn int(&self, name: &str, scope: &Scope, host: &Host) -> Result<i64, Exception> {
        match self.evaluate(scope, host)? {
            Value::Int(int) => Ok(int),
            other => Err(Exception::type_error(format!("{name} must be an integer, not {}", other.kind()))),
        }
    }
}
