//! `promotion_groups_products_log`: the members of the custom groups.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, Pace},
    links::{self, Attributes, Link, Rule},
    products::Product,
    promotion_groups::Group,
    random::Random,
    table::{Log, Table, Type},
};

/// The table.
pub(super) const PROMOTION_GROUPS_PRODUCTS: Table = Table {
    name: "promotion_groups_products_log",
    key: &["promotion_group_id", "product_id"],
    columns: &[("promotion_group_id", Type::Integer), ("product_id", Type::Integer), ("added_on", Type::Date)],
    log: Log::Versions,
};

/// A member has nothing of its own; it changes when the day on which it was added is corrected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member;

impl Attributes for Member {
    const TABLE: &'static Table = &PROMOTION_GROUPS_PRODUCTS;
    const CORRECTION: i32 = 1;

    fn new(_: Random) -> Self {
        Self
    }

    fn changed(self, _: Random) -> Option<Self> {
        Some(Self)
    }

    fn cells(self, _: u32, _: u32) -> impl IntoIterator<Item = Cell> {
        []
    }
}

pub(super) fn fold(
    random: Random,
    days: &Days,
    products: &History<Product>,
    groups: &History<Group>,
) -> History<Link<Member>> {
    let rule = Rule {
        // One product in 16 is in a custom group.
        partners: |random| u32::from(random.low().is_multiple_of(16)),
        takes: |_, group: &Group| group.is_custom(),
        merged_into: |_| None,
        pace: Pace(150),
    };
    links::fold(random, days, products, groups, &rule)
}
