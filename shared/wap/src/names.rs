//! Names that end up in SQL, in object keys and in file names. Each is a type that can only hold a harmless
//! value, so that the code which splices them needs no escaping and no second check.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {kind}: {expected}")]
pub struct InvalidName {
    /// What it should have been: `identifier`, `partition` ...
    pub kind: &'static str,
    /// What was given, cut to 80 characters.
    pub value: String,
    /// The accepted form, for people.
    pub expected: &'static str,
}

macro_rules! name_type {
    ($(#[$documentation:meta])* $name:ident, $kind:literal, $expected:literal, $check:expr) => {
        $(#[$documentation])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `value` and wraps it.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                let check: fn(&str) -> bool = $check;
                if check(&value) {
                    Ok(Self(value))
                } else {
                    Err(InvalidName {
                        kind: $kind,
                        value: value.chars().take(80).collect(),
                        expected: $expected,
                    })
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:?}", self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string"})
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }
    };
}

name_type!(
    /// A SQL identifier that needs no quoting on either back end: table, column, dataset or view.
    Identifier,
    "identifier",
    "a letter or underscore, then letters, digits or underscores, 1 to 128 characters",
    |value| {
        let mut characters = value.bytes();
        value.len() <= 128
            && characters
                .next()
                .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && characters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
);

name_type!(
    /// The key of a partition: `2025-08-01T05` (hour), `2025-08-01` (day, or the first day of a week), `2025-08` (month)
    /// or `all`. Only the shape is checked here; whether the date exists is for the calendar of the pipeline to say.
    PartitionKey,
    "partition",
    "YYYY-MM-DDTHH, YYYY-MM-DD, YYYY-MM or all",
    |value| {
        value == "all"
            || ["dddd-dd-ddTdd", "dddd-dd-dd", "dddd-dd"].iter().any(|shape| {
                shape.len() == value.len()
                    && shape.bytes().zip(value.bytes()).all(|(form, byte)| {
                        if form == b'd' { byte.is_ascii_digit() } else { form == byte }
                    })
            })
    }
);

name_type!(
    /// The digest of some content: lower-case letters and digits, at least 16. Says *what* something is; two things with
    /// one digest are the same thing.
    Digest,
    "digest",
    "16 to 64 lower-case letters or digits",
    |value| {
        (16..=64).contains(&value.len())
            && value
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    }
);

name_type!(
    /// The id of an attempt, random, never used twice.
    AttemptId,
    "attempt",
    "8 to 32 lower-case letters or digits",
    |value| {
        (8..=32).contains(&value.len())
            && value
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    }
);

name_type!(
    /// The id of a run: what the workflow engine calls an execution.
    RunId,
    "run",
    "letters, digits, underscores or hyphens, 1 to 64 characters",
    |value| {
        (1..=64).contains(&value.len())
            && value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    }
);

impl PartitionKey {
    /// The one partition of an unpartitioned table.
    pub fn all() -> Self {
        Self("all".to_owned())
    }
}

impl Digest {
    /// The digest of some bytes (BLAKE3, the first 128 bits in hexadecimal).
    pub fn of(content: impl AsRef<[u8]>) -> Self {
        blake3::hash(content.as_ref()).into()
    }

    /// The digest of a value's canonical JSON. The value's maps must have a fixed order (`BTreeMap`, structs).
    pub fn of_json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::of(serde_json::to_vec(value)?))
    }
}

/// The digest of content that was hashed piece by piece: the same as [`Digest::of`] of the whole.
impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.to_hex().as_str()[..32].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_refuse_what_would_change_a_statement_or_a_path() {
        for bad in ["", "1a", "a b", "a;drop", "a\"", "a.b", "é", "a/b", "../a"] {
            assert!(Identifier::new(bad).is_err(), "{bad}");
            assert!(PartitionKey::new(bad).is_err(), "{bad}");
            assert!(Digest::new(bad).is_err(), "{bad}");
        }
        assert!(RunId::new("../../etc").is_err());
    }

    #[test]
    fn partition_keys_have_four_shapes() {
        for good in ["2025-08-01T05", "2025-08-01", "2025-08", "all"] {
            assert!(PartitionKey::new(good).is_ok(), "{good}");
        }
        for bad in ["2025", "2025-8-1", "2025-08-01T5", "ALL", "2025-08-01T05:00"] {
            assert!(PartitionKey::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_identifier_never_holds_anything_but_word_characters(text in ".{0,12}") {
            if let Ok(name) = Identifier::new(text) {
                prop_assert!(name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            }
        }
    }
}
