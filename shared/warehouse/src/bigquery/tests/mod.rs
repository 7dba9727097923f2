//! The contract on the emulated cloud, which enforces BigQuery's documented rules, and what only BigQuery does.
//!
//! One cloud serves all tests of the process; each test has a project and a bucket of its own in it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema};
use emulators::{Emulators, Environment, Faults, Options};
use google::{Api, Budget, Endpoints};
use parquet::arrow::ArrowWriter;
use pipeline::Pipeline;
use serde_json::json;
use store::Folder;
use wap::{LAKE_VERSION, ManifestColumn, ManifestObject, PartitionKey};

use super::jobs::Purpose;
use super::schema::Field;
use super::*;
use crate::contract::{Fixture, Row, manifest};

mod faults;
mod loads;
mod queries;
mod slots;
mod views;

/// A running cloud: its address, the folder that its buckets are in, and its faults.
struct Cloud {
    bigquery: String,
    buckets: PathBuf,
    faults: Faults,
    projects: AtomicUsize,
}

/// The cloud of most tests; nothing where the emulators are not installed.
fn cloud() -> Option<&'static Cloud> {
    static CLOUD: OnceLock<Option<Cloud>> = OnceLock::new();
    CLOUD.get_or_init(start).as_ref()
}

/// Starts a cloud, which ends with the process.
fn start() -> Option<Cloud> {
    let environment = Environment::for_tests()?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        // Tests have a runtime each; the proxies outlive them all.
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = Options { rate_limits: false, ..Options::new(folder.path(), environment) };
        let emulators = runtime.block_on(Emulators::start(options)).unwrap();
        let cloud = Cloud {
            bigquery: emulators.endpoints().bigquery.clone(),
            buckets: folder.path().join("storage"),
            faults: emulators.faults().clone(),
            projects: AtomicUsize::new(0),
        };
        send.send(cloud).unwrap();
        runtime.block_on(std::future::pending::<()>());
    });
    receive.recv().ok()
}

struct Emulated {
    warehouse: BigQuery,
    store: Arc<dyn ObjectStore>,
    bucket: PathBuf,
}

fn slot(cycle: u64, name: &str) -> Slot {
    let color = if cycle % 2 == 1 { wap::Color::Blue } else { wap::Color::Green };
    Slot { color, cycle, attempt: wap::AttemptId::new(format!("attempt{name}")).unwrap() }
}

fn rows(number: i64, name: &str) -> Vec<Row> {
    (0..number).map(|id| (id, name.to_owned())).collect()
}

/// A table of columns `id`, `name` and `at`, partitioned by days, and what `rest` adds to its section.
fn table(rest: &str) -> Table {
    let source = format!(
        "version: 1\nname: contract\ntime_zone: America/Toronto\nstart: 2025-07-01\n\
         sources: {{s: {{kind: duckdb, path: s}}}}\nraw: {{dataset: raw}}\ntables:\n  things:\n    source: s\n    key: [id]\n    \
         cursor: {{column: at}}\n    columns:\n      - {{name: id, type: integer}}\n      - {{name: name, type: string}}\n      \
         - {{name: at, type: timestamp}}\n{rest}dbt: {{project: dbt, publish: [m]}}\n"
    );
    Pipeline::parse("t.yaml", &source).unwrap().table("things").unwrap().clone()
}

fn key(text: &str) -> PartitionKey {
    PartitionKey::new(text).unwrap()
}

fn name(text: &str) -> Identifier {
    Identifier::new(text).unwrap()
}

/// A project with nothing in it but the fixed datasets.
async fn fresh() -> Option<Emulated> {
    Some(Emulated::new(cloud()?).await)
}

/// What a project is opened with.
fn settings(cloud: &Cloud) -> (Settings, PathBuf) {
    let number = cloud.projects.fetch_add(1, Ordering::Relaxed);
    let bucket = cloud.buckets.join(format!("bucket-{number}"));
    let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(&bucket).unwrap());
    let settings = Settings {
        connection: Connection {
            endpoints: Endpoints::default().with(Api::BigQuery, &cloud.bigquery),
            credentials: Credentials::anonymous(),
            budget: Budget {
                first_pause: Duration::from_millis(20),
                total: Duration::from_secs(20),
                ..Budget::STANDARD
            },
        },
        project: format!("project-{number}"),
        location: "US".to_owned(),
        pipeline: name("contract"),
        prefix: name("shop"),
        live: name("live"),
        raw: Pipeline::parse("contract.yaml", PIPELINE).unwrap().raw,
        operations: name("ops"),
        schemas: ["staging", "mart"].map(name).to_vec(),
        members: Members {
            owners: vec!["group:data@acme.example".to_owned()],
            readers: vec!["serviceAccount:audit@acme.example".to_owned()],
            writer: Some("serviceAccount:transform@acme.example".to_owned()),
        },
        store,
        bucket: format!("bucket-{number}"),
        reader: None,
        make_fixed_datasets: true,
    };
    (settings, bucket)
}

const PIPELINE: &str = "
version: 1
name: contract
time_zone: UTC
start: 2025-08-01
sources: {s: {kind: duckdb, path: s.duckdb}}
raw: {dataset: raw}
tables: {t: {source: s, partition: {granularity: all}, columns: [{name: id, type: integer}]}}
dbt: {project: dbt, publish: [models]}
";

impl Emulated {
    async fn new(cloud: &Cloud) -> Self {
        let (settings, bucket) = settings(cloud);
        let store = settings.store.clone();
        Self { warehouse: BigQuery::open(settings).await.unwrap(), store, bucket }
    }

    /// The same project for one step.
    fn step(&self, name: &str, max_bytes_billed: Option<u64>) -> BigQuery {
        let step = Step { name: name.to_owned(), slot: None, max_bytes_billed };
        BigQuery { step: Arc::new(step), statistics: Arc::default(), ..self.warehouse.clone() }
    }

    /// How many rows a table has for which `filter` holds.
    async fn count(&self, dataset: &str, table: &str, filter: &str) -> u64 {
        let sql = format!("SELECT COUNT(*) AS n FROM {} WHERE {filter}", self.warehouse.names.sql(dataset, table));
        let found = self.warehouse.read_rows(&Place::Slot(slot(1, "any")), &sql, 1).await.unwrap();
        found.single().unwrap().as_u64().unwrap()
    }

    /// Stores the columns as one Parquet object and returns what a manifest says of it.
    async fn object(&self, key: &str, batch: &RecordBatch) -> ManifestObject {
        let mut content = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        let checksum = Digest::of(&content);
        let bytes = content.len() as u64;
        let generation = self.store.put(key, content.into(), store::Precondition::None).await.unwrap();
        ManifestObject { key: key.to_owned(), generation, rows: batch.num_rows() as u64, bytes, checksum }
    }
}

fn batch(rows: &[Row]) -> Vec<(&'static str, arrow::array::ArrayRef)> {
    let ids = Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id));
    let names = StringArray::from_iter_values(rows.iter().map(|(_, name)| name.as_str()));
    vec![("id", Arc::new(ids)), ("name", Arc::new(names))]
}

/// A batch whose columns may all be NULL, as extract writes them.
fn nullable(columns: Vec<(&str, arrow::array::ArrayRef)>) -> RecordBatch {
    let fields: Vec<ArrowField> =
        columns.iter().map(|(name, array)| ArrowField::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays).unwrap()
}

#[async_trait]
impl Fixture for Emulated {
    fn warehouse(&self) -> &dyn Warehouse {
        &self.warehouse
    }

    async fn write(&self, slot: &Slot, schema: &str, relation: &str, rows: &[Row]) {
        let warehouse = &self.warehouse;
        let staging = TableName::new("ops", format!("write_{}", unique()));
        let fields = [Field::new("id", "INTEGER"), Field::new("name", "STRING")];
        warehouse.make_table(&staging, json!({"schema": {"fields": fields}, "labels": {}})).await.unwrap();
        if !rows.is_empty() {
            let object = self.object(&format!("written/{}.parquet", staging.table), &nullable(batch(rows))).await;
            let load = json!({"load": {
                "sourceUris": [format!("gs://{}/{}", warehouse.bucket, object.key)], "sourceFormat": "PARQUET",
                "destinationTable": rest::table_reference(&warehouse.names.project, "ops", &staging.table),
                "schema": {"fields": fields}, "writeDisposition": "WRITE_APPEND",
            }});
            warehouse.run(&Purpose::once("write"), None, load, "writing").await.unwrap();
        }
        let sql = format!(
            "CREATE OR REPLACE TABLE {} AS SELECT id, name FROM {}",
            warehouse.relation(slot, schema, relation),
            warehouse.sql(&staging)
        );
        warehouse.define(&Purpose::once("write"), None, &sql, "writing").await.unwrap();
    }

    async fn view(&self, slot: &Slot, schema: &str, relation: &str, over: &str) {
        let (over_schema, over) = over.split_once('.').unwrap();
        let (view, over) =
            (self.warehouse.relation(slot, schema, relation), self.warehouse.relation(slot, over_schema, over));
        let sql = format!("CREATE OR REPLACE VIEW {view} AS SELECT * FROM {over}");
        self.warehouse.define(&Purpose::once("view"), None, &sql, "making a view").await.unwrap();
    }

    async fn extract(&self, table: &Table, partition: &PartitionKey, rows: &[Row]) -> Manifest {
        let load = unique();
        // As extract writes it.
        let in_utc = |shown| jiff::tz::TimeZone::UTC.to_timestamp(shown).unwrap().as_microsecond();
        let start = table.calendar.local_start(partition).unwrap().map(in_utc);
        let same = |text: &str| Arc::new(StringArray::from(vec![text; rows.len()])) as arrow::array::ArrayRef;
        let instants = |zone: Option<&str>, value: Option<i64>| {
            let array = TimestampMicrosecondArray::from(vec![value; rows.len()]);
            Arc::new(array.with_timezone_opt(zone)) as arrow::array::ArrayRef
        };
        let mut columns = batch(rows);
        columns.push(("at", instants(Some("UTC"), Some(0))));
        columns.push(("bgp_partition", same(partition.as_str())));
        columns.push(("bgp_partition_start", instants(None, start)));
        columns.push(("bgp_load", same(&load)));
        let key = format!("lake/{}/{partition}/{load}/part-0.parquet", table.name);
        let object = self.object(&key, &nullable(columns)).await;
        Manifest { load: Some(load), ..manifest(table, partition, rows, object) }
    }

    fn file(&self, object: &ManifestObject) -> PathBuf {
        self.bucket.join(&object.key)
    }
}

crate::warehouse_contract!(
    contract,
    match super::fresh().await {
        Some(fixture) => fixture,
        None => return,
    }
);
