//! `authors_log`: who designs and draws the games.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, Pace, State, Step},
    names,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const AUTHORS: Table = Table {
    name: "authors_log",
    key: &["author_id"],
    columns: &[("author_id", Type::Integer), ("name", Type::Text), ("country", Type::Text), ("status", Type::Text)],
    log: Log::Versions,
};

const FOUNDING: u64 = 450;

/// Where authors and publishers come from, the frequent ones more than once.
pub(super) const COUNTRIES: [&str; 24] = [
    "US", "US", "US", "US", "DE", "DE", "DE", "FR", "FR", "GB", "GB", "IT", "IT", "CA", "CA", "JP", "PL", "ES", "NL",
    "CZ", "BE", "BR", "KR", "SE",
];

/// An author's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author {
    name: Random,
    country: &'static str,
    is_active: bool,
}

impl Author {
    fn new(random: Random) -> Self {
        Self { name: random, country: names::pick(&COUNTRIES, random.split(1).high()), is_active: true }
    }
}

impl State for Author {
    const TABLE: &'static Table = &AUTHORS;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let status = if self.is_active { "active" } else { "retired" };
        [Cell::id(row), names::person(self.name).into(), self.country.into(), status.into()]
    }
}

/// Renames, retirements, deletions and newcomers.
pub(super) fn fold(random: Random, days: &Days) -> History<Author> {
    let founding = random.split(0);
    History::founded(days, (0..FOUNDING).map(|row| Author::new(founding.split(row)))).unfold(
        random.split(1),
        days,
        Pace(200),
        |authors, _, event| {
            let Some(row) = authors.any(event.split(0), |_, _| true) else { return Step::Nothing };
            let author = authors.newest(row).state;
            match scale(event.high(), 100) {
                0..35 => Step::Insert(Author::new(event.split(1))),
                35..65 => Step::Update(row, Author { name: event.split(1), ..author }),
                65..90 => Step::Update(row, Author { is_active: !author.is_active, ..author }),
                _ => Step::Delete(row),
            }
        },
    )
}
