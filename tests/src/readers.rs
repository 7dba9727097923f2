//! Readers that look all the time.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{Sandbox, python};

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

/// Readers of a sandbox, each a process.
#[derive(Debug)]
pub struct Readers {
    readers: Vec<Child>,
    stop: PathBuf,
}

impl Readers {
    /// Starts them.
    pub fn start(sandbox: &Sandbox, count: usize) -> Self {
        let stop = sandbox.folder().join("stop");
        let start = |_| {
            let mut reader = Command::new(python());
            reader.args(["-c", READER]).args([sandbox.home(), stop.clone()]);
            reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        Self { readers: (0..count).map(start).collect(), stop }
    }

    /// Stops them. None must have seen an error or a mixture. Returns what each saw: `reads` and `cycles`.
    #[track_caller]
    pub fn stop(self) -> Vec<Value> {
        // Everybody gets to see the last cycle.
        std::thread::sleep(std::time::Duration::from_secs(1));
        std::fs::write(&self.stop, "").unwrap();
        let seen = |reader: Child| {
            let output = reader.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        };
        self.readers.into_iter().map(seen).collect()
    }
}
