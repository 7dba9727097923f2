//! Nested records, lists and every type of column, from a source through the lake to raw and to readers.

use std::fs;
use std::path::Path;

use duckdb::Connection;
use end_to_end::{Cloud, Sandbox, copy_folder, replaced, repository};
use serde_json::json;

const DAY: &str = "2025-08-01";

/// The second parcel has nothing but its key.
const PARCELS: &str = r#"
    set TimeZone = 'UTC';
    create table parcels_log as
    select 'p1' as parcel_id, cast(1.2345 as decimal(20, 6)) as weight,
        cast('0.123456789012345678' as decimal(38, 18)) as volume, '\x00\xFF'::blob as label,
        date '2025-08-01' as packed_on, timestamp '2025-08-01 23:59:59.000001' as packed_at,
        time '23:59:59.999999' as pick_up, timestamptz '2025-08-01 12:00:00.5+00' as sent_at,
        '{"a":[1,2],"b":null}'::json as payload, 'POINT (1 2)' as place, true as is_fragile, 0.1::double as insured,
        ['x', 'it''s'] as tags,
        {'name': 'Ada', 'phones': ['1'], 'home': {'city': 'York', 'spot': 'POINT (3 4)'}} as sender,
        [
            {'article': 'pen', 'price': 1.50, 'note': '{"k":"n"}'::json,
                'discounts': [{'percent': 5, 'until': timestamp '2025-09-01'}, {'percent': 7, 'until': null}]},
            {'article': 'ink', 'price': null, 'note': null, 'discounts': []}
        ] as lines,
        timestamp '2025-08-01 12:00:00' as changed_at, 1::bigint as change_sequence, 'insert' as operation
    union all
    select 'p2', null, null, null, null, null, null, null, null, null, null, null, null, null, null,
        timestamp '2025-08-01 13:00:00', 2, 'insert';
"#;

/// The pipeline with its source, its file changed by `edit`.
fn sandbox(folder: &Path, edit: impl FnOnce(String) -> String) -> Sandbox {
    copy_folder(&repository().join("tests/types"), folder);
    let source = folder.join("shop.duckdb");
    if !source.exists() {
        Connection::open(&source).unwrap().execute_batch(PARCELS).unwrap();
    }
    let config = folder.join("pipeline.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, edit(replaced(&text, "source/shop.duckdb", &source.display().to_string()))).unwrap();
    Sandbox::of(&config)
}

#[test]
fn every_type_goes_from_the_source_to_raw_with_its_contract() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(folder.path(), |text| text);
    assert_eq!(sandbox.day(DAY)["outcome"], "published");

    let raw = Connection::open(sandbox.home().join("warehouse/loaded.duckdb")).unwrap();
    let mut columns =
        raw.prepare("select column_name, data_type from duckdb_columns() where schema_name = 'raw'").unwrap();
    let columns: Vec<(String, String)> =
        columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let expected = [
        ("parcel_id", "VARCHAR"),
        ("weight", "DECIMAL(12,3)"),
        ("volume", "DECIMAL(38,18)"),
        ("label", "BLOB"),
        ("packed_on", "DATE"),
        ("packed_at", "TIMESTAMP"),
        ("pick_up", "TIME"),
        ("sent_at", "TIMESTAMP"),
        ("payload", "JSON"),
        ("place", "VARCHAR"),
        ("is_fragile", "BOOLEAN"),
        ("insured", "DOUBLE"),
        ("tags", "VARCHAR[]"),
        ("sender", "STRUCT(\"name\" VARCHAR, phones VARCHAR[], home STRUCT(city VARCHAR, spot VARCHAR))"),
        (
            "lines",
            "STRUCT(article VARCHAR, price DECIMAL(10,2), note JSON, discounts STRUCT(\"percent\" BIGINT, \"until\" \
             TIMESTAMP WITH TIME ZONE)[])[]",
        ),
        ("changed_at", "TIMESTAMP"),
        ("change_sequence", "BIGINT"),
        ("operation", "VARCHAR"),
        ("bgp_partition", "VARCHAR"),
    ];
    assert_eq!(columns, expected.map(|(name, data_type)| (name.to_owned(), data_type.to_owned())));

    let parcels = sandbox.run(&["sql", "select * from live.parcels order by parcel_id", "--json"]).ok().json();
    assert_eq!(
        parcels[0],
        json!({
            "parcel_id": "p1", "weight": "1.234", "label": "00ff", "packed_on": "2025-08-01",
            "packed_at": "2025-08-01T23:59:59.000001Z", "pick_up": "23:59:59.999999",
            "sent_at": "2025-08-01T12:00:00.5Z", "payload": "{\"a\":[1,2],\"b\":null}", "place": "POINT(1 2)",
            "is_fragile": true, "insured": 0.1, "tags": ["x", "it's"], "sender_name": "Ada", "sender_phones": ["1"],
            "sender_city": "York", "line_count": 2, "changed_at": "2025-08-01T12:00:00Z", "change_sequence": 1,
        })
    );
    let lines = sandbox.run(&["sql", "select * from live.parcel_lines order by percent", "--json"]).ok().json();
    assert_eq!(
        lines,
        json!([
            {"parcel_id": "p1", "article": "pen", "price": "1.50", "note": "n", "percent": 5, "until": "2025-09-01T00:00:00Z"},
            {"parcel_id": "p1", "article": "pen", "price": "1.50", "note": "n", "percent": 7, "until": null},
        ])
    );
}

#[test]
fn every_type_is_the_same_in_the_emulated_cloud() {
    let Some(cloud) = Cloud::find("types in the emulated cloud") else { return };
    let folder = tempfile::tempdir().unwrap();
    // The emulator has no BIGNUMERIC, and whoever asks for it is told so.
    let whole = sandbox(folder.path(), |text| text);
    let refused = cloud.run(&whole, &["run", "daily", "--partition", DAY]);
    refused.refused("no columns of type BIGNUMERIC, such as volume");
    let rest =
        sandbox(folder.path(), |text| replaced(&text, "      - {name: volume, type: \"bignumeric(38,18)\"}\n", ""));
    rest.day(DAY);
    cloud.run(&rest, &["run", "daily", "--partition", DAY]).ok();
    assert_eq!(cloud.run(&rest, &["digest", "--json"]).ok().json(), rest.run(&["digest", "--json"]).ok().json());
}
