//! `publishers_products_log`: who publishes what, and where.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, Pace},
    links::{self, Attributes, Link, Rule},
    names,
    products::Product,
    publishers::Publisher,
    random::Random,
    table::{Log, Table, Type},
};

/// The table.
pub(super) const PUBLISHERS_PRODUCTS: Table = Table {
    name: "publishers_products_log",
    key: &["publisher_id", "product_id"],
    columns: &[
        ("publisher_id", Type::Integer),
        ("product_id", Type::Integer),
        ("region", Type::Text),
        ("added_on", Type::Date),
    ],
    log: Log::Versions,
};

const REGIONS: [&str; 6] = ["World", "North America", "Europe", "Asia", "South America", "Oceania"];

/// Where a publisher has the rights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region(&'static str);

impl Attributes for Region {
    const TABLE: &'static Table = &PUBLISHERS_PRODUCTS;

    fn new(random: Random) -> Self {
        Self(names::pick(&REGIONS, random.high()))
    }

    fn changed(self, random: Random) -> Option<Self> {
        Some(Self::new(random))
    }

    fn cells(self, _: u32, _: u32) -> impl IntoIterator<Item = Cell> {
        [self.0.into()]
    }
}

pub(super) fn fold(
    random: Random,
    days: &Days,
    products: &History<Product>,
    publishers: &History<Publisher>,
) -> History<Link<Region>> {
    let rule = Rule {
        partners: |random| [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 5, 6][(random.low() % 16) as usize],
        takes: |_, _| true,
        merged_into: |_| None,
        pace: Pace(400),
    };
    links::fold(random, days, products, publishers, &rule)
}
