//! The change log: what every row of a `*_log` table says about itself.

use super::calendar::Day;

/// What a change did to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The row is new.
    Insert,
    /// The row has a new state.
    Update,
    /// The row is gone; the log keeps its last state.
    Delete,
}

impl Operation {
    /// As the column `operation` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// When and in which order a change became visible.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// When the change became visible, in microseconds since 1970 (UTC).
    pub changed_at: i64,
    /// Its place in the table's log.
    pub sequence: i64,
    /// What it did.
    pub operation: Operation,
}

/// An offset into a day is below 2^37 microseconds (38 hours).
const OFFSET_BITS: u32 = 37;
/// Rows of one instant are told apart by their lane.
const LANE_BITS: u32 = 12;
/// What is left for the day's ordinal: more than 44 years.
pub(super) const MOST_DAYS: u32 = 1 << (63 - OFFSET_BITS - LANE_BITS);

/// The number of lanes.
pub const LANES: u32 = 1 << LANE_BITS;

impl Change {
    /// The change that becomes visible at an offset into a day.
    ///
    /// The sequence is the day's ordinal, the offset and the lane, one after the other in one number. It needs no
    /// counter: it is unique as long as no two rows of a table share all three, and it grows with `changed_at`.
    #[inline]
    pub fn new(ordinal: u32, day: &Day, offset: i64, lane: u32, operation: Operation) -> Self {
        debug_assert!(lane < LANES && (0..day.length).contains(&offset));
        Self {
            changed_at: day.begin + offset,
            sequence: (((i64::from(ordinal) << OFFSET_BITS) | offset) << LANE_BITS) | i64::from(lane),
            operation,
        }
    }

    /// The lane that it is in.
    pub fn lane_number(self) -> u32 {
        u32::try_from(self.sequence & i64::from(LANES - 1)).unwrap_or_default()
    }

    /// The same change in a higher lane.
    #[inline]
    #[must_use]
    pub fn lane(self, up: u32) -> Self {
        Self { sequence: self.sequence + i64::from(up), ..self }
    }
}
