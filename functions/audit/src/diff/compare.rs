//! One view in two slots.
//!
//! Statements hold for both back ends: every column stands behind the alias of its table, where any word may stand, and
//! nothing gets into one but identifiers, whose type says what they hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use service::{Platform, Problem, ProjectPlan};
use wap::Identifier;
use warehouse::PublishedView;

use super::sides::Sides;
use super::{ColumnChange, Metric, SchemaChange, ViewDiff};
use crate::tests::{masked, personal_columns};

/// A column that both slots have.
#[derive(Debug)]
struct Column {
    name: Identifier,
    kind: Numeric,
}

/// Whether sums of a column's values mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numeric {
    No,
    /// Summed as decimals, which no sum of rows overflows.
    Integer,
    Other,
}

/// Compares a view.
pub(super) async fn view(
    platform: &Platform,
    plan: &ProjectPlan,
    sides: &Sides,
    name: &Identifier,
) -> Result<ViewDiff, Problem> {
    let mut diff = ViewDiff { view: name.to_string(), ..ViewDiff::default() };
    let views = sides.views(name);
    let mut types = [BTreeMap::new(), BTreeMap::new()];
    for which in [0, 1] {
        let Some(view) = views[which] else { continue };
        let (schema, relation) = (view.schema.as_str(), view.relation.as_str());
        let columns = platform.warehouse.columns(&sides.slots()[which], schema, relation).await?;
        types[which] = columns.into_iter().collect();
    }
    let [Some(before), Some(after)] = views else {
        for which in [0, 1] {
            let rows = match views[which] {
                Some(view) => Some(count(platform, sides, which, view).await?),
                None => None,
            };
            *[&mut diff.rows_before, &mut diff.rows_after][which] = rows;
        }
        return Ok(diff);
    };
    diff.schema = schema_changes(&types);
    let columns = shared_columns([before, after], &types, &mut diff.not_compared);
    diff.key = key_of(platform, plan, after, &columns)?;
    let join = Join::new(platform, sides, [before, after], &diff.key);
    metrics(platform, plan, sides, &join, &columns, &mut diff).await?;
    if !diff.key.is_empty() {
        rows(platform, plan, sides, &join, &columns, &mut diff).await?;
    }
    Ok(diff)
}

async fn count(platform: &Platform, sides: &Sides, which: usize, view: &PublishedView) -> Result<u64, Problem> {
    let relation = platform.warehouse.relation_of(sides.slots(), which, view.schema.as_str(), view.relation.as_str());
    let sql = format!("SELECT COUNT(*) AS row_count FROM {relation}");
    let found = platform.warehouse.query_two(sides.slots(), &sql, 1).await?;
    Ok(found.single().map(number).unwrap_or_default())
}

fn schema_changes(types: &[BTreeMap<String, String>; 2]) -> Vec<SchemaChange> {
    let names: BTreeSet<&String> = types.iter().flat_map(BTreeMap::keys).collect();
    let of = |which: usize, name: &String| types[which].get(name).cloned();
    names
        .into_iter()
        .filter(|name| types[0].get(*name) != types[1].get(*name))
        .map(|name| SchemaChange { column: name.clone(), before: of(0, name), after: of(1, name) })
        .collect()
}

/// Columns of both, of one type, that can be compared; names of the others go into `not_compared`.
fn shared_columns(
    views: [&PublishedView; 2],
    types: &[BTreeMap<String, String>; 2],
    not_compared: &mut Vec<String>,
) -> Vec<Column> {
    let mut columns = Vec::new();
    for column in &views[1].columns {
        let name = column.name.as_str();
        let (Some(before), Some(after)) = (types[0].get(name), types[1].get(name)) else { continue };
        if !views[0].columns.iter().any(|other| other.name == column.name) || before != after {
            continue;
        }
        match kind_of(after) {
            Some(kind) => columns.push(Column { name: column.name.clone(), kind }),
            None => not_compared.push(name.to_owned()),
        }
    }
    columns
}

/// Nothing for types whose values BigQuery can't compare.
fn kind_of(data_type: &str) -> Option<Numeric> {
    let data_type = data_type.to_uppercase();
    let base = data_type.split(['(', '<']).next().unwrap_or_default().trim();
    match base {
        "ARRAY" | "STRUCT" | "RECORD" | "JSON" | "GEOGRAPHY" => None,
        _ if data_type.ends_with("[]") => None,
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "UTINYINT" | "USMALLINT" | "UINTEGER" | "UBIGINT" | "INT64" => {
            Some(Numeric::Integer)
        }
        "DECIMAL" | "NUMERIC" | "BIGNUMERIC" | "FLOAT" | "DOUBLE" | "FLOAT64" | "HUGEINT" => Some(Numeric::Other),
        _ => Some(Numeric::No),
    }
}

/// The key by the model's tests, or by the table that the model is reconciled with. Nothing if a column of it is not in
/// both slots.
fn key_of(
    platform: &Platform,
    plan: &ProjectPlan,
    view: &PublishedView,
    columns: &[Column],
) -> Result<Vec<String>, Problem> {
    let schemas = platform.schemas(&plan.project)?;
    let node = plan
        .project
        .nodes
        .iter()
        .find(|(id, node)| node.alias == view.relation.as_str() && schemas.get(*id) == Some(&view.schema));
    let Some((id, node)) = node else { return Ok(Vec::new()) };
    let tested = plan.project.key_of(id).map(<[String]>::to_vec);
    let reconciled = || {
        let mut tables = platform.pipeline.tables.values().filter_map(|table| table.reconcile.as_ref());
        let reconcile = tables.find(|reconcile| reconcile.model.as_str() == node.name)?;
        Some(reconcile.key.values().map(|column| column.as_str().to_owned()).collect::<Vec<_>>())
    };
    let wanted = tested.or_else(reconciled).unwrap_or_default();
    let find = |wanted: &String| {
        columns.iter().map(|column| column.name.as_str()).find(|name| name.eq_ignore_ascii_case(wanted))
    };
    let key: Option<Vec<String>> = wanted.iter().map(|wanted| find(wanted).map(str::to_owned)).collect();
    Ok(key.unwrap_or_default())
}

/// Both relations, by the key.
#[derive(Debug)]
struct Join {
    relations: [String; 2],
    sql: String,
}

impl Join {
    fn new(platform: &Platform, sides: &Sides, views: [&PublishedView; 2], key: &[String]) -> Self {
        let relation = |which: usize| {
            let view = views[which];
            platform.warehouse.relation_of(sides.slots(), which, view.schema.as_str(), view.relation.as_str())
        };
        let relations = [relation(0), relation(1)];
        let on: Vec<String> = key.iter().map(|column| format!("b.{column} = a.{column}")).collect();
        let marked = |relation: &str| format!("(SELECT TRUE AS bgp_is_there, t.* FROM {relation} AS t)");
        let [before, after] = &relations;
        let sql = format!("{} AS b FULL OUTER JOIN {} AS a ON {}", marked(before), marked(after), on.join(" AND "));
        Self { relations, sql }
    }
}

/// Rows, and sums and means, of each slot.
async fn metrics(
    platform: &Platform,
    plan: &ProjectPlan,
    sides: &Sides,
    join: &Join,
    columns: &[Column],
    diff: &mut ViewDiff,
) -> Result<(), Problem> {
    let personal = personal_columns(platform, plan);
    let measures: Vec<&Column> = columns
        .iter()
        .filter(|column| column.kind != Numeric::No)
        .filter(|column| !diff.key.iter().any(|key| key == column.name.as_str()))
        .filter(|column| !personal.contains(&column.name.as_str().to_lowercase()))
        .collect();
    let sums: String = measures
        .iter()
        .map(|column| {
            let value = match column.kind {
                Numeric::Integer => format!("CAST(t.{} AS DECIMAL(38, 9))", column.name),
                Numeric::No | Numeric::Other => format!("t.{}", column.name),
            };
            format!(", CAST(SUM({value}) AS STRING), CAST(ROUND(AVG(t.{}), 6) AS STRING)", column.name)
        })
        .collect();
    let mut found = Vec::new();
    for relation in &join.relations {
        let sql = format!("SELECT COUNT(*){sums} FROM {relation} AS t");
        let answer = platform.warehouse.query_two(sides.slots(), &sql, 1).await?;
        found.push(answer.rows.into_iter().next().unwrap_or_default());
    }
    diff.rows_before = found[0].first().map(number);
    diff.rows_after = found[1].first().map(number);
    for (position, column) in measures.iter().enumerate() {
        let value = |which: usize, place: usize| found[which].get(1 + 2 * position + place).and_then(decimal);
        let metric = Metric {
            column: column.name.to_string(),
            sum_before: value(0, 0),
            sum_after: value(1, 0),
            mean_before: value(0, 1),
            mean_after: value(1, 1),
        };
        if metric.sum_before != metric.sum_after || metric.mean_before != metric.mean_after {
            diff.metrics.push(metric);
        }
    }
    Ok(())
}

/// Keys that are missing, new or changed, and some of them.
async fn rows(
    platform: &Platform,
    plan: &ProjectPlan,
    sides: &Sides,
    join: &Join,
    columns: &[Column],
    diff: &mut ViewDiff,
) -> Result<(), Problem> {
    let compared: Vec<&Identifier> = columns
        .iter()
        .map(|column| &column.name)
        .filter(|name| !diff.key.iter().any(|key| key == name.as_str()))
        .collect();
    let both = "b.bgp_is_there IS NOT NULL AND a.bgp_is_there IS NOT NULL";
    let differs = |column: &Identifier| format!("b.{column} IS DISTINCT FROM a.{column}");
    let any = compared.iter().map(|column| differs(column)).collect::<Vec<_>>().join(" OR ");
    let any = if any.is_empty() { "FALSE".to_owned() } else { any };
    let how_many = |condition: &str| format!("SUM(CASE WHEN {condition} THEN 1 ELSE 0 END)");
    let mut counts = vec![
        how_many("a.bgp_is_there IS NULL"),
        how_many("b.bgp_is_there IS NULL"),
        how_many(&format!("{both} AND ({any})")),
    ];
    counts.extend(compared.iter().map(|column| how_many(&format!("{both} AND {}", differs(column)))));
    let sql = format!("SELECT {} FROM {}", counts.join(", "), join.sql);
    let found = platform.warehouse.query_two(sides.slots(), &sql, 1).await?;
    let numbers: Vec<u64> = found.rows.first().map(|row| row.iter().map(number).collect()).unwrap_or_default();
    let count = |place: usize| Some(numbers.get(place).copied().unwrap_or_default());
    (diff.missing, diff.new, diff.changed) = (count(0), count(1), count(2));
    for (column, changed) in compared.iter().zip(numbers.iter().skip(3)).filter(|(_, changed)| **changed > 0) {
        diff.columns.push(ColumnChange { column: column.to_string(), changed: *changed });
    }
    let limit = platform.pipeline.audit.sample_rows as usize;
    if [diff.missing, diff.new, diff.changed].iter().all(|count| *count == Some(0)) {
        // Sums of floats depend on the order of rows; the rows are the same ones.
        diff.metrics.clear();
        return Ok(());
    }
    let personal = personal_columns(platform, plan);
    let shown: Vec<&str> = compared
        .iter()
        .map(|name| name.as_str())
        .filter(|name| diff.columns.iter().any(|found| found.column == *name))
        .collect();
    let keys: Vec<String> = diff.key.iter().map(|key| format!("COALESCE(b.{key}, a.{key}) AS key_{key}")).collect();
    let values: String =
        shown.iter().map(|name| format!(", b.{name} AS before_{name}, a.{name} AS after_{name}")).collect();
    for (kind, condition) in [
        ("missing", "a.bgp_is_there IS NULL".to_owned()),
        ("new", "b.bgp_is_there IS NULL".to_owned()),
        ("changed", format!("{both} AND ({any})")),
    ] {
        let order: Vec<String> = (1..=keys.len()).map(|place| place.to_string()).collect();
        let values = if kind == "changed" { values.as_str() } else { "" };
        let sql = format!(
            "SELECT {}{values} FROM {} WHERE {condition} ORDER BY {} LIMIT {limit}",
            keys.join(", "),
            join.sql,
            order.join(", ")
        );
        let found = platform.warehouse.query_two(sides.slots(), &sql, limit).await?;
        for row in found.rows {
            diff.sample.push(sampled(kind, &diff.key, &shown, row, &personal));
        }
    }
    Ok(())
}

/// A row of a sample: its key, and what differs of it.
fn sampled(kind: &str, key: &[String], shown: &[&str], row: Vec<Value>, personal: &BTreeSet<String>) -> Value {
    let mut values = row.into_iter();
    let named: Map<String, Value> = key.iter().cloned().zip(values.by_ref()).collect();
    let mut sample = json!({"kind": kind, "key": masked(Value::Object(named), personal)});
    if kind != "changed" {
        return sample;
    }
    let (mut before, mut after) = (Map::new(), Map::new());
    for name in shown {
        let (old, new) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
        if old != new {
            before.insert((*name).to_owned(), old);
            after.insert((*name).to_owned(), new);
        }
    }
    sample["before"] = masked(Value::Object(before), personal);
    sample["after"] = masked(Value::Object(after), personal);
    sample
}

/// A count; none for NULL, the sum of no rows.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

/// A number as text, without zeros at its end, which back ends write or leave out.
fn decimal(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let has_decimals = text.contains('.') && !text.contains(['e', 'E']);
    Some(if has_decimals { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text })
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn types_of_both_back_ends_are_known() {
        for (name, kind) in [
            ("BIGINT", Some(Numeric::Integer)),
            ("INT64", Some(Numeric::Integer)),
            ("DECIMAL(12,2)", Some(Numeric::Other)),
            ("NUMERIC(12, 2)", Some(Numeric::Other)),
            ("VARCHAR", Some(Numeric::No)),
            ("TIMESTAMP WITH TIME ZONE", Some(Numeric::No)),
            ("ARRAY<INT64>", None),
            ("BIGINT[]", None),
            ("STRUCT(a BIGINT)", None),
            ("STRUCT<a INT64>", None),
            ("JSON", None),
        ] {
            assert_eq!(kind_of(name), kind, "{name}");
        }
    }

    #[test]
    fn equal_numbers_are_the_same_text() {
        assert_eq!(decimal(&"12.500000000".into()), decimal(&"12.5".into()));
        assert_eq!(decimal(&"100".into()).as_deref(), Some("100"));
        assert_eq!(decimal(&"1.0e10".into()).as_deref(), Some("1.0e10"));
        assert_eq!(decimal(&Value::Null), None);
    }
}
