//! A small retail log with everything that makes increments hard: facts that change their date, deletions, late versions,
//! rows that come twice, events that are delivered again, keys that are missing, partitions that are replaced.

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
         transaction_at timestamp, gross_subtotal_cents bigint, total_tax_cents bigint, total_cents bigint, \
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

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Rows of one partition as SQL values, by table.
#[derive(Clone, Debug, Default, PartialEq)]
struct Partition(BTreeMap<&'static str, Vec<String>>);

impl Partition {
    /// The rows of a day. A revision is what the source would say if the partition were made anew.
    fn new(day: u32, revision: u32) -> Self {
        let mut random = Random::new(u64::from(day) * 1_000 + u64::from(revision));
        let mut partition = Self::default();
        let mut sequence = u64::from(day) * 1_000_000;
        for customer in 0..CUSTOMERS {
            if day == 0 || random.one_in(3) {
                partition.customer(&mut random, day, customer, &mut sequence);
            }
        }
        for product in 0..PRODUCTS {
            if day == 0 || random.one_in(2) {
                partition.product(&mut random, day, product, &mut sequence);
            }
        }
        let new = if day == 0 { 600 } else { 6 };
        for number in 0..new {
            partition.transaction(&mut random, (day, number), day, &mut sequence, false);
        }
        // Transactions of earlier days are told again: moved, changed or deleted.
        for _ in 0..if day == 0 { 0 } else { 5 } {
            let earlier = random.below(u64::from(day)) as u32;
            let number = random.below(6);
            let deleted = random.one_in(3);
            partition.transaction(&mut random, (earlier, number), day, &mut sequence, deleted);
        }
        partition
    }

    fn push(&mut self, random: &mut Random, table: &'static str, row: &str, sequence: &mut u64) {
        let rows = self.0.entry(table).or_default();
        *sequence += 1;
        rows.push(row.replace("SEQUENCE", &sequence.to_string()));
        if random.one_in(8) {
            // Twice, to the byte.
            rows.push(row.replace("SEQUENCE", &sequence.to_string()));
        }
        if random.one_in(8) {
            // Delivered again.
            *sequence += 1;
            rows.push(row.replace("SEQUENCE", &sequence.to_string()));
        }
    }

    fn customer(&mut self, random: &mut Random, day: u32, customer: u64, sequence: &mut u64) {
        let key = if random.one_in(15) { "null".to_owned() } else { format!("'c{customer}'") };
        let province = ["ON", "QC", "BC"][random.below(3) as usize];
        let valid_from = late(random, day);
        let row = format!(
            "({key}, 'First', 'Last', 'c{customer}@example.com', '{province}', date '1990-01-01', 'active', \
             timestamp '2025-07-01', {}, {valid_from}, {}, SEQUENCE, 'update')",
            random.one_in(10),
            at(day, 12)
        );
        self.push(random, "customers", &row, sequence);
    }

    fn product(&mut self, random: &mut Random, day: u32, product: u64, sequence: &mut u64) {
        let price = 100 + random.below(50);
        let valid_from = late(random, day);
        let row = format!(
            "({product}, 'Product', {price}, {}, 'active', false, {valid_from}, {}, SEQUENCE, 'update')",
            price / 2,
            at(day, 12)
        );
        self.push(random, "products", &row, sequence);
    }

    fn transaction(
        &mut self,
        random: &mut Random,
        (first_day, number): (u32, u64),
        told: u32,
        sequence: &mut u64,
        deleted: bool,
    ) {
        let id = format!("t{first_day}-{number}");
        let operation = if deleted { "delete" } else { "insert" };
        let date = if first_day == told || random.one_in(2) { first_day } else { random.below(u64::from(DAYS)) as u32 };
        let count = 1 + random.below(3);
        let mut subtotal = 0;
        for line in 1..=count {
            let quantity = 1 + random.below(4);
            let price = 100 + random.below(50);
            subtotal += quantity * price;
            let row = format!(
                "('{id}', {line}, {}, {quantity}, {price}, {}, {deleted}, {}, SEQUENCE, '{operation}')",
                random.below(PRODUCTS),
                quantity * price,
                at(told, 13)
            );
            self.push(random, "transaction_lines", &row, sequence);
        }
        let key = if random.one_in(20) { "null".to_owned() } else { format!("'{id}'") };
        let row = format!(
            "({key}, 'c{}', {}, 'Purchase', null, {}, {subtotal}, 10, {}, {deleted}, {}, SEQUENCE, '{operation}')",
            random.below(CUSTOMERS),
            1 + random.below(2),
            at(date, random.below(24)),
            subtotal + 10,
            at(told, 13)
        );
        self.push(random, "transaction_headers", &row, sequence);
    }
}

fn at(day: u32, hour: u64) -> String {
    format!("timestamp '2025-08-{:02} {hour:02}:00:00'", day + 1)
}

/// A state's begin: now, or up to three days before it became visible.
fn late(random: &mut Random, day: u32) -> String {
    let earlier = if random.one_in(3) { random.below(4) as u32 } else { 0 };
    at(day.saturating_sub(earlier), random.below(3) * 6)
}

/// What has been delivered: the revision of each day.
pub(crate) type Delivered = BTreeMap<u32, u32>;

/// Fills `raw` and `changes` of a slot's file as the pipeline does: all rows that are there now, and the old and new rows of the
/// partitions that differ. Names the tables that changed.
pub(crate) fn fill(file: &Path, before: &Delivered, now: &Delivered) -> BTreeSet<String> {
    let connection = Connection::open(file).unwrap();
    let mut sql = "drop schema if exists changes cascade; create schema changes; create schema if not exists raw;\n".to_owned();
    let mut changed = BTreeSet::new();
    for (table, columns) in TABLES {
        let create = |name: &str| format!("create or replace table {name} ({columns}, _partition varchar);\n");
        sql += &create(&format!("raw.{table}"));
        for (day, revision) in now {
            insert(&mut sql, &format!("raw.{table}"), *day, *revision, table);
        }
        let differing: Vec<u32> = (0..DAYS).filter(|day| before.get(day) != now.get(day)).collect();
        if !differing.is_empty() {
            changed.insert(table.to_owned());
            let changes = format!("changes.raw__{table}");
            sql += &create(&changes);
            for (day, revision) in differing.iter().flat_map(|day| [(day, before.get(day)), (day, now.get(day))]) {
                if let Some(revision) = revision {
                    insert(&mut sql, &changes, *day, *revision, table);
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
            false as is_holiday, null::varchar as holiday_name, 'all' as _partition \
            from range(timestamp '2025-07-01', timestamp '2025-09-01', interval 1 day) as days(day);\n";
    partitions(&mut sql, now);
    if before.is_empty() {
        changed.insert("dates".to_owned());
    }
    connection.execute_batch(&sql).unwrap();
    changed
}

fn insert(sql: &mut String, target: &str, day: u32, revision: u32, table: &str) {
    let partition = Partition::new(day, revision);
    let Some(rows) = partition.0.get(table) else { return };
    let whole = |row: &String| format!("{}, '2025-08-{:02}')", row.strip_suffix(')').unwrap(), day + 1);
    let rows: Vec<String> = rows.iter().map(whole).collect();
    writeln!(sql, "insert into {target} values {};", rows.join(", ")).unwrap();
}

/// Every day's delivery has all channels; the first one is renamed on the third day.
fn channels(sql: &mut String, now: &Delivered) {
    writeln!(sql, "create or replace table raw.channels ({CHANNELS}, _partition varchar);").unwrap();
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
