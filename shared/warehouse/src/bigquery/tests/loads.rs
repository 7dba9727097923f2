use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, ListArray, StructArray,
    Time64MicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field as ArrowField, Fields};
use serde_json::Value;
use store::ObjectStoreExt;

use super::*;

/// What a step sent: one that found everything done sent nothing.
async fn jobs_of_load(emulated: &Emulated, table: &Table, manifest: &Manifest) -> u64 {
    let step = emulated.step("load", None);
    step.load(table, manifest).await.unwrap();
    step.statistics().jobs
}

async fn staging_tables(emulated: &Emulated) -> usize {
    emulated.warehouse.rest.tables("ops").await.unwrap().unwrap().len()
}

#[tokio::test]
async fn a_partition_is_replaced_by_one_job_and_others_stay() {
    let Some(emulated) = fresh().await else { return };
    let table = table("");
    let first = emulated.extract(&table, &key("2025-08-01"), &rows(2, "first")).await;
    let other = emulated.extract(&table, &key("2025-08-02"), &rows(3, "other")).await;
    let second = emulated.extract(&table, &key("2025-08-01"), &rows(4, "second")).await;
    for manifest in [&first, &other, &second] {
        assert_eq!(jobs_of_load(&emulated, &table, manifest).await, 1);
    }
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 7);
    assert_eq!(emulated.count("raw", "things", "name = 'first'").await, 0);
    assert_eq!(emulated.count("raw", "things", "bgp_partition = '2025-08-01' AND name = 'second'").await, 4);
    assert_eq!(staging_tables(&emulated).await, 0);
}

#[tokio::test]
async fn what_is_loaded_is_not_loaded_again() {
    let Some(emulated) = fresh().await else { return };
    let table = table("");
    let first = emulated.extract(&table, &key("2025-08-01"), &rows(2, "first")).await;
    let second = emulated.extract(&table, &key("2025-08-01"), &rows(4, "second")).await;
    assert_eq!(jobs_of_load(&emulated, &table, &first).await, 1);
    assert_eq!(jobs_of_load(&emulated, &table, &first).await, 0);
    assert_eq!(jobs_of_load(&emulated, &table, &second).await, 1);
    // The same upload as at first, but not what raw holds now: its first job must not be taken for this one's.
    assert_eq!(jobs_of_load(&emulated, &table, &first).await, 1);
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 2);
    // Nobody remembers what a table held that was dropped.
    emulated.warehouse.drop_table(&TableName::new("raw", "things")).await.unwrap();
    emulated.warehouse.load(&table, &first).await.unwrap();
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 2);
}

#[tokio::test]
async fn weeks_months_hours_and_whole_tables_are_replaced() {
    let Some(emulated) = fresh().await else { return };
    for (granularity, keys) in [
        ("hour", ["2025-08-01T05", "2025-08-01T06"]),
        ("week", ["2025-07-28", "2025-08-04"]),
        ("month", ["2025-07", "2025-08"]),
    ] {
        let mut table = table(&format!("    partition: {{granularity: {granularity}}}\n"));
        table.name = name(&format!("by_{granularity}"));
        for (partition, number) in [(keys[0], 2), (keys[1], 3), (keys[0], 5)] {
            let manifest = emulated.extract(&table, &key(partition), &rows(number, "x")).await;
            assert_eq!(jobs_of_load(&emulated, &table, &manifest).await, 1, "{granularity}");
        }
        assert_eq!(emulated.count("raw", table.name.as_str(), "TRUE").await, 8, "{granularity}");
    }
    let mut whole = table("");
    whole.calendar.granularity = pipeline::Granularity::All;
    for number in [2, 3] {
        let manifest = emulated.extract(&whole, &PartitionKey::all(), &rows(number, "x")).await;
        assert_eq!(jobs_of_load(&emulated, &whole, &manifest).await, 1);
    }
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 3);
}

#[tokio::test]
async fn rows_are_replaced_where_partitions_are_cut_otherwise() {
    let Some(emulated) = fresh().await else { return };
    let table =
        table("    raw: {partition_by: {column: id, range: {start: 0, end: 100, interval: 10}}, cluster_by: [name]}\n");
    for (partition, number) in [("2025-08-01", 20), ("2025-08-02", 30), ("2025-08-01", 5)] {
        let manifest = emulated.extract(&table, &key(partition), &rows(number, "x")).await;
        emulated.warehouse.load(&table, &manifest).await.unwrap();
    }
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 35);
    assert_eq!(emulated.count("raw", "things", "bgp_partition = '2025-08-01'").await, 5);
    assert_eq!(emulated.count("raw", "things", "bgp_partition_start = DATETIME '2025-08-02 00:00:00'").await, 30);
    assert_eq!(staging_tables(&emulated).await, 0, "staging tables are dropped");
}

#[tokio::test]
async fn a_repeated_append_finds_its_jobs() {
    let Some(emulated) = fresh().await else { return };
    // Of both kinds: by a load job, and through a staging table.
    for rest in ["", "      - {name: extra, type: string}\n"] {
        let (narrow, wide) = (table(""), table(rest));
        let manifest = emulated.extract(&narrow, &key("2025-08-01"), &rows(3, "x")).await;
        let name = TableName::new("raw", format!("appended_{}", rest.len()));
        let fields = schema::raw_fields(&wide.columns);
        emulated.warehouse.make_table(&name, json!({"schema": {"fields": fields}, "labels": {}})).await.unwrap();
        let purpose = Purpose::once("test");
        for _ in 0..2 {
            emulated.warehouse.append(&name, &wide, &[&manifest], &purpose, &slot(1, "a")).await.unwrap();
        }
        assert_eq!(emulated.count("raw", &name.table, "TRUE").await, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_loads_of_one_upload_are_one_job() {
    let Some(emulated) = fresh().await else { return };
    let table = table("");
    let manifest = emulated.extract(&table, &key("2025-08-01"), &rows(3, "x")).await;
    let loads = (0..4).map(|_| {
        let (warehouse, table, manifest) = (emulated.warehouse.clone(), table.clone(), manifest.clone());
        tokio::spawn(async move { warehouse.load(&table, &manifest).await })
    });
    for load in loads.collect::<Vec<_>>() {
        load.await.unwrap().unwrap();
    }
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 3);
    let jobs: Value = emulated.warehouse.rest.get("/jobs", &[]).await.unwrap().unwrap();
    let jobs = jobs["jobs"].as_array().unwrap();
    let is_load = |job: &&Value| job["jobReference"]["jobId"].as_str().is_some_and(|id| id.starts_with("bgp_load_"));
    assert_eq!(jobs.iter().filter(is_load).count(), 1);
}

#[tokio::test]
async fn an_interrupted_load_is_continued() {
    let Some(emulated) = fresh().await else { return };
    let table = table("");
    let manifest = emulated.extract(&table, &key("2025-08-01"), &rows(2, "x")).await;
    emulated.warehouse.load(&table, &manifest).await.unwrap();
    // As if the process had ended between its job and the word that it is done.
    let path = "raw/things/2025-08-01.json";
    let (mut marker, generation) = emulated.store.get_json::<Value>(path).await.unwrap().unwrap();
    assert_eq!(marker["state"], "loaded");
    marker["state"] = "loading".into();
    let precondition = store::Precondition::Generation(generation);
    emulated.store.put_json(path, &marker, precondition).await.unwrap();
    emulated.warehouse.load(&table, &manifest).await.unwrap();
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 2);
    assert_eq!(emulated.store.get_json::<Value>(path).await.unwrap().unwrap().0["state"], "loaded");
}

#[tokio::test]
async fn a_table_of_another_contract_is_made_anew_and_a_strangers_is_not() {
    let Some(emulated) = fresh().await else { return };
    let narrow = table("");
    let day = key("2025-08-01");
    let first = emulated.extract(&narrow, &day, &rows(2, "x")).await;
    emulated.warehouse.load(&narrow, &first).await.unwrap();
    // What is said of it changes, and nothing else.
    let mut described = narrow.clone();
    described.description = Some("Things.".to_owned());
    described.columns[0].description = Some("Never given twice.".to_owned());
    let third = emulated.extract(&narrow, &key("2025-08-03"), &rows(1, "x")).await;
    emulated.warehouse.load(&described, &third).await.unwrap();
    let found = emulated.warehouse.table(&TableName::new("raw", "things")).await.unwrap().unwrap();
    assert_eq!(found.description.as_deref(), Some("Things."));
    assert_eq!(found.schema.fields[0].description.as_deref(), Some("Never given twice."));
    // A further column is added to the table as it is.
    let wide = table("      - {name: extra, type: string}\n");
    let other = emulated.extract(&narrow, &key("2025-08-02"), &rows(3, "x")).await;
    emulated.warehouse.load(&wide, &other).await.unwrap();
    assert_eq!(emulated.count("raw", "things", "extra IS NULL").await, 6);
    // Another layout can't be had without a new table.
    let clustered = table("      - {name: extra, type: string}\n    raw: {cluster_by: [name]}\n");
    emulated.warehouse.load(&clustered, &first).await.unwrap();
    assert_eq!(emulated.count("raw", "things", "TRUE").await, 2);

    let stranger = TableName::new("raw", "strangers");
    let fields = [Field::new("id", "STRING")];
    emulated.warehouse.make_table(&stranger, json!({"schema": {"fields": fields}, "labels": {}})).await.unwrap();
    let mut theirs = narrow;
    theirs.name = name("strangers");
    let manifest = emulated.extract(&theirs, &day, &rows(2, "x")).await;
    let error = emulated.warehouse.load(&theirs, &manifest).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("raw.strangers"), "{error}");
}

fn list(elements: ArrayRef) -> ArrayRef {
    let field = Arc::new(ArrowField::new("element", elements.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([elements.len()]);
    Arc::new(ListArray::try_new(field, offsets, elements, None).unwrap())
}

fn record(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let fields: Fields =
        columns.iter().map(|(name, array)| ArrowField::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Arc::new(StructArray::try_new(fields, arrays, None).unwrap())
}

#[tokio::test]
async fn every_type_goes_from_the_lake_to_raw() {
    let Some(emulated) = fresh().await else { return };
    let text = |texts: &[&str]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let integers = |numbers: &[i64]| Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef;
    let decimal = Decimal128Array::from(vec![1250]).with_precision_and_scale(12, 2).unwrap();
    let line = record(vec![("article", text(&["pen", "ink"])), ("note", text(&[r#"{"a":1}"#, "[2]"]))]);
    let columns: Vec<(&str, &str, &str, ArrayRef)> = vec![
        ("i", "integer, mode: required", "BIGINT", integers(&[7])),
        ("s", "string", "VARCHAR", text(&["it's"])),
        ("b", "boolean", "BOOLEAN", Arc::new(BooleanArray::from(vec![true]))),
        ("d", "date", "DATE", Arc::new(Date32Array::from(vec![20_301]))),
        ("t", "time", "TIME", Arc::new(Time64MicrosecondArray::from(vec![36_672_500_000]))),
        ("w", "datetime", "TIMESTAMP", Arc::new(TimestampMicrosecondArray::from(vec![1_754_010_123_500_000]))),
        ("n", "'numeric(12,2)', rounding: half_even", "DECIMAL(12, 2)", Arc::new(decimal)),
        ("f", "float", "DOUBLE", Arc::new(Float64Array::from(vec![1.5]))),
        ("y", "bytes", "BLOB", Arc::new(BinaryArray::from(vec![b"ab".as_slice()]))),
        ("j", "json", "JSON", text(&[r#"{"a": [1, 2]}"#])),
        ("g", "geography", "VARCHAR", text(&["POINT(1 2)"])),
        ("l", "integer, mode: repeated", "BIGINT[]", list(integers(&[1, 2]))),
        (
            "r",
            "record, mode: repeated, fields: [{name: article, type: string}, {name: note, type: json}]",
            "STRUCT(\"article\" VARCHAR, \"note\" JSON)[]",
            list(line),
        ),
    ];
    let yaml: String =
        columns.iter().map(|(name, kind, ..)| format!("      - {{name: {name}, type: {kind}}}\n")).collect();
    let source = format!(
        "version: 1\nname: contract\ntime_zone: UTC\nstart: 2025-08-01\nsources: {{s: {{kind: duckdb, path: s}}}}\n\
         raw: {{dataset: raw}}\ntables:\n  kinds:\n    source: s\n    partition: {{granularity: all}}\n    columns:\n{yaml}\
         dbt: {{project: dbt, publish: [m]}}\n"
    );
    let table = Pipeline::parse("t.yaml", &source).unwrap().table("kinds").unwrap().clone();
    let mut stored: Vec<(&str, ArrayRef)> = columns.iter().map(|(name, _, _, array)| (*name, array.clone())).collect();
    stored.push(("bgp_partition", text(&["all"])));
    stored.push(("bgp_partition_start", Arc::new(TimestampMicrosecondArray::from(vec![None::<i64>]))));
    stored.push(("bgp_load", text(&["load1"])));
    let object = emulated.object("lake/kinds/all/load1/part-0.parquet", &nullable(stored)).await;
    let manifest = Manifest {
        version: LAKE_VERSION,
        table: table.name.clone(),
        partition: PartitionKey::all(),
        window: None,
        digest: Digest::of("kinds"),
        contract: table.contract_digest(),
        load: Some("load1".to_owned()),
        rows: 1,
        bytes: object.bytes,
        columns: columns
            .iter()
            .map(|(column, _, data_type, _)| ManifestColumn {
                name: name(column),
                data_type: (*data_type).to_owned(),
                nullable: true,
            })
            .collect(),
        objects: vec![object],
        sums: std::collections::BTreeMap::new(),
    };
    emulated.warehouse.load(&table, &manifest).await.unwrap();
    let slot = slot(1, "a");
    emulated.warehouse.create(&slot, None, &[]).await.unwrap();
    let pinned = crate::PinnedPartition { manifest: manifest.clone(), is_contiguous: true };
    let pin = Pin { table, partitions: vec![pinned], changed: vec![manifest] };
    emulated.warehouse.pin(&slot, &[pin]).await.unwrap();
    let names: Vec<&str> = columns.iter().map(|(name, ..)| *name).filter(|name| *name != "g").collect();
    for relation in [
        emulated.warehouse.names.sql("raw", "kinds"),
        emulated.warehouse.relation(&slot, RAW, "kinds"),
        emulated.warehouse.relation(&slot, CHANGES, "raw__kinds"),
    ] {
        let sql = format!("SELECT {}, ST_ASTEXT(g) AS g, bgp_load FROM {relation}", names.join(", "));
        let found = emulated.warehouse.query(&Place::Slot(slot.clone()), &sql, 2).await.unwrap();
        let mut row = found.objects().remove(0);
        // BigQuery writes JSON and shapes by rules of its own; decimals of an emulator keep all their zeros.
        let squeezed = |value: &Value| Value::from(value.as_str().unwrap_or_default().replace(' ', ""));
        row["j"] = squeezed(&row["j"]);
        row["g"] = squeezed(&row["g"]);
        row["n"] = Value::from(row["n"].as_str().unwrap().trim_end_matches('0').to_owned());
        let expected = json!({
            "i": 7, "s": "it's", "b": true, "d": "2025-08-01", "t": "10:11:12.5", "w": "2025-08-01T01:02:03.5Z",
            "n": "12.5", "f": 1.5, "y": "6162", "j": "{\"a\":[1,2]}", "l": [1, 2],
            "r": [{"article": "pen", "note": "{\"a\":1}"}, {"article": "ink", "note": "[2]"}],
            "g": "POINT(12)", "bgp_load": "load1",
        });
        assert_eq!(row, expected, "{relation}");
    }
    assert_eq!(staging_tables(&emulated).await, 0);
}
