//! `publishers_log`: who publishes the games.

use super::{
    authors::COUNTRIES,
    calendar::Days,
    cells::Cell,
    history::{History, Pace, State, Step},
    names,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const PUBLISHERS: Table = Table {
    name: "publishers_log",
    key: &["publisher_id"],
    columns: &[
        ("publisher_id", Type::Integer),
        ("name", Type::Text),
        ("country", Type::Text),
        ("website", Type::Text),
        ("status", Type::Text),
    ],
    log: Log::Versions,
};

const FOUNDING: u64 = 1_200;

const KINDS: [&str; 6] = ["Games", "Press", "Studio", "Publishing", "Editions", "Workshop"];

/// A publisher's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publisher {
    name: Random,
    country: &'static str,
    is_active: bool,
}

impl Publisher {
    fn new(random: Random) -> Self {
        Self { name: random, country: names::pick(&COUNTRIES, random.split(1).high()), is_active: true }
    }
}

impl State for Publisher {
    const TABLE: &'static Table = &PUBLISHERS;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let name = format!("{} {}", names::house(self.name), names::pick(&KINDS, self.name.split(0).high()));
        let website = format!("https://{}-{}.example", names::slug(&name), row + 1);
        let status = if self.is_active { "active" } else { "closed" };
        [Cell::id(row), name.into(), self.country.into(), website.into(), status.into()]
    }
}

/// Renames, with which the website moves, moves to another country, closures, deletions and newcomers.
pub(super) fn fold(random: Random, days: &Days) -> History<Publisher> {
    let founding = random.split(0);
    History::founded(days, (0..FOUNDING).map(|row| Publisher::new(founding.split(row)))).unfold(
        random.split(1),
        days,
        Pace(300),
        |publishers, _, event| {
            let Some(row) = publishers.any(event.split(0), |_, _| true) else { return Step::Nothing };
            let publisher = publishers.newest(row).state;
            match scale(event.high(), 100) {
                0..35 => Step::Insert(Publisher::new(event.split(1))),
                35..55 => Step::Update(row, Publisher { name: event.split(1), ..publisher }),
                55..70 => {
                    let country = names::pick(&COUNTRIES, event.split(1).high());
                    Step::Update(row, Publisher { country, ..publisher })
                }
                70..90 => Step::Update(row, Publisher { is_active: !publisher.is_active, ..publisher }),
                _ => Step::Delete(row),
            }
        },
    )
}
