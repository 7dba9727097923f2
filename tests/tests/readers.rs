//! Readers are never interrupted and never see a mixture.

use std::process::{Command, Stdio};

use end_to_end::{Sandbox, python};

/// Opens the published file anew in a loop, as a dashboard would, and compares what it finds with the receipt of the cycle
/// that `deployment` names. Ends when the file `stop` is there; fails at the first difference.
const READER: &str = r#"
import json, os, sys, time, duckdb

home, stop = sys.argv[1:]
published = os.path.join(home, "warehouse", "published.duckdb")
cycles, reads = set(), 0

def receipt(cycle):
    path = os.path.join(home, "bucket", "receipts", f"{cycle:08}.json")
    with open(path) as file:
        return json.load(file)

while not os.path.exists(stop):
    if not os.path.lexists(published):
        assert not cycles, "the published file is gone"
        time.sleep(0.01)
        continue
    connection = duckdb.connect(published, read_only=True)
    cycle = connection.execute("select cycle from live.deployment").fetchone()[0]
    expected = {table["view"]: table for table in receipt(cycle)["verdict"]["tables"]}
    assert expected, "the receipt names no table"
    views = [row[0] for row in connection.execute("select view_name from duckdb_views() where schema_name = 'live'").fetchall()]
    assert set(views) == set(expected) | {"deployment"}, f"cycle {cycle}: {views}"
    for view, table in expected.items():
        rows = connection.execute(f"select count(*) from live.{view}").fetchone()[0]
        assert rows == table["rows"], f"cycle {cycle}, {view}: {rows} rows, its receipt says {table['rows']}"
        if table["newest"]:
            newest = connection.execute(f"select max(order_date)::varchar from live.{view}").fetchone()[0]
            assert newest == table["newest"], f"cycle {cycle}, {view}: {newest}, its receipt says {table['newest']}"
    assert connection.execute("select cycle from live.deployment").fetchone()[0] == cycle
    connection.close()
    assert not cycles or cycle >= max(cycles), "a reader was taken back"
    cycles.add(cycle)
    reads += 1
print(json.dumps({"reads": reads, "cycles": sorted(cycles)}))
"#;

#[test]
fn readers_see_whole_cycles_and_no_error() {
    let sandbox = Sandbox::retail();
    let stop = sandbox.folder().join("stop");
    let readers: Vec<_> = (0..3)
        .map(|_| {
            Command::new(python())
                .args(["-c", READER])
                .args([sandbox.home(), stop.clone()])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-04"]).ok();
    // Everybody gets to see the last cycle.
    std::thread::sleep(std::time::Duration::from_secs(1));
    std::fs::write(&stop, "").unwrap();
    for reader in readers {
        let output = reader.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(seen["reads"].as_u64().unwrap() >= 4, "{seen}");
        assert_eq!(seen["cycles"].as_array().unwrap().last().unwrap(), 4, "{seen}");
    }
}
