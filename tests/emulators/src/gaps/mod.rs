//! What the emulators do not do as the cloud does, in one list.
//!
//! Each gap has a probe that runs against the bare emulator and says whether the gap is still there. A gap that healed
//! fails the tests: the rule that stands in for it can then go.

mod bigquery;
mod storage;

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
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
    ($($of:ident::$probe:ident: $filled_by:expr;)*) => {
        /// All known gaps.
        pub const ALL: &[Gap] = &[$(Gap {
            name: stringify!($probe),
            filled_by: $filled_by,
            probe: |bare| Box::pin($of::$probe(bare)),
        }),*];
    };
}

gaps! {
    bigquery::if_match_is_ignored: Some("bigquery::etag");
    bigquery::a_job_id_can_be_used_twice: Some("bigquery::jobs");
    bigquery::job_locations_are_lost: Some("bigquery::jobs");
    bigquery::partition_decorators_are_refused: Some("bigquery::load");
    bigquery::a_load_makes_tables_without_partitioning: Some("bigquery::load");
    bigquery::loads_go_by_position: Some("bigquery::load");
    bigquery::a_failed_load_empties_the_table: Some("bigquery::load");
    bigquery::clones_can_be_of_any_depth: Some("bigquery::query");
    bigquery::views_can_be_cloned: Some("bigquery::query");
    bigquery::definitions_pass_in_transactions: Some("bigquery::query");
    bigquery::dry_runs_cost_nothing: Some("bigquery::bytes");
    bigquery::budgets_are_ignored: Some("bigquery::bytes");
    bigquery::authorised_datasets_are_lost: Some("bigquery::datasets");
    bigquery::a_full_dataset_is_not_found_when_deleted: Some("bigquery::datasets");
    bigquery::a_patch_replaces_labels: Some("bigquery::datasets");
    bigquery::reserved_columns_pass: Some("bigquery::schema");
    bigquery::range_partitioning_is_lost: Some("bigquery::ledger");
    bigquery::sql_partitioning_by_month_is_lost: Some("bigquery::sql");
    bigquery::precision_is_lost: Some("bigquery::schema");
    bigquery::views_do_not_say_their_query: Some("bigquery::tables");
    bigquery::views_need_not_compile: Some("bigquery::tables");
    bigquery::sql_can_not_replace_views_of_rest: Some("bigquery::tables");
    bigquery::rest_can_not_delete_views_of_sql: Some("bigquery::tables");
    bigquery::changed_rows_leave_no_trace: Some("bigquery::cloud");
    bigquery::a_failed_query_is_answered_with_200: Some("bigquery::run");
    bigquery::legacy_sql_is_not_the_default: Some("bigquery::query");
    bigquery::timestamps_are_integers_unasked: Some("bigquery::rows");
    bigquery::numbers_keep_their_zeros: Some("bigquery::rows");
    bigquery::geographies_have_a_space: Some("bigquery::rows");
    bigquery::rates_have_no_limit: Some("bigquery::limits");
    bigquery::bignumeric_columns_can_not_be_made: None;
    bigquery::columns_of_geographies_are_answered_as_bytes: None;
    storage::media_uploads_ignore_preconditions: Some("storage::upload");
    storage::resumable_uploads_ignore_preconditions: Some("storage::upload");
    storage::deletions_ignore_preconditions: Some("storage");
    storage::reads_ignore_preconditions: Some("storage");
    storage::checksums_are_not_checked: Some("storage::checksum");
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
        Ok(json_of(self.bigquery.ask(method, &path, body.to_string()).await?))
    }

    async fn storage(&self, method: Method, path: &str, body: &'static str) -> Result<(u16, Value)> {
        Ok(json_of(self.storage.ask(method, path, body).await?))
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

fn json_of((status, body): (u16, axum::body::Bytes)) -> (u16, Value) {
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn is_success(job: &Value) -> bool {
    job["status"]["state"] == "DONE" && job["status"].get("errorResult").is_none()
}
