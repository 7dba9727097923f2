//! Loads from Parquet.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::cloud;

const DAY: i64 = 86_400_000_000;

/// Writes a file into the bucket's folder, as an upload would.
fn write(folder: &Path, name: &str, columns: Vec<(&str, ArrayRef)>) -> String {
    let path = folder.join("storage").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    format!("gs://{name}")
}

fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn dates(values: &[i32]) -> ArrayRef {
    Arc::new(Date32Array::from(values.to_vec()))
}

fn instants(values: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("UTC"))
}

fn load(dataset: &str, table: &str, uri: &str, disposition: &str) -> Value {
    json!({"load": {
        "sourceUris": [uri],
        "sourceFormat": "PARQUET",
        "writeDisposition": disposition,
        "destinationTable": {"datasetId": dataset, "tableId": table},
    }})
}

fn table(name: &str, fields: &Value, layout: &Value) -> Value {
    let mut definition = json!({"tableReference": {"tableId": name}, "schema": {"fields": fields}});
    definition.as_object_mut().unwrap().extend(layout.as_object().unwrap().clone());
    definition
}

#[tokio::test]
async fn a_load_makes_the_missing_table_with_its_layout() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("makes").await;
    let uri = write(&cloud.folder, "lake/makes/a.parquet", vec![("day", dates(&[1, 2])), ("n", integers(&[1, 2]))]);
    let mut configuration = load("makes", "t", &uri, "WRITE_TRUNCATE");
    configuration["load"]["schema"] = json!({"fields": [
        {"name": "n", "type": "INTEGER", "mode": "REQUIRED", "description": "a number"},
        {"name": "day", "type": "DATE"},
    ]});
    configuration["load"]["timePartitioning"] = json!({"type": "MONTH", "field": "day"});
    configuration["load"]["clustering"] = json!({"fields": ["n"]});
    client.job(configuration).await.ok();
    let made = client.get("/datasets/makes/tables/t").await.ok();
    assert_eq!(made["timePartitioning"], json!({"type": "MONTH", "field": "day"}));
    assert_eq!(made["clustering"], json!({"fields": ["n"]}));
    assert_eq!(made["schema"]["fields"][0]["description"], "a number");
    assert_eq!(made["numRows"], "2");
    // Columns are matched by name: the file has them in another order.
    assert_eq!(client.rows("select n, day from makes.t order by n").await, [["1", "1970-01-02"], ["2", "1970-01-03"]]);
}

#[tokio::test]
async fn create_never_does_not_make_a_table() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("never").await;
    let uri = write(&cloud.folder, "lake/never/a.parquet", vec![("n", integers(&[1]))]);
    let mut configuration = load("never", "t", &uri, "WRITE_APPEND");
    configuration["load"]["createDisposition"] = json!("CREATE_NEVER");
    client.job(configuration).await.failed("notFound", "never.t");
}

#[tokio::test]
async fn truncating_a_day_replaces_that_day_only() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("by_day").await;
    let fields = json!([{"name": "day", "type": "DATE"}, {"name": "n", "type": "INTEGER"}]);
    client.table("by_day", table("t", &fields, &json!({"timePartitioning": {"type": "DAY", "field": "day"}}))).await;
    let two_days =
        write(&cloud.folder, "lake/by_day/a.parquet", vec![("day", dates(&[0, 1, 1])), ("n", integers(&[1, 2, 3]))]);
    client.job(load("by_day", "t", &two_days, "WRITE_APPEND")).await.ok();
    let second = write(&cloud.folder, "lake/by_day/b.parquet", vec![("n", integers(&[9])), ("day", dates(&[1]))]);
    for _ in 0..2 {
        client.job(load("by_day", "t$19700102", &second, "WRITE_TRUNCATE")).await.ok();
        assert_eq!(client.rows("select n from by_day.t order by n").await, [["1"], ["9"]]);
    }
}

#[tokio::test]
async fn rows_of_another_partition_fail_the_load_and_change_nothing() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("stray").await;
    let fields = json!([{"name": "at", "type": "TIMESTAMP"}]);
    client.table("stray", table("t", &fields, &json!({"timePartitioning": {"type": "HOUR", "field": "at"}}))).await;
    let hour = DAY / 24;
    let good = write(&cloud.folder, "lake/stray/a.parquet", vec![("at", instants(&[0, hour - 1]))]);
    client.job(load("stray", "t$1970010100", &good, "WRITE_TRUNCATE")).await.ok();
    let stray = write(&cloud.folder, "lake/stray/b.parquet", vec![("at", instants(&[0, hour]))]);
    let job = client.job(load("stray", "t$1970010100", &stray, "WRITE_TRUNCATE")).await;
    job.failed("invalid", "Some rows belong to different partitions");
    assert_eq!(client.rows("select count(*) from stray.t").await, [["2"]]);
}

#[tokio::test]
async fn months_years_and_ranges_have_decorators() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("units").await;
    let by_date = json!([{"name": "day", "type": "DATE"}]);
    for (name, unit, decorator) in [("months", "MONTH", "197002"), ("years", "YEAR", "1970")] {
        let layout = json!({"timePartitioning": {"type": unit, "field": "day"}});
        client.table("units", table(name, &by_date, &layout)).await;
        let uri = write(&cloud.folder, &format!("lake/units/{name}.parquet"), vec![("day", dates(&[31, 58]))]);
        let target = format!("{name}${decorator}");
        client.job(load("units", &target, &uri, "WRITE_TRUNCATE")).await.ok();
        client.job(load("units", &target, &uri, "WRITE_TRUNCATE")).await.ok();
        assert_eq!(client.rows(&format!("select count(*) from units.{name}")).await, [["2"]]);
    }
    let range = json!({"rangePartitioning": {"field": "n", "range": {"start": "0", "end": "100", "interval": "10"}}});
    client.table("units", table("ranges", &json!([{"name": "n", "type": "INTEGER"}]), &range)).await;
    let all = write(&cloud.folder, "lake/units/all.parquet", vec![("n", integers(&[5, 15, 25]))]);
    client.job(load("units", "ranges", &all, "WRITE_APPEND")).await.ok();
    let middle = write(&cloud.folder, "lake/units/middle.parquet", vec![("n", integers(&[19]))]);
    client.job(load("units", "ranges$10", &middle, "WRITE_TRUNCATE")).await.ok();
    assert_eq!(client.rows("select n from units.ranges order by n").await, [["5"], ["19"], ["25"]]);
    client.job(load("units", "ranges$15", &middle, "WRITE_TRUNCATE")).await.failed("invalid", "decorator");
    let made = client.get("/datasets/units/tables/ranges").await.ok();
    assert_eq!(made["rangePartitioning"], range["rangePartitioning"]);
}

#[tokio::test]
async fn a_bad_file_leaves_the_table_as_it_was() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("atomic").await;
    let good = write(&cloud.folder, "lake/atomic/a.parquet", vec![("n", integers(&[1]))]);
    client.job(load("atomic", "t", &good, "WRITE_APPEND")).await.ok();
    let other_type = write(&cloud.folder, "lake/atomic/b.parquet", vec![("n", texts(&["x"]))]);
    client.job(load("atomic", "t", &other_type, "WRITE_TRUNCATE")).await.failed("invalid", "has type STRING");
    let other_column =
        write(&cloud.folder, "lake/atomic/c.parquet", vec![("n", integers(&[1])), ("m", integers(&[1]))]);
    client.job(load("atomic", "t", &other_column, "WRITE_TRUNCATE")).await.failed("invalid", "Cannot add fields");
    client.job(load("atomic", "t", "gs://lake/atomic/none.parquet", "WRITE_TRUNCATE")).await.failed("notFound", "URI");
    assert_eq!(client.rows("select n from atomic.t").await, [["1"]]);
    let mut wrong = load("atomic", "u", &other_type, "WRITE_TRUNCATE");
    wrong["load"]["schema"] = json!({"fields": [{"name": "n", "type": "INTEGER"}]});
    client.job(wrong).await.failed("invalid", "has type STRING");
    assert_eq!(client.get("/datasets/atomic/tables/u").await.status, 404);
}

#[tokio::test]
async fn a_load_of_more_than_4000_partitions_is_refused() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("many").await;
    let fields = json!([{"name": "day", "type": "DATE"}]);
    client.table("many", table("t", &fields, &json!({"timePartitioning": {"type": "DAY", "field": "day"}}))).await;
    let days: Vec<i32> = (0..4_001).collect();
    let uri = write(&cloud.folder, "lake/many/a.parquet", vec![("day", dates(&days))]);
    client.job(load("many", "t", &uri, "WRITE_APPEND")).await.failed("quotaExceeded", "allowed 4000");
    let uri = write(&cloud.folder, "lake/many/b.parquet", vec![("day", dates(&days[1..]))]);
    client.job(load("many", "t", &uri, "WRITE_APPEND")).await.ok();
}

#[tokio::test]
async fn uploads_are_found_by_the_warehouse() {
    let cloud = cloud!();
    let client = cloud.bigquery();
    client.dataset("uploaded").await;
    let storage = cloud.storage();
    let bucket = json!({"name": "uploads"});
    storage.send("POST", "/storage/v1/b?project=emulated", Some(&bucket), &[]).await.ok();
    write(&cloud.folder, "made/a.parquet", vec![("n", integers(&[7]))]);
    let bytes = std::fs::read(cloud.folder.join("storage/made/a.parquet")).unwrap();
    let url = format!("{}/upload/storage/v1/b/uploads/o?uploadType=media&name=x/a=1/part.parquet", storage.base);
    reqwest::Client::new().post(url).body(bytes).send().await.unwrap().error_for_status().unwrap();
    let job = client.job(load("uploaded", "t", "gs://uploads/x/*.parquet", "WRITE_TRUNCATE")).await.ok();
    assert_eq!(job["statistics"]["load"]["outputRows"], "1");
    assert_eq!(client.rows("select * from uploaded.t").await, [["7"]]);
}
