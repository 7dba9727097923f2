//! BigQuery with the rules that its emulator lacks.
//!
//! | rule | what it answers | documented at |
//! |---|---|---|
//! | `datasets.patch/update` and `tables.patch/update` with an `If-Match` that is not its current one | 412 `conditionNotMet` | [datasets.patch](https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/datasets/patch) |
//! | a job id is taken once, for a project and location | 409 `duplicate`; `jobs.get` gives the first | [JobReference](https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/JobReference) |
//! | a load with `table$PARTITION` and `WRITE_TRUNCATE` replaces that partition | rows of other partitions fail the job | [partition decorators](https://docs.cloud.google.com/bigquery/docs/managing-partitioned-table-data) |
//! | a load makes a missing table with its schema, partitioning and clustering | `CREATE_NEVER`: `notFound` | [JobConfigurationLoad](https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad) |
//! | a load is atomic, and matches Parquet columns by name and type | `invalid` | [Parquet](https://docs.cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet) |
//! | a clone of a clone of a clone can't be cloned; a copy job begins anew | `invalid` | [quotas](https://docs.cloud.google.com/bigquery/quotas#table_clones) |
//! | CLONE makes new tables only, and not of views | `duplicate`, `invalid` | [table clones](https://docs.cloud.google.com/bigquery/docs/table-clones-intro#limitations) |
//! | no permanent definitions in a transaction | `invalidQuery` | [transactions](https://docs.cloud.google.com/bigquery/docs/transactions#limitations) |
//! | 5 updates of a dataset, 5 of a table (50 if partitioned) in 10 s | 403 `rateLimitExceeded` | [quotas](https://docs.cloud.google.com/bigquery/quotas#dataset_limits) |
//! | 1,500 modifications of a table a day, DML not counted | `quotaExceeded` | [quotas](https://docs.cloud.google.com/bigquery/quotas#table_limits) |
//! | 4,000 partitions and 10,000 sources a load | `quotaExceeded`, `invalid` | [quotas](https://docs.cloud.google.com/bigquery/quotas#load_jobs) |
//! | reserved prefixes of column names | 400 `invalid` | [column names](https://docs.cloud.google.com/bigquery/docs/schemas#column_names) |
//! | `maximumBytesBilled` below the estimate, with 10 MiB a table at least | `bytesBilledLimitExceeded` | [limits of costs](https://docs.cloud.google.com/bigquery/docs/best-practices-costs#restrict-bytes-billed) |
//! | `dryRun` and statistics say how many bytes are processed | - | [estimates](https://docs.cloud.google.com/bigquery/docs/estimate-costs) |
//! | access lists are kept as given, with authorised datasets | - | [Dataset](https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/datasets) |
//! | `datasets.delete` of what is not empty, without `deleteContents` | 400 `resourceInUse` | [datasets.delete](https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/datasets/delete) |
//! | a patch merges labels, and null removes one | - | [labels](https://docs.cloud.google.com/bigquery/docs/updating-labels) |
//! | a failed query is an HTTP error of `jobs.query` and `getQueryResults` | by reason | [error messages](https://docs.cloud.google.com/bigquery/docs/error-messages) |
//! | a view is made or patched only with a query that compiles; it is returned with its query | 400 `invalidQuery` | [views](https://docs.cloud.google.com/bigquery/docs/views) |
//! | results write timestamps, decimals and geographies in BigQuery's way | - | [DataFormatOptions](https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/DataFormatOptions) |
//! | legacy SQL is the default of the interface | 501 `notImplemented`, as it is not emulated | [Job](https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/Job) |
//!
//! Not emulated: permissions, expirations, time travel, row-level security, legacy SQL, streaming, results into named
//! tables, loads in formats other than Parquet, partitioning by ingestion time. What of it a request asks for is refused
//! with 501 where it can be seen; permissions and expirations are kept and have no effect.

mod bytes;
mod cloud;
mod copy;
mod datasets;
mod etag;
mod jobs;
mod ledger;
mod limits;
mod load;
mod name;
mod partition;
mod query;
mod routes;
mod rows;
mod run;
mod schema;
mod sql;
mod tables;
mod upload;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use self::cloud::Cloud;
use self::jobs::Jobs;
use self::ledger::Ledger;
use self::limits::Rates;
use crate::error::Result;
use crate::upstream::Upstream;

/// The emulated BigQuery. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct BigQuery {
    jobs: Arc<Jobs>,
    cloud: Arc<Mutex<Cloud>>,
}

impl BigQuery {
    /// The emulator at `upstream` with what `folder` says of its datasets and jobs, and the buckets in `storage`.
    pub(crate) fn open(upstream: Upstream, folder: &Path, storage: &Path, rate_limits: bool) -> Result<Self> {
        let ledger = Ledger::open(folder.join("ledger.json"))?;
        let cloud = Cloud::new(upstream, ledger, Rates::new(rate_limits), storage.to_owned());
        Ok(Self { jobs: Arc::new(Jobs::open(folder)?), cloud: Arc::new(Mutex::new(cloud)) })
    }
}
