//! PostgreSQL as a source, on a real server: the same rows give the same objects and tables as from DuckDB.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use duckdb::Connection;
use end_to_end::{Output, PASSWORD, Postgres, Sandbox, did_not_run, replaced};
use serde_json::Value;

const PIPELINE: &str = "\
version: 1
name: shop
time_zone: America/Toronto
start: 2025-08-01
sources:
  shop: SOURCE
tables:
  orders:
    source: shop
    relation: sales.orders_log
    key: [order_id]
    log: {changed_at: changed_at, sequence: change_sequence, operation: operation}
    partition: {granularity: day}
    columns:
      - {name: order_id, type: integer, mode: required}
      - {name: customer, type: string, personal: true}
      - {name: amount, type: \"numeric(12,2)\"}
      - {name: changed_at, type: timestamp, mode: required}
      - {name: change_sequence, type: integer, mode: required}
      - {name: operation, type: string, mode: required}
  visits:
    source: shop
    relation: visits
    key: [visit_id]
    cursor: {column: seen_at, late_partitions: 1}
    partition: {granularity: day}
    columns:
      - {name: visit_id, type: integer}
      - {name: minutes, type: \"numeric(5,0)\", rounding: half_even}
      - {name: seen_at, type: datetime}
    reconcile: {model: all_visits, key: {visit_id: visit_id}, measures: {minutes: minutes}}
  products:
    source: shop
    query: select product_id, upper(name) as name, tags from products where product_id > 0
    partition: {granularity: all}
    columns:
      - {name: product_id, type: integer}
      - {name: name, type: string}
      - {name: tags, type: string, mode: repeated}
dbt: {project: dbt, publish: [models]}
";

/// Statements that both databases read alike.
const SHOP: &str = "
create schema sales;
create table sales.orders_log (order_id bigint not null, customer text, amount numeric(12, 2), changed_at timestamp with time zone,
  change_sequence bigint primary key, operation text);
insert into sales.orders_log select n % 40, 'customer ' || n % 7, n * 1.25, timestamptz '2025-08-01 04:00:00+00' + n * interval '1 hour',
  n, case when n < 40 then 'insert' else 'update' end from generate_series(0, 95) as numbers(n);
create table visits (visit_id integer primary key, minutes numeric(7, 2), seen_at timestamp);
insert into visits select n, n * 0.5, timestamp '2025-08-01 00:00:00' + n * interval '30 minutes' from generate_series(0, 191) as numbers(n);
create table products (product_id smallint, name varchar(20), tags text[]);
insert into products values (1, 'pen', array['blue', 'it''s']), (2, 'ink', null), (3, null, array['wet']), (0, 'nothing', null);
";

/// What happens later: rows that were forgotten, a correction in the log, a row that is written again.
const LATER: &str = "
insert into sales.orders_log values (3, 'customer 3', 99.99, timestamptz '2025-08-04 05:00:00+00', 1000, 'update');
insert into visits values (1000, 7.5, timestamp '2025-08-03 12:00:00');
update visits set minutes = 2.5 where visit_id = 100;
update products set name = 'pencil' where product_id = 1;
";

fn write_project(folder: &Path, pipeline: &str) -> PathBuf {
    let models = folder.join("dbt/models");
    fs::create_dir_all(&models).unwrap();
    fs::write(folder.join("dbt/dbt_project.yml"), "name: shop\nmodels: {shop: {+materialized: table}}\n").unwrap();
    fs::write(
        models.join("shop.yml"),
        "sources: [{name: raw, tables: [{name: orders}, {name: visits}, {name: products}]}]\n",
    )
    .unwrap();
    for (model, table) in [("order_changes", "orders"), ("all_visits", "visits"), ("all_products", "products")] {
        let text = format!("select * exclude (bgp_partition) from {{{{ source('raw', '{table}') }}}}\n");
        fs::write(models.join(format!("{model}.sql")), text).unwrap();
    }
    let config = folder.join("pipeline.yaml");
    fs::write(&config, pipeline).unwrap();
    config
}

/// The pipeline over another source.
fn shop(folder: &Path, source: &str) -> Sandbox {
    Sandbox::of(&write_project(folder, &replaced(PIPELINE, "SOURCE", source)))
}

fn day(sandbox: &Sandbox, partition: &str) -> Output {
    sandbox.run_with(&[("SHOP_PASSWORD", PASSWORD)], &["run", "daily", "--partition", partition, "--json"])
}

/// Which contents of which partitions the lake has, by their digests.
fn contents(sandbox: &Sandbox) -> BTreeSet<PathBuf> {
    let root = sandbox.home().join("bucket/manifests");
    let mut folders = vec![root.clone()];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(&root).unwrap().to_path_buf());
            }
        }
    }
    found
}

#[test]
fn days_and_corrections_give_what_duckdb_gives() {
    let Some(server) = Postgres::start("PostgreSQL as a source") else { return };
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    server.sql(SHOP);
    server.sql(
        "grant usage on schema sales, public to reader; grant select on all tables in schema sales, public to reader",
    );
    let postgres = shop(folder.path(), &server.source());
    let duckdb = shop(other.path(), &format!("{{kind: duckdb, path: {}/shop.duckdb}}", other.path().display()));
    let same_in_duckdb = |statements: &str| {
        let connection = Connection::open(other.path().join("shop.duckdb")).unwrap();
        connection.execute_batch(&format!("set TimeZone = 'UTC'; {statements}")).unwrap();
    };
    same_in_duckdb(SHOP);
    let both = |partition: &str| -> Value {
        let moved = [&postgres, &duckdb].map(|sandbox| day(sandbox, partition).ok().json());
        assert_eq!(moved[0]["outcome"], "published", "{partition}");
        assert_eq!(moved[0]["moved"]["rows"], moved[1]["moved"]["rows"], "{partition}");
        moved[0]["moved"]["rows"].clone()
    };
    // The log's day begins at midnight in Toronto; the cursor's clock shows Toronto's time already.
    assert_eq!(both("2025-08-01"), 24 + 48 + 3);
    both("2025-08-02");
    both("2025-08-03");
    server.sql(LATER);
    same_in_duckdb(LATER);
    both("2025-08-04");
    assert_eq!(postgres.digest(), duckdb.digest());
    assert_eq!(contents(&postgres), contents(&duckdb));
    let sql = "select amount from live.order_changes where change_sequence = 1000";
    assert_eq!(postgres.run(&["sql", sql, "--json"]).ok().json()[0]["amount"], "99.99");
    let sql = "select minutes, (select name from live.all_products where product_id = 1) as name \
               from live.all_visits where visit_id in (100, 1000) order by visit_id";
    let rows = postgres.run(&["sql", sql, "--json"]).ok().json();
    assert_eq!(
        (&rows[0]["minutes"], &rows[1]["minutes"], &rows[0]["name"]),
        (&"2".into(), &"8".into(), &"PENCIL".into())
    );

    // The same again is the same content.
    let again = day(&postgres, "2025-08-04").ok();
    assert!(
        again.stdout.contains("already_published") || again.stdout.contains("already published"),
        "{}",
        again.stdout
    );
}

const PARCELS: &str = "
create type mood as enum ('calm', 'cross');
create table parcels (parcel_id bigint primary key, code varchar(20), letters char(4), small smallint, whole integer not null,
  ratio double precision, rough real, weight numeric(12, 3), volume numeric(38, 18), is_fragile boolean, packed_on date,
  pick_up time, packed_at timestamp, sent_at timestamptz, payload json, ticket uuid, feeling mood, label bytea, tags text[],
  counts integer[], prices numeric(8, 2)[]);
insert into parcels values
  (1, 'é 🎲', 'ab', -32768, 2147483647, 0.1, 1.5, -1.234, 12345678901234567890.123456789012345678, true, '2025-08-01',
   '23:59:59.999999', '2025-08-01 23:59:59.000001', '2025-08-01 12:00:00.5+02', '{\"a\": [1, 2], \"b\": null}',
   '6f1ad2ab-5b1d-4d3a-9a51-2b2f0c0a4b0f', 'cross', BYTES, array['x', 'it''s', ''], array[3, 1, 2], array[1.5, -0.25]),
  (-9223372036854775807, '', 'abcd', 32767, -2147483648, -0.0, -3.4e38, 999999999.999, -0.000000000000000001, false,
   '0001-01-01', '00:00:00', '9999-12-31 23:59:59.999999', '0001-01-01 00:00:00+00', '7',
   '00000000-0000-0000-0000-000000000000', 'calm', NOTHING, array['one'], array[-1], array[123456.78]),
  (9223372036854775807, null, null, null, 0, 1.7976931348623157e308, 1e-37, 0, 10000, null, '9999-12-31', null, null, null, null,
   null, null, null, null, null, null);
";

const PARCEL_COLUMNS: &str = "    partition: {granularity: all}
    columns:
      - {name: parcel_id, type: integer}
      - {name: code, type: string}
      - {name: letters, type: string}
      - {name: small, type: integer}
      - {name: whole, type: integer}
      - {name: ratio, type: float}
      - {name: rough, type: float}
      - {name: weight, type: \"numeric(12,3)\"}
      - {name: volume, type: \"bignumeric(38,18)\"}
      - {name: is_fragile, type: boolean}
      - {name: packed_on, type: date}
      - {name: pick_up, type: time}
      - {name: packed_at, type: datetime}
      - {name: sent_at, type: timestamp}
      - {name: payload, type: json}
      - {name: ticket, type: string}
      - {name: feeling, type: string}
      - {name: label, type: bytes}
      - {name: tags, type: string, mode: repeated}
      - {name: counts, type: integer, mode: repeated}
      - {name: prices, type: \"numeric(8,2)\", mode: repeated}
";

/// A pipeline of one table that is read whole.
fn one_table(folder: &Path, source: &str, columns: &str) -> Sandbox {
    let (head, _) = PIPELINE.split_once("  orders:").unwrap();
    let text = format!(
        "{}  parcels:\n    source: shop\n{columns}dbt: {{project: dbt, publish: [models]}}\n",
        replaced(head, "SOURCE", source)
    );
    let models = folder.join("dbt/models");
    fs::create_dir_all(&models).unwrap();
    fs::write(folder.join("dbt/dbt_project.yml"), "name: shop\nmodels: {shop: {+materialized: table}}\n").unwrap();
    fs::write(models.join("shop.yml"), "sources: [{name: raw, tables: [{name: parcels}]}]\n").unwrap();
    fs::write(models.join("all_parcels.sql"), "select * from {{ source('raw', 'parcels') }}\n").unwrap();
    fs::write(folder.join("pipeline.yaml"), text).unwrap();
    Sandbox::of(&folder.join("pipeline.yaml"))
}

#[test]
fn every_type_arrives_as_from_duckdb_and_is_described() {
    let Some(server) = Postgres::start("types of PostgreSQL") else { return };
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of_dialect = |bytes: &str, nothing: &str| replaced(&replaced(PARCELS, "BYTES", bytes), "NOTHING", nothing);
    server.sql(&of_dialect("'\\x00ff'", "''"));
    server.sql("alter table parcels add took interval; grant select on parcels to reader");
    let file = other.path().join("shop.duckdb");
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("set TimeZone = 'UTC'").unwrap();
    connection.execute_batch(&of_dialect("'\\x00\\xFF'", "''")).unwrap();
    drop(connection);
    let postgres = one_table(folder.path(), &server.source(), PARCEL_COLUMNS);
    let duckdb = one_table(other.path(), &format!("{{kind: duckdb, path: {}}}", file.display()), PARCEL_COLUMNS);
    for sandbox in [&postgres, &duckdb] {
        assert_eq!(day(sandbox, "2025-08-01").ok().json()["moved"]["rows"], 3);
    }
    assert_eq!(contents(&postgres), contents(&duckdb));
    assert_eq!(postgres.digest(), duckdb.digest());

    let password = [("SHOP_PASSWORD", PASSWORD)];
    let described = postgres.run_with(&password, &["init", "table", "found", "--relation", "public.parcels"]).ok();
    for line in [
        "relation: public.parcels",
        "key: [parcel_id] # the primary key in the source",
        "- {name: parcel_id, type: integer, mode: required}",
        "- {name: whole, type: integer, mode: required}",
        "- {name: weight, type: \"numeric(12,3)\"}",
        "- {name: volume, type: \"bignumeric(38,18)\"}",
        "- {name: packed_at, type: datetime}",
        "- {name: sent_at, type: timestamp}",
        "- {name: prices, type: \"numeric(8,2)\", mode: repeated}",
    ] {
        assert!(described.stdout.contains(line), "{line:?} is not in:\n{}", described.stdout);
    }
    assert!(
        described.stderr.contains("took (interval): a length of time; write extract(epoch FROM"),
        "{}",
        described.stderr
    );
    // What is proposed is extracted as it is.
    let (head, _) = PARCEL_COLUMNS.split_once("    columns").unwrap();
    let columns = described.stdout.split_once("columns:").unwrap().1;
    let columns: String =
        columns.lines().filter(|line| line.contains("- {")).map(|line| format!("  {line}\n")).collect();
    let again = tempfile::tempdir().unwrap();
    let proposed = one_table(again.path(), &server.source(), &format!("{head}    columns:\n{columns}"));
    day(&proposed, "2025-08-01").ok();
    assert_eq!(proposed.digest(), postgres.digest());
}

#[test]
fn what_can_t_be_read_is_said_by_name_and_never_with_the_password() {
    let Some(server) = Postgres::start("refusals of PostgreSQL") else { return };
    server.sql(
        "create table parcels (id integer, amount numeric, took interval, at timestamp);
         insert into parcels values (1, 1.005, '1 hour', '2025-08-01'), (2, 'NaN', null, 'infinity');
         create table private (id integer);
         create function emptied() returns setof parcels language sql volatile as 'delete from parcels returning *';
         grant select, delete on parcels to reader; create table spare (id integer); grant select on spare to reader",
    );
    let run = |source: &str, variables: &[(&str, &str)], table: &str| {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = one_table(folder.path(), source, table);
        let output = sandbox.run_with(variables, &["run", "daily", "--partition", "2025-08-01"]);
        assert!(!format!("{}{}", output.stdout, output.stderr).contains(PASSWORD), "{}", output.stderr);
        output
    };
    let right = [("SHOP_PASSWORD", PASSWORD)];
    let source = server.source();
    let whole =
        |more: &str, columns: &str| format!("    partition: {{granularity: all}}\n{more}    columns: [{columns}]\n");
    let id = "{name: id, type: integer}";

    run(&source, &[], &whole("", id))
        .refused("the variable SHOP_PASSWORD, which sources.shop.password names, is not set");
    let wrong = run(&source, &[("SHOP_PASSWORD", "guessed-it")], &whole("", id));
    let said = wrong.refused("password authentication failed for user \"reader\"").stderr;
    assert!(
        said.contains("correct sources.shop.user or what its password names") && !said.contains("guessed-it"),
        "{said}"
    );
    let none = source.replace(", password: {environment: SHOP_PASSWORD}", "");
    run(&none, &right, &whole("", id)).refused("sources.shop.password");
    run(&source.replace("database: shop", "database: shopping"), &right, &whole("", id))
        .refused("correct sources.shop.database in pipeline.yaml");
    run(&source, &right, &whole("    relation: nothing\n", id)).refused("relation \"nothing\" does not exist");
    run(&source, &right, &whole("    relation: private\n", id)).refused("grant its user SELECT on the table");
    run(&source, &right, &whole("", &format!("{id}, {{name: took, type: string}}")))
        .refused("column took is interval, not VARCHAR: not every value could be kept; write CAST(took AS text)");
    run(&source, &right, &whole("", &format!("{id}, {{name: lost, type: date}}")))
        .refused("column lost (DATE) is missing");
    run(&source, &right, &whole("", &format!("{id}, {{name: amount, type: \"numeric(12,2)\"}}")))
        .refused("a value in column amount of table parcels that can't be kept: it has more than 2 decimals");
    run(&source, &right, &whole("", &format!("{id}, {{name: amount, type: \"numeric(12,2)\", rounding: half_even}}")))
        .refused("that can't be kept: it is NaN");
    run(&source, &right, &whole("", &format!("{id}, {{name: at, type: datetime}}"))).refused("it is infinite");
    let cursor = format!("    cursor: {{column: at}}\n    columns: [{id}, {{name: at, type: datetime}}]\n");
    run(&source, &right, &cursor).refused("has rows without the time of their change (1)");
    // What a query does beside reading does not happen.
    run(&source, &right, &whole("    query: select id from emptied()\n", id))
        .refused("cannot execute DELETE in a read-only transaction");
    run(&source, &right, &whole("    query: select 1 as id from parcels) to '/tmp/x'; drop table parcels; --\n", id))
        .refused("source shop (database shop");

    // Nobody listens.
    let folder = tempfile::tempdir().unwrap();
    let sandbox = one_table(folder.path(), &source, &whole("", id));
    drop(server);
    let down = sandbox.run_with(&right, &["init", "table", "spare"]);
    down.refused("could not be opened; check that the server can be reached and extract again");
}

fn openssl(folder: &Path, arguments: &[&str]) -> bool {
    Command::new("openssl").current_dir(folder).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// An authority, and a certificate of it for `localhost`.
fn make_certificate(folder: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority =
        ["req", "-x509", "-subj", "/CN=the tests", "-days", "2", "-keyout", "authority.key", "-out", "authority.crt"];
    assert!(openssl(folder, &[&authority[..], &key].concat()));
    let request = ["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "request"];
    assert!(openssl(folder, &[&request[..], &key].concat()));
    fs::write(folder.join("extensions"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    let sign = "x509 -req -in request -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 -extfile extensions -out server.crt";
    assert!(openssl(folder, &sign.split(' ').collect::<Vec<_>>()));
}

#[test]
fn a_server_on_the_network_has_to_show_a_certificate_for_its_name() {
    let test = "TLS to PostgreSQL";
    if !openssl(Path::new("/"), &["version"]) {
        return did_not_run(test, "openssl is not installed");
    }
    let certificates = tempfile::tempdir().unwrap();
    let Some(server) = Postgres::start_with_tls(test, |folder| {
        make_certificate(folder);
        fs::copy(folder.join("authority.crt"), certificates.path().join("authority.crt")).unwrap();
    }) else {
        return;
    };
    server.sql("create table parcels as select 7 as id; grant select on parcels to reader");
    let authority = certificates.path().join("authority.crt");
    let authority = authority.to_str().unwrap();
    let describe = |host: &str, tls: &str, authority: &str| {
        let folder = tempfile::tempdir().unwrap();
        let source = format!(
            "{{kind: postgres, host: {host}, port: {}, database: shop, user: reader, password: {{environment: P}}{tls}}}",
            server.port
        );
        let sandbox = one_table(
            folder.path(),
            &source,
            "    partition: {granularity: all}\n    columns: [{name: id, type: integer}]\n",
        );
        sandbox.run_with(
            &[("P", PASSWORD), ("SSL_CERT_FILE", authority)],
            &["init", "table", "parcels", "--source", "shop"],
        )
    };
    let found = describe("localhost", ", tls: required", authority).ok();
    assert!(found.stdout.contains("{name: id, type: integer}"), "{}", found.stdout);
    // By another name, by an authority that nobody knows, and without TLS.
    let certificate = "its certificate has to be for that host, of an authority that this machine knows";
    describe("127.0.0.1", ", tls: required", authority).refused(certificate);
    let other = tempfile::tempdir().unwrap();
    make_certificate(other.path());
    describe("localhost", ", tls: required", other.path().join("authority.crt").to_str().unwrap()).refused(certificate);
    describe("127.0.0.1", "", authority).refused("no encryption");
}
