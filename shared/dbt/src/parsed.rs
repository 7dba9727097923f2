//! A parsed project as it is kept: dbt's manifest and the few facts that it lacks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wap::Digest;

use crate::Error;

/// Raised when the form of [`Parsed`] changes.
const VERSION: u32 = 1;

/// The file in the cache.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parsed {
    version: u32,
    /// Versions of dbt and its adapter.
    pub(crate) versions: BTreeMap<String, String>,
    /// The `vars` of `dbt_project.yml`, by package.
    pub(crate) vars: BTreeMap<String, Value>,
    /// Digests of the seeds' files by node id.
    pub(crate) seeds: BTreeMap<String, Digest>,
    /// dbt's `manifest.json`.
    pub(crate) manifest: Manifest,
}

/// What is read of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) metadata: Metadata,
    pub(crate) nodes: BTreeMap<String, RawNode>,
    pub(crate) sources: BTreeMap<String, RawSource>,
    pub(crate) macros: BTreeMap<String, RawMacro>,
    pub(crate) unit_tests: BTreeMap<String, RawUnitTest>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) project_name: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RawNode {
    pub(crate) name: String,
    pub(crate) alias: String,
    pub(crate) resource_type: String,
    pub(crate) original_file_path: String,
    #[serde(default)]
    pub(crate) root_path: Option<String>,
    #[serde(default)]
    pub(crate) language: Option<String>,
    #[serde(default)]
    pub(crate) raw_code: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) config: Map<String, Value>,
    #[serde(default)]
    pub(crate) columns: serde_json::Map<String, Value>,
    #[serde(default)]
    pub(crate) depends_on: DependsOn,
    #[serde(default)]
    pub(crate) column_name: Option<String>,
    #[serde(default)]
    pub(crate) attached_node: Option<String>,
    #[serde(default)]
    pub(crate) test_metadata: Option<Value>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DependsOn {
    pub(crate) macros: Vec<String>,
    pub(crate) nodes: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RawSource {
    pub(crate) source_name: String,
    pub(crate) identifier: String,
    #[serde(default)]
    pub(crate) schema: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) columns: serde_json::Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RawMacro {
    pub(crate) name: String,
    pub(crate) package_name: String,
    pub(crate) macro_sql: String,
    #[serde(default)]
    pub(crate) depends_on: DependsOn,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RawUnitTest {
    pub(crate) name: String,
    pub(crate) original_file_path: String,
    #[serde(default)]
    pub(crate) checksum: Option<String>,
    #[serde(default)]
    pub(crate) depends_on: DependsOn,
}

impl Parsed {
    /// Takes what dbt left in `folder` and reads the seeds of the project.
    pub(crate) fn collect(
        folder: &Path,
        versions: BTreeMap<String, String>,
        vars: BTreeMap<String, Value>,
    ) -> Result<Self, Error> {
        let path = folder.join("manifest.json");
        let text = fs::read(&path).map_err(Error::file("read", &path))?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| Error::internal("dbt's manifest has a form that nobody expected", error))?;
        let mut seeds = BTreeMap::new();
        for (id, node) in manifest.nodes.iter().filter(|(_, node)| node.resource_type == "seed") {
            let path = Path::new(node.root_path.as_deref().unwrap_or_default()).join(&node.original_file_path);
            seeds.insert(id.clone(), Digest::of(fs::read(&path).map_err(Error::file("read", &path))?));
        }
        Ok(Self { version: VERSION, versions, vars, seeds, manifest })
    }

    /// Reads a kept parse; none when there is none or it has another form.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        match fs::read(path) {
            // A parse that can't be read is made again: the cache is no one's only copy.
            Ok(text) => Ok(serde_json::from_slice::<Self>(&text).ok().filter(|parsed| parsed.version == VERSION)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", path)(error)),
        }
    }

    /// Writes it as a file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let text =
            serde_json::to_vec(self).map_err(|error| Error::internal("failed to write a parsed project", error))?;
        fs::write(path, text).map_err(Error::file("write", path))
    }
}
