//! Addresses: made up from pools, in the form of the real ones.

use super::{
    names::pick,
    provinces::Province,
    random::{Random, scale},
};

/// A province's cities, the larger ones first, and the first letters of its postal codes.
pub(super) const fn cities(province: Province) -> (&'static [&'static str], &'static [u8]) {
    match province {
        Province::AB => (&["Calgary", "Edmonton", "Red Deer", "Lethbridge"], b"T"),
        Province::BC => (&["Vancouver", "Surrey", "Victoria", "Kelowna"], b"V"),
        Province::MB => (&["Winnipeg", "Brandon", "Steinbach"], b"R"),
        Province::NB => (&["Moncton", "Saint John", "Fredericton"], b"E"),
        Province::NL => (&["St. John's", "Corner Brook", "Gander"], b"A"),
        Province::NS => (&["Halifax", "Sydney", "Truro"], b"B"),
        Province::NT => (&["Yellowknife", "Hay River"], b"X"),
        Province::NU => (&["Iqaluit", "Rankin Inlet"], b"X"),
        Province::ON => (&["Toronto", "Ottawa", "Mississauga", "Hamilton", "London", "Kingston"], b"MKLNP"),
        Province::PE => (&["Charlottetown", "Summerside"], b"C"),
        Province::QC => (&["Montréal", "Québec", "Laval", "Gatineau", "Sherbrooke"], b"HGJ"),
        Province::SK => (&["Saskatoon", "Regina", "Moose Jaw"], b"S"),
        Province::YT => (&["Whitehorse", "Dawson"], b"Y"),
    }
}

const STREETS: &[&str] = &[
    "Maple",
    "King",
    "Queen",
    "Main",
    "Church",
    "Park",
    "Lakeshore",
    "Cedar",
    "Victoria",
    "Wellington",
    "Elm",
    "Mill",
    "River",
    "Station",
    "Birch",
    "Oak",
    "Spruce",
    "Bay",
    "Front",
    "Dundas",
    "Pine",
    "Hillside",
    "College",
    "Ontario",
];
const KINDS: &[&str] = &["Street", "Street", "Street", "Avenue", "Avenue", "Road", "Drive", "Crescent"];

/// The letters that a postal code may have after its first.
const LETTERS: &[u8; 20] = b"ABCEGHJKLMNPRSTVWXYZ";

/// An address: where, and the bits that decide the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) province: Province,
    pub(super) random: Random,
}

impl Address {
    /// An address anywhere.
    #[inline]
    pub(super) fn new(random: Random) -> Self {
        Self { province: Province::pick(random.split(0)), random }
    }

    /// The number and the name of the street, which are written one after the other with spaces between them.
    #[inline]
    pub(super) fn street(self) -> (u32, &'static str, &'static str) {
        let random = self.random.split(1);
        (1 + scale(random.low(), 1_900), pick(STREETS, random.high()), pick(KINDS, random.split(0).high()))
    }

    /// The city.
    #[inline]
    pub(super) fn city(self) -> &'static str {
        let bits = self.random.split(2);
        let (cities, _) = cities(self.province);
        pick(cities, scale(bits.high(), bits.high()))
    }

    /// The postal code, such as `M5V 2T6`.
    #[inline]
    pub(super) fn postal_code(self) -> [u8; 7] {
        let (_, firsts) = cities(self.province);
        let mut bits = self.random.split(3).below(i64::MAX).unsigned_abs();
        let mut draw = |bound: u64| {
            let drawn = bits % bound;
            bits /= bound;
            usize::try_from(drawn).unwrap_or_default()
        };
        let mut letter = |pool: &[u8]| pool[draw(pool.len() as u64)];
        let first = letter(firsts);
        let mut code = [first, letter(b"123456789"), letter(LETTERS), b' ', b'0', b'0', b'0'];
        code[4] = letter(b"0123456789");
        code[5] = letter(LETTERS);
        code[6] = letter(b"0123456789");
        code
    }
}

/// Text of a postal code.
pub(super) fn ascii(code: &[u8]) -> &str {
    // Made of ASCII letters and digits above.
    std::str::from_utf8(code).unwrap_or_default()
}
