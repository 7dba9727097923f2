//! `suppliers_log`: who delivers the games. Some move, some merge into another, and their deliveries go over to it.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, Pace, State, Step},
    names,
    places::{Address, ascii},
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const SUPPLIERS: Table = Table {
    name: "suppliers_log",
    key: &["supplier_id"],
    columns: &[
        ("supplier_id", Type::Integer),
        ("name", Type::Text),
        ("contact_name", Type::Text),
        ("contact_email", Type::Text),
        ("contact_phone", Type::Text),
        ("street", Type::Text),
        ("city", Type::Text),
        ("province", Type::Text),
        ("postal_code", Type::Text),
        ("lead_time_days", Type::Integer),
        ("status", Type::Text),
        ("merged_into_supplier_id", Type::Integer),
    ],
    log: Log::Versions,
};

const FOUNDING: u64 = 24;
/// The first suppliers stay as they are, so that there is always somebody to merge into.
const LASTING: u32 = 6;

const KINDS: [&str; 5] = ["Distribution", "Wholesale", "Logistics", "Trading", "Imports"];

/// A supplier's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Supplier {
    name: Random,
    contact: Random,
    address: Address,
    lead_time: i64,
    status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Active,
    Merged { into: u32 },
    Closed,
}

impl Supplier {
    fn new(random: Random) -> Self {
        Self {
            name: random.split(0),
            contact: random.split(1),
            address: Address::new(random.split(2)),
            lead_time: 2 + random.split(3).below(26),
            status: Status::Active,
        }
    }

    /// Whether it takes on products.
    pub(super) fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// The supplier that it is now a part of.
    pub(super) fn merged_into(&self) -> Option<u32> {
        if let Status::Merged { into } = self.status { Some(into) } else { None }
    }
}

impl State for Supplier {
    const TABLE: &'static Table = &SUPPLIERS;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let name = format!("{} {}", names::last(self.name).0, names::pick(&KINDS, self.name.high()));
        let (first, first_mail) = names::first(self.contact);
        let (last, last_mail) = names::last(self.contact);
        let phone = self.contact.split(0);
        let (number, street, kind) = self.address.street();
        let status = match self.status {
            Status::Active => "active",
            Status::Merged { .. } => "merged",
            Status::Closed => "closed",
        };
        [
            Cell::id(row),
            name.into(),
            format!("{first} {last}").into(),
            format!("{first_mail}.{last_mail}@supplier-{}.example", row + 1).into(),
            // 555-01 numbers are kept free for fiction.
            format!("+1-{}-555-01{:02}", 200 + scale(phone.high(), 700), scale(phone.low(), 100)).into(),
            format!("{number} {street} {kind}").into(),
            self.address.city().into(),
            self.address.province.code().into(),
            ascii(&self.address.postal_code()).to_owned().into(),
            self.lead_time.into(),
            status.into(),
            self.merged_into().map(Cell::id).into(),
        ]
    }
}

/// New addresses, contacts and lead times; mergers, closures, deletions and newcomers.
pub(super) fn fold(random: Random, days: &Days) -> History<Supplier> {
    let founding = random.split(0);
    History::founded(days, (0..FOUNDING).map(|row| Supplier::new(founding.split(row)))).unfold(
        random.split(1),
        days,
        Pace(80),
        |suppliers, _, event| {
            let Some(row) = suppliers.any(event.split(0), |_, supplier| supplier.is_active()) else {
                return Step::Nothing;
            };
            let (supplier, bits) = (suppliers.newest(row).state, event.split(1));
            let kind = scale(event.high(), 100);
            if row >= LASTING && kind < 16 {
                let into = scale(bits.high(), LASTING);
                return match kind {
                    0..8 => Step::Prompt(row, Supplier { status: Status::Merged { into }, ..supplier }),
                    8..12 => Step::Update(row, Supplier { status: Status::Closed, ..supplier }),
                    _ => Step::Delete(row),
                };
            }
            match kind {
                0..45 => Step::Update(row, Supplier { address: Address::new(bits), ..supplier }),
                45..57 => Step::Insert(Supplier::new(bits)),
                57..85 => Step::Update(row, Supplier { contact: bits, ..supplier }),
                _ => Step::Update(row, Supplier { lead_time: 2 + bits.below(26), ..supplier }),
            }
        },
    )
}
