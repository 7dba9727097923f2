//! `authors_products_log`: who designed and drew what.

use super::{
    authors::Author,
    calendar::Days,
    cells::Cell,
    history::{History, Pace},
    links::{self, Attributes, Link, Rule},
    products::Product,
    random::Random,
    table::{Log, Table, Type},
};

/// The table.
pub(super) const AUTHORS_PRODUCTS: Table = Table {
    name: "authors_products_log",
    key: &["author_id", "product_id"],
    columns: &[
        ("author_id", Type::Integer),
        ("product_id", Type::Integer),
        ("role", Type::Text),
        ("added_on", Type::Date),
    ],
    log: Log::Versions,
};

/// What an author does for a game.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role {
    is_artist: bool,
}

impl Attributes for Role {
    const TABLE: &'static Table = &AUTHORS_PRODUCTS;

    fn new(random: Random) -> Self {
        Self { is_artist: random.low().is_multiple_of(4) }
    }

    fn changed(self, _: Random) -> Option<Self> {
        Some(Self { is_artist: !self.is_artist })
    }

    fn cells(self, _: u32, _: u32) -> impl IntoIterator<Item = Cell> {
        [if self.is_artist { "artist" } else { "designer" }.into()]
    }
}

pub(super) fn fold(
    random: Random,
    days: &Days,
    products: &History<Product>,
    authors: &History<Author>,
) -> History<Link<Role>> {
    let rule = Rule {
        partners: |random| [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3][(random.low() % 16) as usize],
        takes: |_, _| true,
        merged_into: |_| None,
        pace: Pace(300),
    };
    links::fold(random, days, products, authors, &rule)
}
