//! What BigQuery would count of a cycle that was built elsewhere: the bytes of its tables, and those that its queries read.

use std::collections::{BTreeMap, BTreeSet};

use dbt::{Kind, Node, Project};
use pipeline::RuleCheck;
use serde_json::Value;
use service::{Platform, Problem};
use wap::{Receipt, Slot};

/// [Billed at least](https://cloud.google.com/bigquery/pricing#on_demand_pricing) for each table that a query names.
const LEAST_BILLED: u64 = 10 << 20;

/// Bytes of each column of the relations of a slot, by [BigQuery's sizes of types](https://cloud.google.com/bigquery/pricing#data).
pub(crate) struct Sizes(BTreeMap<(String, String), BTreeMap<String, u64>>);

/// What a cycle's queries read, every column of what a model reads counted as read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Queried {
    pub queries: u64,
    pub bytes: u64,
}

impl Sizes {
    /// Reads every relation of a slot of the embedded warehouse.
    pub(crate) async fn measure(platform: &Platform, slot: &Slot) -> Result<Self, Problem> {
        let mut sizes = BTreeMap::new();
        for (schema, name) in platform.warehouse.relations(slot).await? {
            let columns = platform.warehouse.columns(slot, &schema, &name).await?;
            let measured: Vec<String> = columns.iter().map(|(column, kind)| bytes_of(column, kind)).collect();
            if measured.is_empty() {
                continue;
            }
            let relation = platform.warehouse.relation(slot, &schema, &name);
            let sql = format!("select {} from {relation}", measured.join(", "));
            let found = platform.warehouse.query(&warehouse::Place::Slot(slot.clone()), &sql, 1).await?;
            let bytes = found.rows.first().into_iter().flatten().map(number);
            sizes.insert((schema, name), columns.into_iter().map(|(column, _)| column).zip(bytes).collect());
        }
        Ok(Self(sizes))
    }

    /// Bytes of all tables of the slot: what `raw` holds, and what the project's nodes keep.
    pub(crate) fn stored(&self, platform: &Platform, project: &Project) -> Result<(u64, u64), Problem> {
        let schemas = platform.schemas(project)?;
        let raw = self.0.iter().filter(|((schema, _), _)| schema == "raw").map(|(_, columns)| total(columns)).sum();
        let kept = project
            .nodes
            .values()
            .filter(|node| node.makes_relation() && !is_view(node))
            .filter_map(|node| self.0.get(&(schemas.get(&node.id)?.to_string(), node.alias.clone())))
            .map(total)
            .sum();
        Ok((raw, kept))
    }

    /// What the queries of a cycle read: those of the models that it built, of every test and of every rule.
    pub(crate) fn queried(
        &self,
        platform: &Platform,
        project: &Project,
        receipt: &Receipt,
    ) -> Result<Queried, Problem> {
        let schemas = platform.schemas(project)?;
        let relation = |id: &str| -> Option<&BTreeMap<String, u64>> {
            if let Some(source) = project.sources.get(id) {
                return self.0.get(&("raw".to_owned(), source.table.clone()));
            }
            let node = project.nodes.get(id)?;
            self.0.get(&(schemas.get(id)?.to_string(), node.alias.clone()))
        };
        let named = |name: &str| project.nodes.values().find(|node| node.name == name && !node.is_test());
        let mut found = Queried::default();
        for node in receipt.work.build.iter().filter_map(|id| project.nodes.get(id)).filter(|node| !is_view(node)) {
            let mut read = parents(project, node);
            if node.keeps_state() {
                read.insert(node.id.clone());
            }
            found.add(read.iter().map(|id| relation(id).map_or(0, total)));
            if node.materialized == "touched" && !receipt.work.full.contains(&node.id) {
                let own = relation(&node.id).map_or(0, total);
                // Units from the changes of what it reads, the list of them, what differs from the table, and its rows replaced.
                found.add(read.iter().map(|_| 0));
                found.add([0].into_iter());
                found.add([own, 0].into_iter());
                found.add([own, 0].into_iter());
            }
        }
        for test in project.nodes.values().filter(|node| node.kind == Kind::Test) {
            let column = test.column.as_ref().filter(|_| test.parents.len() == 1);
            found.add(parents(project, test).iter().map(|id| match (relation(id), column) {
                (Some(columns), Some(column)) => columns.get(column).copied().unwrap_or_else(|| total(columns)),
                (columns, _) => columns.map_or(0, total),
            }));
        }
        for rule in &platform.pipeline.audit.rules {
            let mut about = vec![&rule.model];
            if let RuleCheck::Balance { other, .. } = &rule.check {
                about.push(other);
            }
            let nodes = about.into_iter().filter_map(|name| named(name.as_str()));
            found.add(nodes.map(|node| relation(&node.id).map_or(0, total)));
        }
        for table in platform.pipeline.tables.values() {
            let raw = self.0.get(&("raw".to_owned(), table.name.to_string())).map_or(0, total);
            let model = table.reconcile.as_ref().and_then(|reconcile| named(reconcile.model.as_str()));
            found.add(std::iter::once(raw).chain(model.map(|node| relation(&node.id).map_or(0, total))));
        }
        Ok(found)
    }
}

impl Queried {
    fn add(&mut self, tables: impl Iterator<Item = u64>) {
        self.queries += 1;
        self.bytes += tables.map(|bytes| bytes.max(LEAST_BILLED)).sum::<u64>().max(LEAST_BILLED);
    }
}

fn total(columns: &BTreeMap<String, u64>) -> u64 {
    columns.values().sum()
}

fn is_view(node: &Node) -> bool {
    matches!(node.materialized.as_str(), "view" | "rowwise" | "ephemeral")
}

/// What a node reads, with that of whatever leaves no relation behind in its place.
fn parents(project: &Project, node: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&str> = node.parents.iter().map(String::as_str).collect();
    while let Some(id) = left.pop() {
        match project.nodes.get(id) {
            Some(parent) if !parent.makes_relation() => left.extend(parent.parents.iter().map(String::as_str)),
            _ => drop(found.insert(id.to_owned())),
        }
    }
    found
}

/// The expression for the bytes of a column of DuckDB, `kind` being the name of its type.
fn bytes_of(column: &str, kind: &str) -> String {
    let quoted = format!("\"{}\"", column.replace('"', "\"\""));
    let each = match kind.split(['(', ' ']).next().unwrap_or_default() {
        "BOOLEAN" => 1,
        "DECIMAL" | "HUGEINT" | "INTERVAL" => 16,
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "UTINYINT" | "USMALLINT" | "UINTEGER" | "UBIGINT" | "FLOAT"
        | "DOUBLE" | "DATE" | "TIME" | "TIMESTAMP" => 8,
        _ => return format!("coalesce(sum(2 + strlen(cast({quoted} as varchar))), 0)::bigint"),
    };
    format!("count({quoted}) * {each}")
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_billed_ten_mebibytes_for_each_table_at_least() {
        let mut found = Queried::default();
        found.add([1, 20 << 20].into_iter());
        found.add(std::iter::empty());
        assert_eq!(found, Queried { queries: 2, bytes: 40 << 20 });
    }

    #[test]
    fn types_have_the_sizes_of_bigquery() {
        assert_eq!(bytes_of("a", "DECIMAL(18,2)"), "count(\"a\") * 16");
        assert_eq!(bytes_of("a", "TIMESTAMP WITH TIME ZONE"), "count(\"a\") * 8");
        assert!(bytes_of("a\"b", "VARCHAR").contains("strlen(cast(\"a\"\"b\" as varchar))"));
        assert!(bytes_of("a", "STRUCT(b INTEGER)").contains("strlen"), "what is nested is counted as text");
    }
}
