//! `categories_products_log`: what kinds of game a product is, one of them the primary one.

use super::{
    calendar::Days,
    categories::{self, Category},
    cells::Cell,
    history::{History, Pace},
    links::{self, Attributes, Link, Rule},
    products::Product,
    random::Random,
    table::{Log, Table, Type},
};

/// The table.
pub(super) const CATEGORIES_PRODUCTS: Table = Table {
    name: "categories_products_log",
    key: &["category_id", "product_id"],
    columns: &[
        ("category_id", Type::Integer),
        ("product_id", Type::Integer),
        ("is_primary", Type::Boolean),
        ("added_on", Type::Date),
    ],
    log: Log::Versions,
};

/// Whether a category is the product's primary one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    is_primary: bool,
}

impl Attributes for Place {
    const TABLE: &'static Table = &CATEGORIES_PRODUCTS;

    fn new(_: Random) -> Self {
        Self { is_primary: false }
    }

    fn changed(self, _: Random) -> Option<Self> {
        None
    }

    fn is_lead(self) -> Option<bool> {
        Some(self.is_primary)
    }

    fn lead(self, is_primary: bool) -> Self {
        Self { is_primary }
    }

    fn cells(self, _: u32, _: u32) -> impl IntoIterator<Item = Cell> {
        [self.is_primary.into()]
    }
}

pub(super) fn fold(
    random: Random,
    days: &Days,
    products: &History<Product>,
    categories: &History<Category>,
) -> History<Link<Place>> {
    let rule = Rule {
        partners: |random| [1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4][(random.low() % 16) as usize],
        takes: |row, _| categories::is_leaf(row),
        merged_into: |_| None,
        pace: Pace(500),
    };
    links::fold(random, days, products, categories, &rule)
}
