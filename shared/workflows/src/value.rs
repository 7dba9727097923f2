//! The values of the language: JSON's, with integers apart from doubles, and bytes.

use std::sync::Arc;

use base64::Engine as _;
use indexmap::IndexMap;
use serde_json::Value as Json;

use crate::exception::Exception;

/// Names and strings are shared, never copied.
pub(crate) type Text = Arc<str>;

/// A map keeps the order in which its keys were first assigned.
pub(crate) type Map = IndexMap<Text, Value>;

/// One value. Lists and maps are copied on write, so that passing one on costs a counter and still behaves as a copy, as the
/// language demands.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Text),
    Bytes(Arc<[u8]>),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
}

impl Value {
    pub(crate) fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn list(items: Vec<Value>) -> Self {
        Self::List(Arc::new(items))
    }

    pub(crate) fn map<K: Into<Text>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Arc::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }

    /// The name of the type, for error messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "an integer beside a double is calculated as a double")]
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::Double(double) => Some(*double),
            _ => None,
        }
    }

    /// The language's `==`: numbers compare by value whatever their type, other values of different types differ.
    #[expect(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "an integer compared with a double is compared as a double"
    )]
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Int(left), Self::Int(right)) => left == right,
            (Self::Double(left), Self::Double(right)) => left == right,
            (Self::Int(int), Self::Double(double)) | (Self::Double(double), Self::Int(int)) => *int as f64 == *double,
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            (Self::List(left), Self::List(right)) => {
                left.len() == right.len() && left.iter().zip(right.iter()).all(|(left, right)| left.equals(right))
            }
            (Self::Map(left), Self::Map(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| value.equals(other)))
            }
            _ => false,
        }
    }

    /// As JSON.
    ///
    /// # Errors
    /// `ValueError` for bytes, which JSON cannot hold.
    pub(crate) fn to_json(&self) -> Result<Json, Exception> {
        self.convert(&|_| {
            Err(Exception::value_error("bytes cannot be encoded as JSON; use base64.encode or text.decode first"))
        })
    }

    /// As JSON for a reader of errors and logs, with bytes as base64.
    pub(crate) fn to_json_lossy(&self) -> Json {
        let encode =
            |bytes: &[u8]| Ok::<_, Exception>(Json::String(base64::engine::general_purpose::STANDARD.encode(bytes)));
        self.convert(&encode).unwrap_or(Json::Null)
    }

    fn convert(&self, bytes: &dyn Fn(&[u8]) -> Result<Json, Exception>) -> Result<Json, Exception> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(*bool),
            Self::Int(int) => Json::from(*int),
            // JSON has no infinity and no NaN: they become null.
            Self::Double(double) => Json::from(*double),
            Self::Text(text) => Json::String(text.to_string()),
            Self::Bytes(content) => bytes(content)?,
            Self::List(items) => Json::Array(items.iter().map(|item| item.convert(bytes)).collect::<Result<_, _>>()?),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| Ok((key.to_string(), value.convert(bytes)?)))
                    .collect::<Result<_, Exception>>()?,
            ),
        })
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(bool),
            // An integer beyond 64 signed bits is a double, as any JSON number is.
            Json::Number(number) => {
                number.as_i64().map_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::INFINITY)), Self::Int)
            }
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::list(items.into_iter().map(Self::from).collect()),
            Json::Object(map) => Self::map(map.into_iter().map(|(key, value)| (key, Self::from(value)))),
        }
    }
}
