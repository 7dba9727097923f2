//! Where an attempt writes: a set of names that is made for one attempt and never used again.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::AttemptId;

/// The role a slot plays beside the one before it. Blue and green alternate from cycle to cycle; they are labels for
/// people, not places that are emptied and reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    Blue,
    Green,
}

impl Color {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

/// The place of one attempt: on BigQuery the prefix of its datasets, on DuckDB the stem of its file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    pub color: Color,
    /// The cycle that this slot becomes if it is published.
    pub cycle: u64,
    pub attempt: AttemptId,
}

impl Slot {
    /// `blue_7_4f09c1ab22`: letters, digits and underscores only, unique for ever because the attempt id is.
    pub fn name(&self) -> String {
        format!("{}_{}_{}", self.color, self.cycle, self.attempt)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name())
    }
}
