//! `promotion_groups_log`: what a promotion is for, by category or product by product.

use super::{
    calendar::Days,
    categories,
    cells::Cell,
    history::{History, Pace, State, Step},
    names,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const PROMOTION_GROUPS: Table = Table {
    name: "promotion_groups_log",
    key: &["promotion_group_id"],
    columns: &[
        ("promotion_group_id", Type::Integer),
        ("name", Type::Text),
        ("group_type", Type::Text),
        ("category_id", Type::Integer),
        ("status", Type::Text),
    ],
    log: Log::Versions,
};

const FOUNDING: u32 = 8;
/// Promotions are for the first groups, which stay; the others come and go without ever having been used.
pub(super) const LASTING: u32 = 6;

/// A group's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    name: Random,
    edition: u32,
    /// Everything below this category belongs to it; a custom group lists its products.
    pub(super) category: Option<u32>,
    is_active: bool,
}

impl Group {
    fn new(random: Random, row: u32) -> Self {
        // Every other group is a custom one.
        let category = row.is_multiple_of(2).then(|| scale(random.high(), categories::LASTING));
        Self { name: random.split(0), edition: 1, category, is_active: true }
    }

    /// Whether its products are listed one by one.
    pub(super) fn is_custom(&self) -> bool {
        self.category.is_none()
    }
}

impl State for Group {
    const TABLE: &'static Table = &PROMOTION_GROUPS;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let kind = if self.is_custom() { "Custom" } else { "Category" };
        let status = if self.is_active { "active" } else { "closed" };
        [
            Cell::id(row),
            format!("{} {}", names::house(self.name), self.edition).into(),
            kind.into(),
            self.category.map(Cell::id).into(),
            status.into(),
        ]
    }
}

/// Renames everywhere; groups that nothing names also close, are deleted and added.
pub(super) fn fold(random: Random, days: &Days) -> History<Group> {
    let founding = random.split(0);
    let states = (0..FOUNDING).map(|row| Group::new(founding.split(u64::from(row)), row));
    History::founded(days, states).unfold(random.split(1), days, Pace(20), |groups, _, event| {
        let kind = scale(event.high(), 100);
        let Some(row) = groups.any(event.split(0), |row, _| kind < 35 || row >= LASTING) else {
            return Step::Insert(Group::new(event.split(1), groups.rows()));
        };
        let group = groups.newest(row).state;
        match kind {
            0..35 => Step::Update(row, Group { edition: group.edition + 1, ..group }),
            35..60 => Step::Update(row, Group { is_active: !group.is_active, ..group }),
            60..85 => Step::Insert(Group::new(event.split(1), groups.rows())),
            _ => Step::Delete(row),
        }
    })
}
