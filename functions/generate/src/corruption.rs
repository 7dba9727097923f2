//! Deliberate faults, so that an audit can be seen refusing a partition.

use std::{fmt, str::FromStr};

use crate::Error;

/// One way to spoil a partition. Each breaks one rule and leaves every other rule intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// A line with a negative unit price; its totals still add up.
    NegativePrice,
    /// A line whose transaction has no header.
    OrphanLine,
    /// A header without a transaction id.
    NullKey,
    /// Two different headers with the same key and the same sequence.
    DuplicateKey,
    /// A header whose totals differ from the sum of its lines.
    WrongTotal,
}

impl Corruption {
    /// Every kind, in the order in which messages list them.
    pub const ALL: [Self; 5] =
        [Self::NegativePrice, Self::OrphanLine, Self::NullKey, Self::DuplicateKey, Self::WrongTotal];

    /// The name that requests use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NegativePrice => "negative_price",
            Self::OrphanLine => "orphan_line",
            Self::NullKey => "null_key",
            Self::DuplicateKey => "duplicate_key",
            Self::WrongTotal => "wrong_total",
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Corruption {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if let Some(found) = Self::ALL.into_iter().find(|kind| kind.name() == name) {
            return Ok(found);
        }
        let accepted = Self::ALL.map(Self::name);
        let nearest = accepted
            .into_iter()
            .min_by_key(|candidate| strsim::damerau_levenshtein(candidate, name))
            .unwrap_or_default();
        Err(Error::Rejected(format!(
            "unknown corruption {name:?}: did you mean {nearest:?}? accepted are {}",
            accepted.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for kind in Corruption::ALL {
            assert!(matches!(kind.name().parse::<Corruption>(), Ok(read) if read == kind));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_and_all_accepted() {
        let message = "orphan_lines".parse::<Corruption>().map_err(|error| error.to_string());
        assert_eq!(
            message,
            Err("unknown corruption \"orphan_lines\": did you mean \"orphan_line\"? accepted are negative_price, \
                 orphan_line, null_key, duplicate_key, wrong_total"
                .to_owned())
        );
    }
}
