//! A source, a lake and a pipeline of one table called `t`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duckdb::Connection;
use extract::Error;
use jiff::Timestamp;
use pipeline::Pipeline;
use service::SourceAccess;
use state::State;
use store::Folder;
use tempfile::TempDir;
use wap::{Manifest, PartitionKey};

pub(crate) struct Fixture {
    pub(crate) home: TempDir,
    pub(crate) state: State,
    pub(crate) pipeline: Pipeline,
    pub(crate) now: Timestamp,
}

impl Fixture {
    /// A source made by `sql`, and table `t` as `table` describes it, in YAML that is indented by four spaces.
    pub(crate) fn new(sql: &str, table: &str) -> Self {
        Self::in_zone("UTC", sql, table)
    }

    pub(crate) fn in_zone(time_zone: &str, sql: &str, table: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let pipeline = parse(time_zone, "{kind: duckdb, path: source.duckdb}", table);
        let fixture = Self::with(home, pipeline);
        fixture.change_source(sql);
        fixture
    }

    pub(crate) fn with(home: TempDir, pipeline: Pipeline) -> Self {
        let store = Folder::open(home.path().join("bucket")).unwrap();
        let state = State::new(Arc::new(store), Duration::from_mins(1));
        Self { home, state, pipeline, now: "2026-01-01T00:00:00Z".parse().unwrap() }
    }

    pub(crate) fn source_path(&self) -> PathBuf {
        self.home.path().join("source.duckdb")
    }

    pub(crate) fn change_source(&self, sql: &str) {
        let connection = Connection::open(self.source_path()).unwrap();
        connection.execute_batch("SET TimeZone = 'UTC'").unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().map_err(|(_, error)| error).unwrap();
    }

    /// Extracts a partition; oldest first where late ones come along.
    pub(crate) async fn all(&self, partition: &str) -> Result<Vec<Manifest>, Error> {
        let table = self.pipeline.table("t").unwrap();
        let partition = PartitionKey::new(partition).unwrap();
        let access = SourceAccess::without_password(self.pipeline.sources[0].clone(), self.home.path());
        extract::extract(&access, &self.state, table, &partition, self.now).await
    }

    /// Extracts a partition of a table that has no late ones.
    pub(crate) async fn one(&self, partition: &str) -> Manifest {
        let [manifest] = self.all(partition).await.unwrap().try_into().unwrap();
        manifest
    }

    /// What an extraction is refused with: its kind, its message and those below.
    pub(crate) async fn refusal(&self, partition: &str) -> String {
        let error = self.all(partition).await.unwrap_err();
        let kind = format!("{error:?}");
        let mut text = format!("{}: {error}", kind.split(' ').next().unwrap());
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }

    /// Asks DuckDB about a manifest's objects, `lake` in the query; every value of the answer as text, by row.
    pub(crate) fn query(&self, manifest: &Manifest, query: &str) -> Vec<Vec<String>> {
        let files: Vec<String> =
            manifest.objects.iter().map(|object| format!("'{}'", self.path(&object.key).display())).collect();
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("SET TimeZone = 'UTC'").unwrap();
        connection.execute_batch(&format!("CREATE VIEW lake AS FROM read_parquet([{}])", files.join(", "))).unwrap();
        let query = format!("SELECT COLUMNS(*)::VARCHAR FROM ({query})");
        let mut statement = connection.prepare(&query).unwrap();
        let rows = statement
            .query_map([], |row| {
                let values = 0..row.as_ref().column_count();
                values.map(|index| Ok(row.get::<_, Option<String>>(index)?.unwrap_or("NULL".into()))).collect()
            })
            .unwrap();
        rows.collect::<duckdb::Result<_>>().unwrap()
    }

    /// The first column of the answer.
    pub(crate) fn column(&self, manifest: &Manifest, query: &str) -> Vec<String> {
        self.query(manifest, query).into_iter().map(|mut row| row.remove(0)).collect()
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.state.store().local_path(key).unwrap()
    }

    /// The keys of all objects of the lake, and of all manifests.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let objects = self.state.store().list("").await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }
}

pub(crate) fn parse(time_zone: &str, source: &str, table: &str) -> Pipeline {
    let yaml = format!(
        "version: 1\nname: test\ntime_zone: {time_zone}\nstart: 2025-01-01\nsources: {{s: {source}}}\nraw: {{}}\n\
         lake: {{prefix: lake}}\ntables:\n  t:\n    source: s\n    key: [id]\n{table}\ndbt: {{project: dbt, publish: [m]}}\n\
         live: {{dataset: live}}\n"
    );
    Pipeline::parse("test.yaml", &yaml).unwrap()
}
