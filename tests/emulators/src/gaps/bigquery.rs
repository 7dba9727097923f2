//! Probes of the BigQuery emulator.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use super::{Bare, is_success};
use crate::error::Result;

pub(super) async fn if_match_is_ignored(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_if_match").await?;
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(format!("/bigquery/v2/projects/{}/datasets/gap_if_match", bare.project))
        .header(header::IF_MATCH, "\"of somebody else\"")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from("{\"labels\": {}}"))
        .unwrap_or_default();
    Ok(bare.bigquery.send(request).await?.status().is_success())
}

pub(super) async fn a_job_id_can_be_used_twice(bare: &Bare) -> Result<bool> {
    let body = json!({
        "jobReference": {"jobId": "gap-twice"},
        "configuration": {"query": {"query": "select 1", "useLegacySql": false}},
    });
    bare.bigquery(Method::POST, "/jobs", body.clone()).await?;
    Ok(bare.bigquery(Method::POST, "/jobs", body).await?.0 == 200)
}

pub(super) async fn job_locations_are_lost(bare: &Bare) -> Result<bool> {
    let body = json!({
        "jobReference": {"jobId": "gap-location", "location": "EU"},
        "configuration": {"query": {"query": "select 1", "useLegacySql": false}},
    });
    Ok(bare.bigquery(Method::POST, "/jobs", body).await?.1["jobReference"]["location"] != "EU")
}

/// A Parquet file with one row (a INTEGER, b STRING) in a bucket of its own.
async fn extracted(bare: &Bare, dataset: &str) -> Result<String> {
    bare.dataset(dataset).await?;
    bare.query(&format!("create table {dataset}.source as select 1 as a, 'x' as b")).await?;
    bare.object(dataset).await?;
    let uri = format!("gs://{dataset}/source.parquet");
    bare.job(json!({"extract": {
        "sourceTable": {"datasetId": dataset, "tableId": "source"},
        "destinationUris": [uri],
        "destinationFormat": "PARQUET",
    }}))
    .await?;
    Ok(uri)
}

fn load(dataset: &str, table: &str, uri: &str) -> Value {
    json!({"load": {
        "sourceUris": [uri],
        "sourceFormat": "PARQUET",
        "writeDisposition": "WRITE_TRUNCATE",
        "destinationTable": {"datasetId": dataset, "tableId": table},
    }})
}

pub(super) async fn partition_decorators_are_refused(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_decorator").await?;
    let range = json!({"field": "a", "range": {"start": "0", "end": "10", "interval": "1"}});
    let fields = json!([{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}]);
    let table = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}, "rangePartitioning": range});
    bare.table("gap_decorator", table).await?;
    let whole = bare.job(load("gap_decorator", "t", &uri)).await?;
    let partition = bare.job(load("gap_decorator", "t$1", &uri)).await?;
    Ok(is_success(&whole) && !is_success(&partition))
}

pub(super) async fn a_load_makes_tables_without_partitioning(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_layout").await?;
    let mut configuration = load("gap_layout", "t", &uri);
    configuration["load"]["schema"] =
        json!({"fields": [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}]});
    configuration["load"]["clustering"] = json!({"fields": ["a"]});
    bare.job(configuration).await?;
    let (_, table) = bare.bigquery(Method::GET, "/datasets/gap_layout/tables/t", Value::Null).await?;
    Ok(table.get("clustering").is_none())
}

pub(super) async fn loads_go_by_position(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_position").await?;
    let fields = json!([{"name": "b", "type": "STRING"}, {"name": "a", "type": "INTEGER"}]);
    bare.table("gap_position", json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}})).await?;
    let source = bare.job(load("gap_position", "source", &uri)).await?;
    let other_order = bare.job(load("gap_position", "t", &uri)).await?;
    Ok(is_success(&source) && !is_success(&other_order))
}

pub(super) async fn a_failed_load_empties_the_table(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_atomic").await?;
    bare.query("create table gap_atomic.t as select date '2025-08-01' as a, 1 as b").await?;
    bare.job(load("gap_atomic", "t", &uri)).await?;
    // Division by zero if the row is there.
    bare.query("select 1 / (1 - count(*)) from gap_atomic.t").await
}

pub(super) async fn clones_can_be_of_any_depth(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_clones").await?;
    bare.query("create table gap_clones.t0 as select 1 as a").await?;
    let mut cloned = true;
    for depth in 1..=4 {
        cloned &= bare.query(&format!("create table gap_clones.t{depth} clone gap_clones.t{}", depth - 1)).await?;
    }
    Ok(cloned)
}

pub(super) async fn views_can_be_cloned(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_views").await?;
    bare.query("create view gap_views.v as select 1 as a").await?;
    bare.query("create table gap_views.t clone gap_views.v").await
}

pub(super) async fn definitions_pass_in_transactions(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_ddl").await?;
    bare.query("begin transaction; create table gap_ddl.t as select 1 as a; commit transaction").await
}

pub(super) async fn dry_runs_cost_nothing(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_dry").await?;
    bare.query("create table gap_dry.t as select 1 as a").await?;
    let query = json!({"query": "select * from gap_dry.t", "useLegacySql": false});
    let job = bare.job(json!({"dryRun": true, "query": query})).await?;
    Ok(job["statistics"]["query"]["totalBytesProcessed"] == "0")
}

pub(super) async fn budgets_are_ignored(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_budget").await?;
    bare.query("create table gap_budget.t as select 1 as a").await?;
    let query = json!({"query": "select * from gap_budget.t", "useLegacySql": false, "maximumBytesBilled": "1"});
    Ok(is_success(&bare.job(json!({"query": query})).await?))
}

pub(super) async fn authorised_datasets_are_lost(bare: &Bare) -> Result<bool> {
    let entry = json!({"dataset": {"dataset": {"projectId": "p", "datasetId": "live"}, "targetTypes": ["VIEWS"]}});
    let body = json!({"datasetReference": {"datasetId": "gap_access"}, "access": [entry]});
    Ok(bare.bigquery(Method::POST, "/datasets", body).await?.1["access"][0] != entry)
}

pub(super) async fn a_full_dataset_is_not_found_when_deleted(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_full").await?;
    bare.query("create table gap_full.t as select 1 as a").await?;
    Ok(bare.bigquery(Method::DELETE, "/datasets/gap_full", Value::Null).await?.0 == 404)
}

pub(super) async fn a_patch_replaces_labels(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_labels").await?;
    for labels in [json!({"a": "1"}), json!({"b": "2"})] {
        bare.bigquery(Method::PATCH, "/datasets/gap_labels", json!({"labels": labels})).await?;
    }
    let (_, dataset) = bare.bigquery(Method::GET, "/datasets/gap_labels", Value::Null).await?;
    Ok(dataset["labels"].get("a").is_none())
}

pub(super) async fn reserved_columns_pass(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_reserved").await?;
    let fields = json!([{"name": "_TABLE_x", "type": "STRING"}]);
    let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
    Ok(bare.bigquery(Method::POST, "/datasets/gap_reserved/tables", body).await?.0 == 200)
}

pub(super) async fn range_partitioning_is_lost(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_range").await?;
    let range = json!({"field": "a", "range": {"start": "0", "end": "10", "interval": "1"}});
    let fields = json!([{"name": "a", "type": "INTEGER"}]);
    let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}, "rangePartitioning": range});
    Ok(bare.table("gap_range", body).await?.get("rangePartitioning").is_none())
}

pub(super) async fn sql_partitioning_by_month_is_lost(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_month").await?;
    bare.query("create table gap_month.t (d date) partition by date_trunc(d, month)").await?;
    let (_, table) = bare.bigquery(Method::GET, "/datasets/gap_month/tables/t", Value::Null).await?;
    Ok(table["timePartitioning"]["type"] != "MONTH")
}

pub(super) async fn precision_is_lost(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_precision").await?;
    let fields = json!([{"name": "a", "type": "NUMERIC", "precision": "10", "scale": "2"}]);
    let table =
        bare.table("gap_precision", json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}})).await?;
    Ok(table["schema"]["fields"][0].get("precision").is_none())
}

pub(super) async fn views_do_not_say_their_query(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_query").await?;
    let body = json!({"tableReference": {"tableId": "v"}, "view": {"query": "select 1 as a", "useLegacySql": false}});
    Ok(bare.table("gap_query", body).await?.get("view").is_none())
}

pub(super) async fn views_need_not_compile(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_compile").await?;
    let view = json!({"query": "select x from nowhere.t", "useLegacySql": false});
    let body = json!({"tableReference": {"tableId": "v"}, "view": view});
    Ok(bare.bigquery(Method::POST, "/datasets/gap_compile/tables", body).await?.0 == 200)
}

pub(super) async fn sql_can_not_replace_views_of_rest(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_replace").await?;
    let view = json!({"query": "select 1 as a", "useLegacySql": false});
    bare.table("gap_replace", json!({"tableReference": {"tableId": "v"}, "view": view})).await?;
    Ok(!bare.query("create or replace view gap_replace.v as select 2 as a").await?)
}

pub(super) async fn rest_can_not_delete_views_of_sql(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_drop").await?;
    bare.query("create view gap_drop.v as select 1 as a").await?;
    Ok(bare.bigquery(Method::DELETE, "/datasets/gap_drop/tables/v", Value::Null).await?.0 == 500)
}

pub(super) async fn changed_rows_leave_no_trace(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_rows").await?;
    bare.query("create table gap_rows.t as select 1 as a").await?;
    let path = "/datasets/gap_rows/tables/t";
    let (_, before) = bare.bigquery(Method::GET, path, Value::Null).await?;
    bare.query("insert into gap_rows.t values (2)").await?;
    let (_, after) = bare.bigquery(Method::GET, path, Value::Null).await?;
    Ok(before["numRows"] == after["numRows"] && before["lastModifiedTime"] == after["lastModifiedTime"])
}

pub(super) async fn a_failed_query_is_answered_with_200(bare: &Bare) -> Result<bool> {
    let body = json!({"query": "select nothing", "useLegacySql": false});
    Ok(bare.bigquery(Method::POST, "/queries", body).await?.0 == 200)
}

pub(super) async fn legacy_sql_is_not_the_default(bare: &Bare) -> Result<bool> {
    let job = bare.job(json!({"query": {"query": "select array_length([1])"}})).await?;
    Ok(is_success(&job))
}

async fn value(bare: &Bare, expression: &str) -> Result<Value> {
    let body = json!({"query": format!("select {expression}"), "useLegacySql": false});
    Ok(bare.bigquery(Method::POST, "/queries", body).await?.1["rows"][0]["f"][0]["v"].clone())
}

pub(super) async fn timestamps_are_integers_unasked(bare: &Bare) -> Result<bool> {
    Ok(value(bare, "timestamp '2025-08-01'").await? == "1754006400000000")
}

pub(super) async fn numbers_keep_their_zeros(bare: &Bare) -> Result<bool> {
    Ok(value(bare, "numeric '1.1'").await? == "1.100000000")
}

pub(super) async fn geographies_have_a_space(bare: &Bare) -> Result<bool> {
    Ok(value(bare, "st_geogpoint(1, 2)").await? == "POINT (1 2)")
}

pub(super) async fn rates_have_no_limit(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_rates").await?;
    let mut statuses = Vec::new();
    for number in 0..10 {
        let body = json!({"labels": {"n": number.to_string()}});
        statuses.push(bare.bigquery(Method::PATCH, "/datasets/gap_rates", body).await?.0);
    }
    Ok(statuses.iter().all(|status| *status == 200))
}

pub(super) async fn bignumeric_columns_can_not_be_made(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_bignumeric").await?;
    let fields = json!([{"name": "a", "type": "BIGNUMERIC"}]);
    let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
    Ok(bare.bigquery(Method::POST, "/datasets/gap_bignumeric/tables", body).await?.0 != 200)
}

pub(super) async fn columns_of_geographies_are_answered_as_bytes(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_geography").await?;
    bare.query("create table gap_geography.t as select st_geogpoint(1, 2) as a").await?;
    let body = json!({"query": "select a from gap_geography.t", "useLegacySql": false});
    Ok(bare.bigquery(Method::POST, "/queries", body).await?.1["schema"]["fields"][0]["type"] == "BYTES")
}
