//! The provinces and territories: who lives there and what tax a sale bears.

use super::random::{Random, scale};

/// A Canadian province or territory, by its postal code. The most populous come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the postal codes say it")]
pub enum Province {
    ON,
    QC,
    BC,
    AB,
    MB,
    SK,
    NS,
    NB,
    NL,
    PE,
    YT,
    NT,
    NU,
}

/// Province, residents in thousands, sales taxes together in thousandths of a percent. In the order of [`Province`].
const TABLE: [(Province, u32, i64); 13] = [
    (Province::ON, 16_100, 13_000),
    (Province::QC, 9_100, 14_975),
    (Province::BC, 5_700, 12_000),
    (Province::AB, 4_900, 5_000),
    (Province::MB, 1_500, 12_000),
    (Province::SK, 1_200, 11_000),
    (Province::NS, 1_100, 14_000),
    (Province::NB, 860, 15_000),
    (Province::NL, 545, 15_000),
    (Province::PE, 180, 15_000),
    (Province::YT, 47, 5_000),
    (Province::NT, 45, 5_000),
    (Province::NU, 41, 5_000),
];

const RESIDENTS: u32 = {
    let mut sum = 0;
    let mut row = 0;
    while row < TABLE.len() {
        sum += TABLE[row].1;
        row += 1;
    }
    sum
};

impl Province {
    /// A province, weighted by population.
    pub fn pick(random: Random) -> Self {
        let mut resident = scale(random.high(), RESIDENTS);
        for (province, residents, _) in TABLE {
            if resident < residents {
                return province;
            }
            resident -= residents;
        }
        Self::ON
    }

    /// The two letters of the postal code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AB => "AB",
            Self::BC => "BC",
            Self::MB => "MB",
            Self::NB => "NB",
            Self::NL => "NL",
            Self::NS => "NS",
            Self::NT => "NT",
            Self::NU => "NU",
            Self::ON => "ON",
            Self::PE => "PE",
            Self::QC => "QC",
            Self::SK => "SK",
            Self::YT => "YT",
        }
    }

    /// The tax on an amount, in cents, rounded half up. The amount is not negative.
    pub fn tax(self, cents: i64) -> i64 {
        let (_, _, rate) = TABLE[self as usize];
        (cents * rate + 50_000).div_euclid(100_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tax_rounds_half_up() {
        assert_eq!(Province::AB.tax(10), 1); // 0.50
        assert_eq!(Province::AB.tax(9), 0); // 0.45
        assert_eq!(Province::QC.tax(10_000), 1_498); // 1497.50
        assert_eq!(Province::ON.tax(0), 0);
    }

    #[test]
    fn the_table_is_in_the_order_of_the_provinces() {
        assert!(TABLE.iter().enumerate().all(|(place, (province, ..))| *province as usize == place));
    }

    #[test]
    fn provinces_follow_their_population() {
        let root = Random::new(1);
        let count = |wanted| (0..10_000).filter(|&row| Province::pick(root.split(row)) == wanted).count();
        assert!((3_600..4_200).contains(&count(Province::ON)));
        assert!((2_000..2_400).contains(&count(Province::QC)));
        assert!(count(Province::NU) < 40);
    }
}
