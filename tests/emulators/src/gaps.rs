//! What the emulators do not do as the cloud does, in one list.
//!
//! Each gap has a probe that runs against the bare emulator and says whether the gap is still there. A gap that healed
//! fails the tests: the rule that stands in for it can then go.

use std::future::Future;
use std::pin::Pin;

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

use crate::emulators::Endpoints;
use crate::error::Result;
use crate::upstream::Upstream;

/// One gap.
#[derive(Debug, Clone, Copy)]
pub struct Gap {
    /// What is missing, as a short name.
    pub name: &'static str,
    /// What stands in for it: a rule of this crate, or nothing.
    pub filled_by: Option<&'static str>,
    probe: for<'a> fn(&'a Bare) -> Probed<'a>,
}

type Probed<'a> = Pin<Box<dyn Future<Output = Result<bool>> + Send + 'a>>;

impl Gap {
    /// Whether the bare emulators still have it.
    ///
    /// # Errors
    /// [`crate::Error::Unanswered`] when an emulator is gone.
    pub async fn is_open(&self, bare: &Bare) -> Result<bool> {
        (self.probe)(bare).await
    }
}

macro_rules! gaps {
    ($($probe:ident: $filled_by:expr;)*) => {
        /// All known gaps.
        pub const ALL: &[Gap] = &[$(Gap {
            name: stringify!($probe),
            filled_by: $filled_by,
            probe: |bare| Box::pin($probe(bare)),
        }),*];
    };
}

gaps! {
    if_match_is_ignored: Some("bigquery::etag");
    a_job_id_can_be_used_twice: Some("bigquery::jobs");
    job_locations_are_lost: Some("bigquery::jobs");
    partition_decorators_are_refused: Some("bigquery::load");
    a_load_makes_tables_without_partitioning: Some("bigquery::load");
    loads_go_by_position: Some("bigquery::load");
    a_failed_load_empties_the_table: Some("bigquery::load");
    clones_can_be_of_any_depth: Some("bigquery::query");
    views_can_be_cloned: Some("bigquery::query");
    definitions_pass_in_transactions: Some("bigquery::query");
    dry_runs_cost_nothing: Some("bigquery::bytes");
    budgets_are_ignored: Some("bigquery::bytes");
    authorised_datasets_are_lost: Some("bigquery::datasets");
    a_full_dataset_is_not_found_when_deleted: Some("bigquery::datasets");
    a_patch_replaces_labels: Some("bigquery::datasets");
    reserved_columns_pass: Some("bigquery::schema");
    range_partitioning_is_lost: Some("bigquery::ledger");
    sql_partitioning_by_month_is_lost: Some("bigquery::sql");
    precision_is_lost: Some("bigquery::schema");
    views_do_not_say_their_query: Some("bigquery::tables");
    views_need_not_compile: Some("bigquery::tables");
    changed_rows_leave_no_trace: Some("bigquery::cloud");
    a_failed_query_is_answered_with_200: Some("bigquery::run");
    legacy_sql_is_not_the_default: Some("bigquery::query");
    timestamps_are_integers_unasked: Some("bigquery::rows");
    rates_have_no_limit: Some("bigquery::limits");
    bignumeric_columns_can_not_be_made: None;
    media_uploads_ignore_preconditions: Some("storage::upload");
    resumable_uploads_ignore_preconditions: Some("storage::upload");
    deletions_ignore_preconditions: Some("storage");
    reads_ignore_preconditions: Some("storage");
    checksums_are_not_checked: Some("storage::checksum");
}

/// The emulators without this crate's rules.
#[derive(Debug)]
pub struct Bare {
    project: String,
    bigquery: Upstream,
    storage: Upstream,
}

impl Bare {
    /// Those behind the given endpoints.
    pub fn of(endpoints: &Endpoints) -> Self {
        let port = |url: &str| url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
        let upstream = |name, url: &str| Upstream::new(name, port(url), port(url));
        Self {
            project: endpoints.project.clone(),
            bigquery: upstream("BigQuery", &endpoints.bare_bigquery),
            storage: upstream("Cloud Storage", &endpoints.bare_storage),
        }
    }

    async fn bigquery(&self, method: Method, path: &str, body: Value) -> Result<(u16, Value)> {
        let path = format!("/bigquery/v2/projects/{}{path}", self.project);
        json_of(self.bigquery.ask(method, &path, body.to_string()).await?)
    }

    async fn storage(&self, method: Method, path: &str, body: &'static str) -> Result<(u16, Value)> {
        json_of(self.storage.ask(method, path, body).await?)
    }

    async fn dataset(&self, name: &str) -> Result<()> {
        self.bigquery(Method::POST, "/datasets", json!({"datasetReference": {"datasetId": name}})).await.map(drop)
    }

    async fn table(&self, dataset: &str, body: Value) -> Result<Value> {
        let path = format!("/datasets/{dataset}/tables");
        let id = body["tableReference"]["tableId"].as_str().unwrap_or_default().to_owned();
        self.bigquery(Method::POST, &path, body).await?;
        Ok(self.bigquery(Method::GET, &format!("{path}/{id}"), Value::Null).await?.1)
    }

    /// Whether a query succeeded.
    async fn query(&self, sql: &str) -> Result<bool> {
        let job = self.job(json!({"query": {"query": sql, "useLegacySql": false}})).await?;
        Ok(is_success(&job))
    }

    async fn job(&self, configuration: Value) -> Result<Value> {
        Ok(self.bigquery(Method::POST, "/jobs", json!({"configuration": configuration})).await?.1)
    }

    /// Makes a bucket with the object `o` and returns its generation.
    async fn object(&self, bucket: &str) -> Result<String> {
        let made = json!({"name": bucket}).to_string();
        self.storage.ask(Method::POST, "/storage/v1/b?project=p", made).await?;
        let path = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name=o");
        let (_, object) = self.storage(Method::POST, &path, "old").await?;
        Ok(object["generation"].as_str().unwrap_or_default().to_owned())
    }

    async fn generation(&self, bucket: &str) -> Result<Option<String>> {
        let (_, object) = self.storage(Method::GET, &format!("/storage/v1/b/{bucket}/o/o"), "").await?;
        Ok(object["generation"].as_str().map(str::to_owned))
    }
}

fn json_of((status, body): (u16, axum::body::Bytes)) -> Result<(u16, Value)> {
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

fn is_success(job: &Value) -> bool {
    job["status"]["state"] == "DONE" && job["status"].get("errorResult").is_none()
}

async fn if_match_is_ignored(bare: &Bare) -> Result<bool> {
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

async fn a_job_id_can_be_used_twice(bare: &Bare) -> Result<bool> {
    let body = json!({
        "jobReference": {"jobId": "gap-twice"},
        "configuration": {"query": {"query": "select 1", "useLegacySql": false}},
    });
    bare.bigquery(Method::POST, "/jobs", body.clone()).await?;
    Ok(bare.bigquery(Method::POST, "/jobs", body).await?.0 == 200)
}

async fn job_locations_are_lost(bare: &Bare) -> Result<bool> {
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

async fn partition_decorators_are_refused(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_decorator").await?;
    let range = json!({"field": "a", "range": {"start": "0", "end": "10", "interval": "1"}});
    let fields = json!([{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}]);
    let table = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}, "rangePartitioning": range});
    bare.table("gap_decorator", table).await?;
    let whole = bare.job(load("gap_decorator", "t", &uri)).await?;
    let partition = bare.job(load("gap_decorator", "t$1", &uri)).await?;
    Ok(is_success(&whole) && !is_success(&partition))
}

async fn a_load_makes_tables_without_partitioning(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_layout").await?;
    let mut configuration = load("gap_layout", "t", &uri);
    configuration["load"]["schema"] =
        json!({"fields": [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}]});
    configuration["load"]["clustering"] = json!({"fields": ["a"]});
    bare.job(configuration).await?;
    let (_, table) = bare.bigquery(Method::GET, "/datasets/gap_layout/tables/t", Value::Null).await?;
    Ok(table.get("clustering").is_none())
}

async fn loads_go_by_position(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_position").await?;
    let fields = json!([{"name": "b", "type": "STRING"}, {"name": "a", "type": "INTEGER"}]);
    bare.table("gap_position", json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}})).await?;
    let source = bare.job(load("gap_position", "source", &uri)).await?;
    let other_order = bare.job(load("gap_position", "t", &uri)).await?;
    Ok(is_success(&source) && !is_success(&other_order))
}

async fn a_failed_load_empties_the_table(bare: &Bare) -> Result<bool> {
    let uri = extracted(bare, "gap_atomic").await?;
    bare.query("create table gap_atomic.t as select date '2025-08-01' as a, 1 as b").await?;
    bare.job(load("gap_atomic", "t", &uri)).await?;
    // Division by zero if the row is there.
    bare.query("select 1 / (1 - count(*)) from gap_atomic.t").await
}

async fn clones_can_be_of_any_depth(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_clones").await?;
    bare.query("create table gap_clones.t0 as select 1 as a").await?;
    let mut cloned = true;
    for depth in 1..=4 {
        cloned &= bare.query(&format!("create table gap_clones.t{depth} clone gap_clones.t{}", depth - 1)).await?;
    }
    Ok(cloned)
}

async fn views_can_be_cloned(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_views").await?;
    bare.query("create view gap_views.v as select 1 as a").await?;
    bare.query("create table gap_views.t clone gap_views.v").await
}

async fn definitions_pass_in_transactions(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_ddl").await?;
    bare.query("begin transaction; create table gap_ddl.t as select 1 as a; commit transaction").await
}

async fn dry_runs_cost_nothing(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_dry").await?;
    bare.query("create table gap_dry.t as select 1 as a").await?;
    let query = json!({"query": "select * from gap_dry.t", "useLegacySql": false});
    let job = bare.job(json!({"dryRun": true, "query": query})).await?;
    Ok(job["statistics"]["query"]["totalBytesProcessed"] == "0")
}

async fn budgets_are_ignored(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_budget").await?;
    bare.query("create table gap_budget.t as select 1 as a").await?;
    let query = json!({"query": "select * from gap_budget.t", "useLegacySql": false, "maximumBytesBilled": "1"});
    Ok(is_success(&bare.job(json!({"query": query})).await?))
}

async fn authorised_datasets_are_lost(bare: &Bare) -> Result<bool> {
    let entry = json!({"dataset": {"dataset": {"projectId": "p", "datasetId": "live"}, "targetTypes": ["VIEWS"]}});
    let body = json!({"datasetReference": {"datasetId": "gap_access"}, "access": [entry]});
    Ok(bare.bigquery(Method::POST, "/datasets", body).await?.1["access"][0] != entry)
}

async fn a_full_dataset_is_not_found_when_deleted(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_full").await?;
    bare.query("create table gap_full.t as select 1 as a").await?;
    Ok(bare.bigquery(Method::DELETE, "/datasets/gap_full", Value::Null).await?.0 == 404)
}

async fn a_patch_replaces_labels(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_labels").await?;
    for labels in [json!({"a": "1"}), json!({"b": "2"})] {
        bare.bigquery(Method::PATCH, "/datasets/gap_labels", json!({"labels": labels})).await?;
    }
    let (_, dataset) = bare.bigquery(Method::GET, "/datasets/gap_labels", Value::Null).await?;
    Ok(dataset["labels"].get("a").is_none())
}

async fn reserved_columns_pass(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_reserved").await?;
    let fields = json!([{"name": "_TABLE_x", "type": "STRING"}]);
    let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
    Ok(bare.bigquery(Method::POST, "/datasets/gap_reserved/tables", body).await?.0 == 200)
}

async fn range_partitioning_is_lost(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_range").await?;
    let range = json!({"field": "a", "range": {"start": "0", "end": "10", "interval": "1"}});
    let fields = json!([{"name": "a", "type": "INTEGER"}]);
    let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}, "rangePartitioning": range});
    Ok(bare.table("gap_range", body).await?.get("rangePartitioning").is_none())
}

async fn sql_partitioning_by_month_is_lost(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_month").await?;
    bare.query("create table gap_month.t (d date) partition by date_trunc(d, month)").await?;
    let (_, table) = bare.bigquery(Method::GET, "/datasets/gap_month/tables/t", Value::Null).await?;
    Ok(table["timePartitioning"]["type"] != "MONTH")
}

async fn precision_is_lost(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_precision").await?;
    let fields = json!([{"name": "a", "type": "NUMERIC", "precision": "10", "scale": "2"}]);
    let table =
        bare.table("gap_precision", json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}})).await?;
    Ok(table["schema"]["fields"][0].get("precision").is_none())
}

async fn views_do_not_say_their_query(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_query").await?;
    let body = json!({"tableReference": {"tableId": "v"}, "view": {"query": "select 1 as a", "useLegacySql": false}});
    Ok(bare.table("gap_query", body).await?.get("view").is_none())
}

async fn views_need_not_compile(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_compile").await?;
    let body = json!({"tableReference": {"tableId": "v"}, "view": {"query": "select x from nowhere.t", "useLegacySql": false}});
    Ok(bare.bigquery(Method::POST, "/datasets/gap_compile/tables", body).await?.0 == 200)
}

async fn changed_rows_leave_no_trace(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_rows").await?;
    bare.query("create table gap_rows.t as select 1 as a").await?;
    let path = "/datasets/gap_rows/tables/t";
    let (_, before) = bare.bigquery(Method::GET, path, Value::Null).await?;
    bare.query("insert into gap_rows.t values (2)").await?;
    let (_, after) = bare.bigquery(Method::GET, path, Value::Null).await?;
    Ok(before["numRows"] == after["numRows"] && before["lastModifiedTime"] == after["lastModifiedTime"])
}

async fn a_failed_query_is_answered_with_200(bare: &Bare) -> Result<bool> {
    let body = json!({"query": "select nothing", "useLegacySql": false});
    Ok(bare.bigquery(Method::POST, "/queries", body).await?.0 == 200)
}

async fn legacy_sql_is_not_the_default(bare: &Bare) -> Result<bool> {
    let job = bare.job(json!({"query": {"query": "select array_length([1])"}})).await?;
    Ok(is_success(&job))
}

async fn timestamps_are_integers_unasked(bare: &Bare) -> Result<bool> {
    let body = json!({"query": "select timestamp '2025-08-01'", "useLegacySql": false});
    Ok(bare.bigquery(Method::POST, "/queries", body).await?.1["rows"][0]["f"][0]["v"] == "1754006400000000")
}

async fn rates_have_no_limit(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_rates").await?;
    let mut statuses = Vec::new();
    for number in 0..10 {
        let body = json!({"labels": {"n": number.to_string()}});
        statuses.push(bare.bigquery(Method::PATCH, "/datasets/gap_rates", body).await?.0);
    }
    Ok(statuses.iter().all(|status| *status == 200))
}

async fn bignumeric_columns_can_not_be_made(bare: &Bare) -> Result<bool> {
    bare.dataset("gap_bignumeric").await?;
    let fields = json!([{"name": "a", "type": "BIGNUMERIC"}]);
    let body = json!({"tableReference": {"tableId": "t"}, "schema": {"fields": fields}});
    Ok(bare.bigquery(Method::POST, "/datasets/gap_bignumeric/tables", body).await?.0 != 200)
}

async fn media_uploads_ignore_preconditions(bare: &Bare) -> Result<bool> {
    let before = bare.object("gap-media").await?;
    let path = "/upload/storage/v1/b/gap-media/o?uploadType=media&name=o&ifGenerationMatch=0";
    bare.storage(Method::POST, path, "new").await?;
    Ok(bare.generation("gap-media").await?.as_deref() != Some(&before))
}

async fn resumable_uploads_ignore_preconditions(bare: &Bare) -> Result<bool> {
    let before = bare.object("gap-resumable").await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/upload/storage/v1/b/gap-resumable/o?uploadType=resumable&name=o&ifGenerationMatch=0")
        .body(Body::from("{}"))
        .unwrap_or_default();
    let response = bare.storage.send(request).await?;
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let path = location.and_then(|location| location.find("/upload").map(|at| location[at..].to_owned()));
    bare.storage(Method::PUT, &path.unwrap_or_default(), "new").await?;
    Ok(bare.generation("gap-resumable").await?.as_deref() != Some(&before))
}

async fn deletions_ignore_preconditions(bare: &Bare) -> Result<bool> {
    bare.object("gap-delete").await?;
    bare.storage(Method::DELETE, "/storage/v1/b/gap-delete/o/o?ifGenerationMatch=1", "").await?;
    Ok(bare.generation("gap-delete").await?.is_none())
}

async fn reads_ignore_preconditions(bare: &Bare) -> Result<bool> {
    bare.object("gap-read").await?;
    Ok(bare.storage(Method::GET, "/storage/v1/b/gap-read/o/o?ifGenerationMatch=1", "").await?.0 == 200)
}

async fn checksums_are_not_checked(bare: &Bare) -> Result<bool> {
    bare.object("gap-checksum").await?;
    let body = "--x\r\nContent-Type: application/json\r\n\r\n{\"name\":\"c\",\"crc32c\":\"AAAAAA==\"}\r\n--x\r\n\
                Content-Type: text/plain\r\n\r\nnew\r\n--x--\r\n";
    let request = Request::builder()
        .method(Method::POST)
        .uri("/upload/storage/v1/b/gap-checksum/o?uploadType=multipart")
        .header(header::CONTENT_TYPE, "multipart/related; boundary=x")
        .body(Body::from(body))
        .unwrap_or_default();
    Ok(bare.storage.send(request).await?.status().is_success())
}
