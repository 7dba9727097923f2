use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wap::{Digest, Identifier};

use crate::parsed::{Parsed, RawNode, RawUnitTest};
use crate::{Error, Settings, Touched, digest, touched};

/// Schemas of a slot that no node may be in.
const RESERVED_SCHEMAS: [&str; 2] = ["raw", "changes"];

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A query.
    Model,
    /// A CSV file of the project.
    Seed,
    /// A dbt snapshot.
    Snapshot,
    /// A data test.
    Test,
    /// A unit test of a model's logic, on rows that it brings along.
    UnitTest,
}

/// How bad a failing test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is reported.
    Warn,
    /// It refuses what was tested.
    Error,
}

/// A column that the project documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its description, empty when there is none.
    pub description: String,
    /// Whether `meta.personal` says that it holds personal data.
    pub is_personal: bool,
}

/// A table that the project reads and does not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// dbt's id: `source.PACKAGE.SOURCE.TABLE`.
    pub id: String,
    /// The dbt source's name.
    pub source: String,
    /// The table's identifier in the warehouse, which is the name of a table of the pipeline.
    pub table: String,
    /// The schema that the project would find it in.
    pub schema: String,
    /// What the project says about it.
    pub description: String,
    /// Documented columns in the order of the file.
    pub columns: Vec<SourceColumn>,
}

/// A column of a source that the project documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// Its name.
    pub name: String,
    /// Its type in the words of the warehouse, where the project says it.
    pub data_type: Option<String>,
}

/// A model, seed, snapshot or test.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// dbt's id: `model.PACKAGE.NAME`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of its relation in its schema.
    pub alias: String,
    /// What it is.
    pub kind: Kind,
    /// How it is kept: `table`, `view`, `touched`, `rowwise`, `ephemeral`, `snapshot`, `seed`, `test` ...
    pub materialized: String,
    /// Its file, relative to its package: `models/mart/sales/fct_sales.sql`.
    pub path: String,
    /// The layer: the first folder of its path that is one.
    pub layer: Option<String>,
    /// The folders between the layer and the file, joined by `/`; empty when there are none.
    pub folder: String,
    /// The group that the project gives it: dbt's own `group`, or `meta.group`.
    pub group: Option<String>,
    /// Ids of the nodes and sources that it reads. For a test, of what it tests too.
    pub parents: BTreeSet<String>,
    /// What the project says about it.
    pub description: String,
    /// Documented columns in the order of the file.
    pub columns: Vec<Column>,
    /// For tests: how bad a failure is.
    pub severity: Option<Severity>,
    /// For tests: the id of the node that is tested, if it is one.
    pub tested: Option<String>,
    /// For tests: the column that is tested, if it is one.
    pub column: Option<String>,
    /// For tests: the columns whose values, together, it says are unique in all rows.
    pub unique: Vec<String>,
    /// For models kept as `touched`.
    pub touched: Option<Touched>,
}

impl Node {
    /// Whether it leaves a relation behind.
    pub fn makes_relation(&self) -> bool {
        matches!(self.kind, Kind::Model | Kind::Seed | Kind::Snapshot) && self.materialized != "ephemeral"
    }

    /// Whether it is a test of either kind.
    pub fn is_test(&self) -> bool {
        matches!(self.kind, Kind::Test | Kind::UnitTest)
    }

    /// Whether its relation carries content from cycle to cycle, so that an attempt starts from a copy of it.
    pub fn keeps_state(&self) -> bool {
        self.kind == Kind::Snapshot || matches!(self.materialized.as_str(), "touched" | "incremental")
    }
}

/// A dbt project as its manifest describes it.
#[derive(Debug)]
pub struct Project {
    /// The project's name.
    pub name: String,
    /// Models, seeds, snapshots and tests by id.
    pub nodes: BTreeMap<String, Node>,
    /// Sources by id.
    pub sources: BTreeMap<String, Source>,
    /// Whether it has statements to run before or after everything else, with every dbt command.
    pub has_hooks: bool,
    /// Digests of the nodes' own content, ancestors left out.
    contents: BTreeMap<String, Digest>,
}

impl Project {
    /// Reads a parsed project and refuses what could not be run in another place.
    pub(crate) fn read(parsed: &Parsed, settings: &Settings) -> Result<Self, Error> {
        let manifest = &parsed.manifest;
        let sources: BTreeMap<String, Source> = manifest
            .sources
            .iter()
            .map(|(id, source)| {
                let source = Source {
                    id: id.clone(),
                    source: source.source_name.clone(),
                    table: source.identifier.clone(),
                    schema: source.schema.clone(),
                    description: source.description.clone(),
                    columns: source.columns.values().map(source_column).collect(),
                };
                (id.clone(), source)
            })
            .collect();
        let mut nodes = BTreeMap::new();
        for (id, raw) in &manifest.nodes {
            let Some(kind) = kind_of(&raw.resource_type) else { continue };
            if raw.language.as_deref() == Some("python") {
                return Err(Error::Rejected(format!(
                    "{id} is a Python model, which can't be run here; write it in SQL"
                )));
            }
            nodes.insert(id.clone(), node(id, kind, raw, &settings.layers));
        }
        for (id, raw) in &manifest.unit_tests {
            nodes.insert(id.clone(), unit_test(id, raw, &settings.layers));
        }
        let mut project = Self {
            name: manifest.metadata.project_name.clone(),
            contents: digest::contents(parsed, settings)?,
            has_hooks: manifest.nodes.values().any(|node| node.resource_type == "operation"),
            nodes,
            sources,
        };
        project.read_touched(parsed)?;
        project.check_sources()?;
        project.check_changes()?;
        Ok(project)
    }

    /// The digest of every node: what decides its content apart from the rows of the sources. `sources` maps a source's
    /// table to the digest of its contract; a source that a node reads and that is missing there is rejected by name.
    pub fn digests(&self, sources: &BTreeMap<String, Digest>) -> Result<BTreeMap<String, Digest>, Error> {
        let mut digests: BTreeMap<String, Digest> = BTreeMap::new();
        for id in self.all_in_order() {
            let Some((node, content)) = self.nodes.get(&id).zip(self.contents.get(&id)) else { continue };
            let mut parents = BTreeMap::new();
            for parent in &node.parents {
                let digest = match self.sources.get(parent) {
                    Some(source) => Some(sources.get(&source.table).ok_or_else(|| {
                        Error::Rejected(format!(
                            "{id} reads the source table {}, which the pipeline does not have; add it or correct the name",
                            source.table
                        ))
                    })?),
                    None => digests.get(parent),
                };
                parents.insert(parent, digest);
            }
            let digest = digest::of_json(&(content, parents))?;
            digests.insert(id, digest);
        }
        Ok(digests)
    }

    /// Ids of models, seeds and snapshots, parents before children; tests are left out.
    pub fn order(&self) -> Vec<String> {
        let is_built = |id: &String| self.nodes.get(id).is_some_and(|node| !node.is_test());
        self.all_in_order().into_iter().filter(is_built).collect()
    }

    /// `roots` (ids of nodes or sources) and all nodes that read them, directly or not; tests are left out.
    pub fn with_descendants<'a>(&self, roots: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = roots.into_iter().map(str::to_owned).collect();
        for id in self.order() {
            if self.nodes.get(&id).is_some_and(|node| !node.parents.is_disjoint(&found)) {
                found.insert(id);
            }
        }
        found
    }

    /// A schema for each relation-making node: its layer's name, or `other` outside of the layers.
    pub fn schemas(&self, other: &Identifier) -> Result<BTreeMap<String, Identifier>, Error> {
        let mut schemas = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.makes_relation()) {
            let schema = match &node.layer {
                Some(layer) => Identifier::new(layer.as_str()).map_err(|error| Error::Rejected(error.to_string()))?,
                None => other.clone(),
            };
            schemas.insert(node.id.clone(), schema);
        }
        self.check_schemas(&schemas)?;
        Ok(schemas)
    }

    /// Ids of the tests that look at one of `nodes`, unit tests left out.
    pub fn tests_of(&self, nodes: &BTreeSet<String>) -> BTreeSet<String> {
        let looks_at = |test: &&Node| test.kind == Kind::Test && !test.parents.is_disjoint(nodes);
        self.nodes.values().filter(looks_at).map(|test| test.id.clone()).collect()
    }

    /// The columns by which rows of a model are told apart: the fewest that a test of severity `error` says are unique.
    pub fn key_of(&self, id: &str) -> Option<&[String]> {
        let of_it = |test: &&Node| {
            test.tested.as_deref() == Some(id) && test.severity == Some(Severity::Error) && !test.unique.is_empty()
        };
        let tests = self.nodes.values().filter(of_it);
        tests.map(|test| test.unique.as_slice()).min_by_key(|columns| columns.len())
    }

    /// Refuses schemas that lack a node, give two nodes one relation or use a schema that the pipeline fills.
    pub(crate) fn check_schemas(&self, schemas: &BTreeMap<String, Identifier>) -> Result<(), Error> {
        let mut taken: BTreeMap<(String, String), &str> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.makes_relation()) {
            let schema = schemas
                .get(&node.id)
                .ok_or_else(|| Error::Rejected(format!("{} was given no schema", node.id)))?
                .as_str()
                .to_lowercase();
            if RESERVED_SCHEMAS.contains(&schema.as_str()) {
                return Err(Error::Rejected(format!(
                    "{} would be made in schema {schema}, which the pipeline fills; call its layer something else",
                    node.id
                )));
            }
            if let Some(other) = taken.insert((schema.clone(), node.alias.to_lowercase()), &node.id) {
                return Err(Error::Rejected(format!(
                    "{other} and {} would both be {schema}.{}; give one of them another name or alias",
                    node.id, node.alias
                )));
            }
        }
        Ok(())
    }

    /// All ids, tests too, parents before children.
    fn all_in_order(&self) -> Vec<String> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut done = BTreeSet::new();
        for id in self.nodes.keys() {
            // Each entry: a node, and whether its parents are done.
            let mut open = vec![(id.as_str(), false)];
            while let Some((id, parents_done)) = open.pop() {
                if parents_done {
                    order.push(id.to_owned());
                } else if let Some(node) = self.nodes.get(id).filter(|_| done.insert(id)) {
                    open.push((id, true));
                    open.extend(node.parents.iter().map(|parent| (parent.as_str(), false)));
                }
            }
        }
        order
    }

    fn read_touched(&mut self, parsed: &Parsed) -> Result<(), Error> {
        let mut found = Vec::new();
        for node in self.nodes.values() {
            match node.materialized.as_str() {
                "touched" => {
                    let Some(raw) = parsed.manifest.nodes.get(&node.id) else { continue };
                    let touched = Touched::read(node, &raw.config, &self.names_of_parents(node))?;
                    touched.check(node, &self.nodes, &self.sources)?;
                    found.push((node.id.clone(), touched));
                }
                "rowwise" => touched::check_rowwise(node)?,
                _ => {}
            }
        }
        for (id, touched) in found {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.touched = Some(touched);
            }
        }
        Ok(())
    }

    /// What a node calls its parents: a name for a node, `source.table` for a source.
    fn names_of_parents(&self, node: &Node) -> BTreeMap<String, String> {
        let name = |id: &String| {
            let node = self.nodes.get(id).map(|parent| parent.name.clone());
            // The last part of a source's id is the name that models use, which may differ from its identifier.
            node.or_else(|| {
                let source = self.sources.get(id)?;
                Some(format!("{}.{}", source.source, id.rsplit('.').next().unwrap_or_default()))
            })
        };
        node.parents.iter().filter_map(|id| Some((name(id)?, id.clone()))).collect()
    }

    fn check_sources(&self) -> Result<(), Error> {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for source in self.sources.values() {
            if let Some(other) = taken.insert(source.table.to_lowercase(), &source.id) {
                return Err(Error::Rejected(format!(
                    "{other} and {} are both the table {}; declare it once, or give one of them another identifier",
                    source.id, source.table
                )));
            }
        }
        Ok(())
    }

    /// Changes go by a node's name alone, so that must be its own.
    fn check_changes(&self) -> Result<(), Error> {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        let keeps = |node: &&Node| matches!(node.materialized.as_str(), "touched" | "rowwise");
        for node in self.nodes.values().filter(keeps) {
            if let Some(other) = taken.insert(node.name.to_lowercase(), &node.id) {
                return Err(Error::Rejected(format!(
                    "{other} and {} are both called {} and keep changes; rename one of them",
                    node.id, node.name
                )));
            }
        }
        Ok(())
    }
}

fn kind_of(resource_type: &str) -> Option<Kind> {
    match resource_type {
        "model" => Some(Kind::Model),
        "seed" => Some(Kind::Seed),
        "snapshot" => Some(Kind::Snapshot),
        "test" => Some(Kind::Test),
        _ => None,
    }
}

fn node(id: &str, kind: Kind, raw: &RawNode, layers: &[String]) -> Node {
    let text = |name: &str| raw.config.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (layer, folder) = layer_of(&raw.original_file_path, layers);
    let severity = if text("severity").eq_ignore_ascii_case("warn") { Severity::Warn } else { Severity::Error };
    Node {
        id: id.to_owned(),
        name: raw.name.clone(),
        alias: raw.alias.clone(),
        kind,
        materialized: text("materialized"),
        layer,
        folder,
        group: group(raw),
        path: raw.original_file_path.clone(),
        parents: raw.depends_on.nodes.iter().cloned().collect(),
        description: raw.description.clone(),
        columns: raw.columns.values().map(column).collect(),
        severity: (kind == Kind::Test).then_some(severity),
        tested: raw.attached_node.clone(),
        column: raw.column_name.clone(),
        unique: unique_columns(raw),
        touched: None,
    }
}

fn unit_test(id: &str, raw: &RawUnitTest, layers: &[String]) -> Node {
    let (layer, folder) = layer_of(&raw.original_file_path, layers);
    Node {
        id: id.to_owned(),
        name: raw.name.clone(),
        alias: raw.name.clone(),
        kind: Kind::UnitTest,
        materialized: "unit".to_owned(),
        layer,
        folder,
        group: None,
        path: raw.original_file_path.clone(),
        parents: raw.depends_on.nodes.iter().cloned().collect(),
        description: String::new(),
        columns: Vec::new(),
        severity: Some(Severity::Error),
        tested: raw.depends_on.nodes.first().cloned(),
        column: None,
        unique: Vec::new(),
        touched: None,
    }
}

fn group(raw: &RawNode) -> Option<String> {
    let of_meta = raw.config.get("meta").and_then(|meta| meta.get("group"));
    [raw.config.get("group"), of_meta].into_iter().flatten().find_map(Value::as_str).map(str::to_owned)
}

fn column(raw: &Value) -> Column {
    let text = |name: &str| raw.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    // Where dbt keeps what a column's `meta` says depends on how the project writes it.
    let metas = [raw.get("meta"), raw.get("config").and_then(|config| config.get("meta"))];
    let is_personal = metas.into_iter().flatten().any(|meta| meta.get("personal") == Some(&Value::Bool(true)));
    Column { name: text("name"), description: text("description"), is_personal }
}

fn source_column(raw: &Value) -> SourceColumn {
    let text = |name: &str| raw.get(name).and_then(Value::as_str).map(str::to_owned);
    SourceColumn { name: text("name").unwrap_or_default(), data_type: text("data_type") }
}

/// The columns that a test says are unique together: dbt's own test of one column, and the usual ones of several. Those that
/// look at some rows only, or fail only from a number of rows on, do not say it.
fn unique_columns(raw: &RawNode) -> Vec<String> {
    let is_set = |name: &str| raw.config.get(name).is_some_and(|value| !value.is_null());
    let Some(metadata) = raw.test_metadata.as_ref().filter(|_| !is_set("where")) else { return Vec::new() };
    let arguments = &metadata["kwargs"];
    match metadata["name"].as_str() {
        Some("unique") => arguments["column_name"].as_str().map(str::to_owned).into_iter().collect(),
        Some("unique_combination" | "unique_combination_of_columns") => {
            let columns = [&arguments["columns"], &arguments["combination_of_columns"]];
            columns
                .into_iter()
                .filter_map(Value::as_array)
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The first folder of a path that is a layer, and the folders below it.
fn layer_of(path: &str, layers: &[String]) -> (Option<String>, String) {
    let mut folders = path.split('/').collect::<Vec<_>>();
    folders.pop();
    match folders.iter().position(|folder| layers.iter().any(|layer| layer == folder)) {
        Some(at) => (Some(folders[at].to_owned()), folders[at + 1..].join("/")),
        None => (None, String::new()),
    }
}

#[cfg(test)]
mod tests;
