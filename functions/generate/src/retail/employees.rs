//! `employees_log`: who works in the store.

use super::{
    calendar::Days,
    cells::Cell,
    channels,
    columns::epoch_day,
    history::{History, Pace, State, Step},
    names,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const EMPLOYEES: Table = Table {
    name: "employees_log",
    key: &["employee_id"],
    columns: &[
        ("employee_id", Type::Integer),
        ("first_name", Type::Text),
        ("last_name", Type::Text),
        ("email", Type::Text),
        ("role", Type::Text),
        ("channel_id", Type::Integer),
        ("hired_on", Type::Date),
        ("status", Type::Text),
    ],
    log: Log::Versions,
};

const FOUNDING: u32 = 60;
const ROLES: [&str; 4] = ["cashier", "cashier", "advisor", "manager"];

/// An employee's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Employee {
    first: Random,
    last: Random,
    role: &'static str,
    hired_on: i32,
    /// Whether they work there.
    pub(super) is_active: bool,
}

impl Employee {
    fn new(random: Random, hired_on: i32) -> Self {
        let role = names::pick(&ROLES, random.split(2).high());
        Self { first: random.split(0), last: random.split(1), role, hired_on, is_active: true }
    }
}

impl State for Employee {
    const TABLE: &'static Table = &EMPLOYEES;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let ((first, first_mail), (last, last_mail)) = (names::first(self.first), names::last(self.last));
        [
            Cell::id(row),
            first.into(),
            last.into(),
            format!("{first_mail}.{last_mail}.{}@retail.example", row + 1).into(),
            self.role.into(),
            channels::STORE.into(),
            Cell::Date(self.hired_on),
            if self.is_active { "active" } else { "left" }.into(),
        ]
    }
}

/// Hires, new last names and roles; people who leave, and in the end are deleted. The first one stays.
pub(super) fn fold(random: Random, days: &Days) -> History<Employee> {
    let founding = random.split(0);
    let start = epoch_day(days.get(0).date);
    let states = (0..FOUNDING).map(|row| {
        let random = founding.split(u64::from(row));
        let years = i32::try_from(random.split(3).below(3_000)).unwrap_or_default();
        Employee::new(random, start - 1 - years)
    });
    History::founded(days, states).unfold(random.split(1), days, Pace(50), |employees, moment, event| {
        let kind = scale(event.high(), 100);
        // Only those who have left are deleted, and nothing else happens to them.
        let may = |row: u32, employee: &Employee| row > 0 && employee.is_active == (kind < 90);
        let Some(row) = employees.any(event.split(0), may) else { return Step::Nothing };
        let (employee, bits) = (employees.newest(row).state, event.split(1));
        match kind {
            0..35 => Step::Insert(Employee::new(bits, epoch_day(moment.day.date))),
            35..50 => Step::Update(row, Employee { last: bits, ..employee }),
            50..65 => Step::Update(row, Employee { role: names::pick(&ROLES, bits.high()), ..employee }),
            65..90 => Step::Update(row, Employee { is_active: false, ..employee }),
            _ => Step::Delete(row),
        }
    })
}
