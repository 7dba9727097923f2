//! `payment_types_log`: how one can pay.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, Pace, State, Step},
    names,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const PAYMENT_TYPES: Table = Table {
    name: "payment_types_log",
    key: &["payment_type_id"],
    columns: &[("payment_type_id", Type::Integer), ("name", Type::Text), ("kind", Type::Text), ("status", Type::Text)],
    log: Log::Versions,
};

const FOUNDING: [(&str, &str); 8] = [
    ("Visa", "card"),
    ("Mastercard", "card"),
    ("Debit card", "card"),
    ("Gift card", "voucher"),
    ("Cash", "cash"),
    ("Phone wallet", "wallet"),
    ("Web wallet", "wallet"),
    ("Bank transfer", "transfer"),
];
const LATER: [(&str, &str); 5] = [
    ("Store credit", "voucher"),
    ("Watch wallet", "wallet"),
    ("Loyalty points", "voucher"),
    ("Prepaid card", "card"),
    ("Instant transfer", "transfer"),
];
/// The first ones are always accepted.
const LASTING: u32 = 4;

/// The founding types by how often they are used, in 16 payments.
const SHARES: [u32; 16] = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7];

/// The type to pay with for some random bits, if it is accepted.
#[inline]
pub(super) fn pick(bits: u32) -> u32 {
    SHARES[(bits % 16) as usize]
}

/// A type's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaymentType {
    name: &'static str,
    kind: &'static str,
    edition: u32,
    /// Whether it is accepted.
    pub(super) is_active: bool,
}

impl PaymentType {
    const fn new((name, kind): (&'static str, &'static str)) -> Self {
        Self { name, kind, edition: 1, is_active: true }
    }
}

impl State for PaymentType {
    const TABLE: &'static Table = &PAYMENT_TYPES;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let name = if self.edition == 1 { self.name.into() } else { format!("{} {}", self.name, self.edition).into() };
        [Cell::id(row), name, self.kind.into(), if self.is_active { "active" } else { "closed" }.into()]
    }
}

/// Renames; those that are not needed also close, open again, are deleted and added.
pub(super) fn fold(random: Random, days: &Days) -> History<PaymentType> {
    History::founded(days, FOUNDING.map(PaymentType::new)).unfold(random, days, Pace(10), |types, _, event| {
        let kind = scale(event.high(), 100);
        let added = Step::Insert(PaymentType::new(names::pick(&LATER, event.split(1).high())));
        let Some(row) = types.any(event.split(0), |row, _| kind < 30 || row >= LASTING) else { return added };
        let payment = types.newest(row).state;
        match kind {
            0..30 => Step::Update(row, PaymentType { edition: payment.edition + 1, ..payment }),
            30..65 => Step::Update(row, PaymentType { is_active: !payment.is_active, ..payment }),
            65..85 => added,
            _ => Step::Delete(row),
        }
    })
}
