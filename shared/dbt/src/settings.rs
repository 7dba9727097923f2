use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::GitSource;

/// The back end that dbt writes SQL for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A DuckDB file a slot.
    Duckdb,
    /// BigQuery datasets, one a layer.
    Bigquery,
}

impl Target {
    /// The adapter's name as dbt spells it.
    pub fn adapter(self) -> &'static str {
        match self {
            Self::Duckdb => "duckdb",
            Self::Bigquery => "bigquery",
        }
    }
}

/// Where the project is and how dbt is to read it. Everything that decides the project's meaning is here or in its files.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that holds `dbt_project.yml`.
    pub project_dir: PathBuf,
    /// A Python interpreter that has dbt and the target's adapter.
    pub python: PathBuf,
    /// A folder for parsed projects and the worker's log; made when missing.
    pub cache_dir: PathBuf,
    /// The back end.
    pub target: Target,
    /// The target's name as models see it (`target.name`). Projects limit their data when it is not their production name.
    pub target_name: String,
    /// dbt vars that hold for every command. They count for the digests of the models that name them.
    pub vars: BTreeMap<String, Value>,
    /// Names of vars that differ from run to run: they never count for a digest.
    pub run_vars: BTreeSet<String>,
    /// How many nodes dbt works on at once.
    pub threads: usize,
    /// Names of the layers, which are folders of the project.
    pub layers: Vec<String>,
    /// All environment variables that the worker may see, the only ones that `env_var` finds.
    pub environment: BTreeMap<String, String>,
    /// A parsed project that an earlier [`Dbt::project`](crate::Dbt::project) left in a cache folder, for images without Python. It is trusted: no
    /// file of the project is looked at.
    pub parsed: Option<PathBuf>,
    /// The repository that `project_dir` is brought from when it is not there.
    pub git: Option<GitSource>,
}

impl Settings {
    /// Settings with the usual values: target name `prod`, 4 threads, no vars, no layers.
    pub fn new(
        project_dir: impl Into<PathBuf>,
        python: impl Into<PathBuf>,
        cache_dir: impl Into<PathBuf>,
        target: Target,
    ) -> Self {
        Self {
            project_dir: project_dir.into(),
            python: python.into(),
            cache_dir: cache_dir.into(),
            target,
            target_name: "prod".to_owned(),
            vars: BTreeMap::new(),
            run_vars: BTreeSet::new(),
            threads: 4,
            layers: Vec::new(),
            environment: BTreeMap::new(),
            parsed: None,
            git: None,
        }
    }
}
