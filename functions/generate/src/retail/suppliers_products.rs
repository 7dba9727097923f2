//! `suppliers_products_log`: who delivers what at which cost, one of them preferred.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, Pace},
    links::{self, Attributes, Link, Rule},
    products::Product,
    random::Random,
    suppliers::Supplier,
    table::{Log, Table, Type},
};

/// The table.
pub(super) const SUPPLIERS_PRODUCTS: Table = Table {
    name: "suppliers_products_log",
    key: &["supplier_id", "product_id"],
    columns: &[
        ("supplier_id", Type::Integer),
        ("product_id", Type::Integer),
        ("supplier_code", Type::Text),
        ("unit_cost_cents", Type::Integer),
        ("is_preferred", Type::Boolean),
        ("added_on", Type::Date),
    ],
    log: Log::Versions,
};

/// On which terms a supplier delivers a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    unit_cost: i64,
    is_preferred: bool,
}

impl Attributes for Terms {
    const TABLE: &'static Table = &SUPPLIERS_PRODUCTS;

    fn new(random: Random) -> Self {
        Self { unit_cost: 250 + random.below(6_000), is_preferred: false }
    }

    fn changed(self, random: Random) -> Option<Self> {
        // One change in three is of the preference.
        let unit_cost = (self.unit_cost * (90 + random.below(25)) / 100).max(100);
        (!random.low().is_multiple_of(3)).then_some(Self { unit_cost, ..self })
    }

    fn is_lead(self) -> Option<bool> {
        Some(self.is_preferred)
    }

    fn lead(self, is_preferred: bool) -> Self {
        Self { is_preferred, ..self }
    }

    fn cells(self, supplier: u32, product: u32) -> impl IntoIterator<Item = Cell> {
        let code = format!("S{:02}-{:05}", supplier + 1, product + 1);
        [code.into(), self.unit_cost.into(), self.is_preferred.into()]
    }
}

pub(super) fn fold(
    random: Random,
    days: &Days,
    products: &History<Product>,
    suppliers: &History<Supplier>,
) -> History<Link<Terms>> {
    let rule = Rule {
        partners: |random| [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3][(random.low() % 16) as usize],
        takes: |_, supplier: &Supplier| supplier.is_active(),
        merged_into: Supplier::merged_into,
        pace: Pace(400),
    };
    links::fold(random, days, products, suppliers, &rule)
}
