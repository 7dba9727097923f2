//! A small retail log with everything that makes increments hard: facts that change their date, deletions, late versions,
//! rows that come twice, events that are delivered again, partitions that are replaced, and, in the wild, keys that are missing and
//! totals that are wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use duckdb::Connection;

/// Days of the log. The first one has more transactions than fit into a list of literals.
pub(crate) const DAYS: u32 = 6;
const CUSTOMERS: u64 = 6;
const PRODUCTS: u64 = 5;

/// Tables of a partition with their columns.
const TABLES: [(&str, &str); 4] = [
    (
        "customers",
        "customer_id varchar, first_name varchar, last_name varchar, email varchar, province varchar, date_of_birth date, \
         status varchar, registered_at timestamp, is_deleted boolean, valid_from timestamp, changed_at timestamp, \
         change_sequence bigint, operation varchar",
    ),
    (
        "products",
        "product_id bigint, name varchar, unit_price_cents bigint, cost_price_cents bigint, status varchar, \
         is_deleted boolean, valid_from timestamp, changed_at timestamp, change_sequence bigint, operation varchar",
    ),
    (
        "transaction_headers",
        "transaction_id varchar, customer_id varchar, channel_id bigint, type varchar, original_transaction_id varchar, \
         transaction_at timestamp, gross_subtotal_cents bigint, total_discount_cents bigint, total_tax_cents bigint, total_cents bigint, \
         is_deleted boolean, changed_at timestamp, change_sequence bigint, operation varchar",
    ),
    (
        "transaction_lines",
        "transaction_id varchar, line_number bigint, product_id bigint, quantity bigint, unit_price_cents bigint, \
         gross_line_total_cents bigint, is_deleted boolean, changed_at timestamp, change_sequence bigint, operation varchar",
    ),
];

const CHANNELS: &str = "channel_id bigint, name varchar, status varchar, modified_at timestamp";

/// A generator whose numbers depend on its seed alone.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d);
        random.below(2);
        random
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(crate) fn day(&mut self, limit: u32) -> u32 {
        u32::try_from(self.below(u64::from(limit))).unwrap()
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Whether every test of the project holds for a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Style {
    Sound,
    Wild,
}

/// Rows of one partition as SQL values, by table.
#[derive(Clone, Debug)]
struct Partition {
    rows: BTreeMap<&'static str, Vec<String>>,
    random: Random,
    style: Style,
    day: u32,
    sequence: u64,
}

impl Partition {
    /// The rows of a day. A revision is what the source would say if the partition were made anew.
    fn new(style: Style, day: u32, revision: u32) -> Self {
        let random = Random::new(u64::from(day) * 1_000 + u64::from(revision));
        let mut partition = Self { rows: BTreeMap::new(), random, style, day, sequence: u64::from(day) * 1_000_000 };
        for customer in 0..CUSTOMERS {
            if day == 0 || partition.random.one_in(3) {
                partition.customer(customer);
            }
        }
        for product in 0..PRODUCTS {
            if day == 0 || partition.random.one_in(2) {
                partition.product(product);
            }
        }
        for number in 0..if day == 0 { 600 } else { 6 } {
            partition.transaction(day, number, false);
        }
        // Transactions of earlier days are told again: moved, changed or deleted.
        for _ in 0..if day == 0 { 0 } else { 5 } {
            let earlier = partition.random.day(day);
            let number = partition.random.below(6);
            let is_deleted = partition.random.one_in(3);
            partition.transaction(earlier, number, is_deleted);
        }
        partition
    }

    fn push(&mut self, table: &'static str, row: &str) {
        self.sequence += 1;
        let mut row_now = row.replace("SEQUENCE", &self.sequence.to_string());
        let rows = self.rows.entry(table).or_default();
        rows.push(row_now.clone());
        if self.random.one_in(8) {
            // Twice, to the byte.
            rows.push(row_now);
        }
        if self.random.one_in(8) {
            // Delivered again.
            self.sequence += 1;
            row_now = row.replace("SEQUENCE", &self.sequence.to_string());
            rows.push(row_now);
        }
    }

    /// A key as SQL. In the wild some are missing.
    fn key(&mut self, key: &str) -> String {
        if self.style == Style::Wild && self.random.one_in(15) { "null".to_owned() } else { format!("'{key}'") }
    }

    /// From when on a state holds: now, or up to three days before it became visible. The first day's hold from its first instant.
    fn valid_from(&mut self) -> String {
        let earlier = if self.random.one_in(3) { self.random.day(4) } else { 0 };
        let hour = if self.day == 0 { 0 } else { self.random.below(3) * 6 };
        at(self.day.saturating_sub(earlier), hour)
    }

    fn customer(&mut self, customer: u64) {
        let key = self.key(&format!("c{customer}"));
        let province = ["ON", "QC", "BC"][usize::try_from(self.random.below(3)).unwrap()];
        let valid_from = self.valid_from();
        let is_deleted = self.random.one_in(10);
        let changed_at = at(self.day, 12);
        let row = format!(
            "({key}, 'First', 'Last', 'c{customer}@example.com', '{province}', date '1990-01-01', 'active', \
             timestamp '2025-07-01', {is_deleted}, {valid_from}, {changed_at}, SEQUENCE, 'update')"
        );
        self.push("customers", &row);
    }

    fn product(&mut self, product: u64) {
        let price = 100 + self.random.below(50);
        let valid_from = self.valid_from();
        let changed_at = at(self.day, 12);
        let row = format!(
            "({product}, 'Product', {price}, {}, 'active', false, {valid_from}, {changed_at}, SEQUENCE, 'update')",
            price / 2
        );
        self.push("products", &row);
    }

    fn transaction(&mut self, first_day: u32, number: u64, is_deleted: bool) {
        let id = format!("t{first_day}-{number}");
        let operation = if is_deleted { "delete" } else { "insert" };
        let is_moved = first_day != self.day && self.random.one_in(2);
        let date = if is_moved { self.random.day(DAYS) } else { first_day };
        let changed_at = at(self.day, 13);
        // In a sound log a transaction keeps its lines.
        let count = if self.style == Style::Sound { 1 + number % 3 } else { 1 + self.random.below(3) };
        let mut subtotal = 0;
        for line in 1..=count {
            let (quantity, price) = (1 + self.random.below(4), 100 + self.random.below(50));
            subtotal += quantity * price;
            let row = format!(
                "('{id}', {line}, {}, {quantity}, {price}, {}, {is_deleted}, {changed_at}, SEQUENCE, '{operation}')",
                self.random.below(PRODUCTS),
                quantity * price,
            );
            self.push("transaction_lines", &row);
        }
        let key = self.key(&id);
        let row = format!(
            "({key}, 'c{}', {}, 'Purchase', null, {}, {subtotal}, 0, 10, {}, {is_deleted}, {changed_at}, SEQUENCE, '{operation}')",
            self.random.below(CUSTOMERS),
            1 + self.random.below(2),
            at(date, self.random.below(24)),
            subtotal + 10,
        );
        self.push("transaction_headers", &row);
    }
}

fn at(day: u32, hour: u64) -> String {
    format!("timestamp '2025-08-{:02} {hour:02}:00:00'", day + 1)
}

/// What has been delivered: the revision of each day.
pub(crate) type Delivered = BTreeMap<u32, u32>;

/// Fills `raw` and `changes` of a slot's file as the pipeline does: all rows that are there now, and the old and new rows of the
/// partitions that differ. Names the tables that changed.
pub(crate) fn fill(style: Style, file: &Path, before: &Delivered, now: &Delivered) -> BTreeSet<String> {
    let connection = Connection::open(file).unwrap();
    let mut sql =
        "drop schema if exists changes cascade; create schema changes; create schema if not exists raw;\n".to_owned();
    let mut changed = BTreeSet::new();
    for (table, columns) in TABLES {
        let create = |name: &str| format!("create or replace table {name} ({columns}, bgp_partition varchar);\n");
        sql += &create(&format!("raw.{table}"));
        for (day, revision) in now {
            insert(&mut sql, style, &format!("raw.{table}"), *day, *revision, table);
        }
        let differing: Vec<u32> = (0..DAYS).filter(|day| before.get(day) != now.get(day)).collect();
        if !differing.is_empty() {
            changed.insert(table.to_owned());
            let target = format!("changes.raw__{table}");
            sql += &create(&target);
            for (day, revision) in differing.iter().flat_map(|day| [(day, before.get(day)), (day, now.get(day))]) {
                if let Some(revision) = revision {
                    insert(&mut sql, style, &target, *day, *revision, table);
                }
            }
        }
    }
    channels(&mut sql, now);
    if before != now {
        changed.insert("channels".to_owned());
    }
    sql += "create or replace table raw.dates as select day::date as date_day, year(day) as year, quarter(day) as quarter, \
            month(day) as month, monthname(day) as month_name, week(day) as week_of_year, isoyear(day) as iso_year, \
            day(day) as day_of_month, isodow(day) as day_of_week, dayname(day) as day_name, isodow(day) > 5 as is_weekend, \
            false as is_holiday, null::varchar as holiday_name, 'all' as bgp_partition \
            from range(timestamp '2025-07-01', timestamp '2025-09-01', interval 1 day) as days(day);\n";
    partitions(&mut sql, now);
    if before.is_empty() {
        changed.insert("dates".to_owned());
    }
    connection.execute_batch(&sql).unwrap();
    changed
}

fn insert(sql: &mut String, style: Style, target: &str, day: u32, revision: u32, table: &str) {
    let partition = Partition::new(style, day, revision);
    let Some(rows) = partition.rows.get(table) else { return };
    let whole = |row: &String| format!("{}, '2025-08-{:02}')", row.strip_suffix(')').unwrap(), day + 1);
    let rows: Vec<String> = rows.iter().map(whole).collect();
    writeln!(sql, "insert into {target} values {};", rows.join(", ")).unwrap();
}

/// Every day's delivery has all channels; the first one is renamed on the third day.
fn channels(sql: &mut String, now: &Delivered) {
    writeln!(sql, "create or replace table raw.channels ({CHANNELS}, bgp_partition varchar);").unwrap();
    for day in now.keys() {
        let (name, modified) = if *day < 2 { ("Web", 0) } else { ("Online", 2) };
        let partition = format!("2025-08-{:02}", day + 1);
        writeln!(
            sql,
            "insert into raw.channels values (1, '{name}', 'active', {}, '{partition}'), (2, 'Shop', 'active', {}, '{partition}');",
            at(modified, 0),
            at(0, 0)
        )
        .unwrap();
    }
}

fn partitions(sql: &mut String, now: &Delivered) {
    sql.push_str(
        "create or replace table raw.bgp_partitions (table_name varchar, partition varchar, starts_at timestamp, \
         ends_at timestamp, row_count bigint, is_contiguous boolean);\n",
    );
    let gap = (0..DAYS).find(|day| !now.contains_key(day)).unwrap_or(DAYS);
    for day in now.keys() {
        for (table, _) in TABLES {
            writeln!(
                sql,
                "insert into raw.bgp_partitions values ('{table}', '2025-08-{:02}', {}, {}, 0, {});",
                day + 1,
                at(*day, 0),
                at(day + 1, 0),
                *day < gap
            )
            .unwrap();
        }
    }
}
