//! Pools of made-up names. People are invented by combining them; nobody in particular is meant.

use super::random::{Random, scale};

/// A name as written, and as it stands in an e-mail address.
pub(super) type Name = (&'static str, &'static str);

/// A first name.
pub(super) fn first(random: Random) -> Name {
    pick(FIRST, random.high())
}

/// A last name.
pub(super) fn last(random: Random) -> Name {
    pick(LAST, random.low())
}

/// A person's two names in one.
pub(super) fn person(random: Random) -> String {
    format!("{} {}", first(random).0, last(random).0)
}

/// What a product is called.
pub(super) fn product(random: Random) -> String {
    let name = house(random);
    let more = random.split(0);
    match more.low() % 4 {
        0 => format!("{name}: The {}", pick(THINGS, more.high())),
        1 => format!("{name} of the {}", pick(PLACES, more.high())),
        _ => name,
    }
}

/// Two words, as companies and products are called.
pub(super) fn house(random: Random) -> String {
    format!("{} {}", pick(THEMES, random.high()), pick(THINGS, random.low()))
}

/// A name as it stands in an address of the web.
pub(super) fn slug(name: &str) -> String {
    name.chars()
        .filter_map(|letter| {
            if letter == ' ' { Some('-') } else { letter.is_ascii_alphanumeric().then(|| letter.to_ascii_lowercase()) }
        })
        .collect()
}

/// One of a pool, all alike.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "pools are short")]
pub(super) fn pick<T: Copy>(pool: &[T], bits: u32) -> T {
    pool[scale(bits, pool.len() as u32) as usize]
}

const FIRST: &[Name] = &[
    ("Aisha", "aisha"),
    ("Alexandre", "alexandre"),
    ("Amélie", "amelie"),
    ("Anna", "anna"),
    ("Arjun", "arjun"),
    ("Beatriz", "beatriz"),
    ("Benoît", "benoit"),
    ("Chloé", "chloe"),
    ("Connor", "connor"),
    ("Daniel", "daniel"),
    ("Diya", "diya"),
    ("Élodie", "elodie"),
    ("Emily", "emily"),
    ("Ethan", "ethan"),
    ("Fatima", "fatima"),
    ("François", "francois"),
    ("Gabriel", "gabriel"),
    ("Grace", "grace"),
    ("Hannah", "hannah"),
    ("Hassan", "hassan"),
    ("Isla", "isla"),
    ("Jacob", "jacob"),
    ("Jia", "jia"),
    ("João", "joao"),
    ("Kateri", "kateri"),
    ("Kenji", "kenji"),
    ("Léa", "lea"),
    ("Liam", "liam"),
    ("Lucía", "lucia"),
    ("Maëlle", "maelle"),
    ("Malik", "malik"),
    ("Mei", "mei"),
    ("Miguel", "miguel"),
    ("Nadia", "nadia"),
    ("Noah", "noah"),
    ("Noémie", "noemie"),
    ("Olivia", "olivia"),
    ("Owen", "owen"),
    ("Priya", "priya"),
    ("Raphaël", "raphael"),
    ("Rosa", "rosa"),
    ("Samuel", "samuel"),
    ("Sofia", "sofia"),
    ("Tariq", "tariq"),
    ("Thomas", "thomas"),
    ("Yara", "yara"),
    ("Yusuf", "yusuf"),
    ("Zoé", "zoe"),
];

const LAST: &[Name] = &[
    ("Ahmed", "ahmed"),
    ("Bélanger", "belanger"),
    ("Bouchard", "bouchard"),
    ("Brown", "brown"),
    ("Campbell", "campbell"),
    ("Chan", "chan"),
    ("Chen", "chen"),
    ("Côté", "cote"),
    ("Cruz", "cruz"),
    ("D'Souza", "dsouza"),
    ("Fraser", "fraser"),
    ("Gagnon", "gagnon"),
    ("Gill", "gill"),
    ("Graham", "graham"),
    ("Grewal", "grewal"),
    ("Haddad", "haddad"),
    ("Ivanova", "ivanova"),
    ("Johnson", "johnson"),
    ("Kaur", "kaur"),
    ("Khan", "khan"),
    ("Kim", "kim"),
    ("Kowalski", "kowalski"),
    ("Lavoie", "lavoie"),
    ("Lévesque", "levesque"),
    ("Li", "li"),
    ("MacDonald", "macdonald"),
    ("Martin", "martin"),
    ("Mendes", "mendes"),
    ("Morin", "morin"),
    ("Nguyen", "nguyen"),
    ("O'Brien", "obrien"),
    ("Okafor", "okafor"),
    ("Patel", "patel"),
    ("Pelletier", "pelletier"),
    ("Reid", "reid"),
    ("Rossi", "rossi"),
    ("Roy", "roy"),
    ("Santos", "santos"),
    ("Sharma", "sharma"),
    ("Singh", "singh"),
    ("Smith", "smith"),
    ("Stewart", "stewart"),
    ("Tanaka", "tanaka"),
    ("Taylor", "taylor"),
    ("Tremblay", "tremblay"),
    ("Wilson", "wilson"),
    ("Wong", "wong"),
    ("Zhang", "zhang"),
];

const THEMES: &[&str] = &[
    "Amber",
    "Arctic",
    "Boreal",
    "Brass",
    "Cedar",
    "Clockwork",
    "Copper",
    "Crimson",
    "Drifting",
    "Ember",
    "Frozen",
    "Gilded",
    "Granite",
    "Hidden",
    "Hollow",
    "Iron",
    "Ivory",
    "Lantern",
    "Maple",
    "Midnight",
    "Northern",
    "Painted",
    "Prairie",
    "Quiet",
    "Scarlet",
    "Silver",
    "Stolen",
    "Sunken",
    "Thousand",
    "Verdant",
    "Wandering",
    "Winter",
];

const THINGS: &[&str] = &[
    "Archipelago",
    "Atlas",
    "Bazaar",
    "Beacon",
    "Bridge",
    "Caravan",
    "Castle",
    "Council",
    "Crossing",
    "Crown",
    "Dominion",
    "Embassy",
    "Expedition",
    "Foundry",
    "Garden",
    "Gambit",
    "Harbour",
    "Harvest",
    "Horizon",
    "Kingdom",
    "Labyrinth",
    "Lighthouse",
    "Market",
    "Menagerie",
    "Odyssey",
    "Orchard",
    "Passage",
    "Railway",
    "Regatta",
    "Summit",
    "Voyage",
    "Workshop",
];

const PLACES: &[&str] = &[
    "North",
    "South",
    "Isles",
    "Valley",
    "Coast",
    "Old Town",
    "Moon",
    "Tides",
    "Highlands",
    "Lakes",
    "Desert",
    "Deep",
    "Steppe",
    "Forest",
    "Stars",
    "River",
];
