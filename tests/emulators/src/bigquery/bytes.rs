//! How many bytes tables have and queries read.
//!
//! Sizes are those of <https://docs.cloud.google.com/bigquery/docs/estimate-costs#query_size_calculation>; nested and
//! repeated columns count as the length of their JSON. A query is taken to read every table it names in full, so the
//! estimate is an upper bound where BigQuery would prune columns and partitions.

use serde_json::Value;

use super::cloud::Cloud;
use super::name::Table;
use super::schema;
use super::sql::{self, Statement};
use crate::refusal::Refusal;

/// What is billed at least for each table that a query names.
/// <https://docs.cloud.google.com/bigquery/pricing#on_demand_pricing>
const MINIMUM: u64 = 10 << 20;
const MEGABYTE: u64 = 1 << 20;
/// Views nest at most so deep.
const NESTING: usize = 16;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What a query reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) bytes: u64,
    pub(crate) tables: Vec<Table>,
}

impl Estimate {
    pub(crate) fn billed(&self) -> u64 {
        let least = MINIMUM * self.tables.len() as u64;
        self.bytes.div_ceil(MEGABYTE).saturating_mul(MEGABYTE).max(least)
    }

    /// Refuses what would cost more than the caller allows.
    pub(crate) fn check(&self, maximum: Option<u64>) -> Result<(), Refusal> {
        let billed = self.billed();
        match maximum {
            Some(maximum) if billed > maximum => Err(Refusal::new(
                "bytesBilledLimitExceeded",
                format!("Query exceeded limit for bytes billed: {maximum}. {billed} or higher required."),
            )),
            _ => Ok(()),
        }
    }
}

/// The query that counts rows and bytes.
pub(crate) fn measure(table: &Table, table_schema: &Value) -> String {
    let terms: String = schema::fields(table_schema).iter().map(|field| format!(" + {}", column(field))).collect();
    format!("SELECT COUNT(*), 0{terms} FROM {}", table.sql())
}

fn column(field: &Value) -> String {
    let name = schema::name(field);
    let sum = |length: &str| format!("COALESCE(SUM({length}), 0)");
    let kind = schema::rest_type(field["type"].as_str().unwrap_or_default());
    if field["mode"] == "REPEATED" || kind == "RECORD" {
        return sum(&format!("BYTE_LENGTH(TO_JSON_STRING(`{name}`))"));
    }
    let each = match kind {
        "STRING" | "BYTES" => return sum(&format!("2 + BYTE_LENGTH(`{name}`)")),
        "JSON" => return sum(&format!("BYTE_LENGTH(TO_JSON_STRING(`{name}`))")),
        "BOOLEAN" => 1,
        "NUMERIC" | "INTERVAL" => 16,
        "BIGNUMERIC" => 32,
        // A point; what has more vertices is larger.
        "GEOGRAPHY" => 40,
        _ => 8,
    };
    format!("COUNT(`{name}`) * {each}")
}

/// What the statements read, through views down to tables.
pub(crate) async fn estimate(
    cloud: &mut Cloud,
    statements: &[Statement],
    project: &str,
    default_dataset: Option<&str>,
) -> Result<Estimate, Refusal> {
    let mut estimate = Estimate::default();
    let mut seen: Vec<Table> = Vec::new();
    let mut open: Vec<(Table, usize)> = Vec::new();
    let look = |statements: &[Statement], default: Option<&str>, depth: usize, open: &mut Vec<(Table, usize)>| {
        let names = statements.iter().flat_map(|statement| &statement.names);
        open.extend(names.filter_map(|name| Some((sql::resolve(name, project, default)?, depth))));
    };
    look(statements, default_dataset, 0, &mut open);
    while let Some((table, depth)) = open.pop() {
        let is_plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if seen.contains(&table)
            || ![&table.project, &table.dataset, &table.name].into_iter().all(|part| is_plain(part))
        {
            continue;
        }
        seen.push(table.clone());
        let Some(resource) = cloud.table(&table).await? else { continue };
        match resource.pointer("/view/query").and_then(Value::as_str) {
            Some(query) if depth < NESTING => look(&sql::statements(query), None, depth + 1, &mut open),
            Some(_) => return Err(Refusal::invalid_query("Views are nested too deeply")),
            None => {
                estimate.bytes += cloud.size(&table, &resource).await?.bytes;
                estimate.tables.push(table);
            }
        }
    }
    Ok(estimate)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_measured_by_the_documented_sizes() {
        let schema = json!({"fields": [
            {"name": "i", "type": "INT64"}, {"name": "s", "type": "STRING"}, {"name": "n", "type": "NUMERIC"},
            {"name": "r", "type": "STRING", "mode": "REPEATED"},
        ]});
        assert_eq!(
            measure(&Table::new("p", "d", "t"), &schema),
            "SELECT COUNT(*), 0 + COUNT(`i`) * 8 + COALESCE(SUM(2 + BYTE_LENGTH(`s`)), 0) + COUNT(`n`) * 16 \
             + COALESCE(SUM(BYTE_LENGTH(TO_JSON_STRING(`r`))), 0) FROM `p.d.t`"
        );
    }

    #[test]
    fn ten_megabytes_a_table_are_billed_at_least() {
        let table = Table::new("p", "d", "t");
        assert_eq!(Estimate { bytes: 1, tables: vec![table.clone(), table.clone()] }.billed(), 20 << 20);
        assert_eq!(Estimate { bytes: (10 << 20) + 1, tables: vec![table] }.billed(), 11 << 20);
        assert_eq!(Estimate::default().billed(), 0);
    }

    #[test]
    fn more_than_the_maximum_is_refused() {
        let estimate = Estimate { bytes: 1, tables: vec![Table::new("p", "d", "t")] };
        assert_eq!(estimate.check(None), Ok(()));
        assert_eq!(estimate.check(Some(10 << 20)), Ok(()));
        let refusal = estimate.check(Some(1_000_000)).unwrap_err();
        assert_eq!(refusal.message, "Query exceeded limit for bytes billed: 1000000. 10485760 or higher required.");
    }
}
