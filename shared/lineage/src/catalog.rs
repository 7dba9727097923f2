//! From the pipeline file and the dbt project to all assets.

use std::collections::{BTreeMap, BTreeSet};

use dbt::{Kind, Node, Source};
use pipeline::{Pipeline, RuleCheck, Table};

use crate::asset::{Asset, AssetKind, Check, Origin};

/// The view that says which cycle is live; every attempt has it.
const DEPLOYMENT: &str = "deployment";

/// All assets of a pipeline: what is read first, then what is made from it, checks last.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub assets: Vec<Asset>,
}

/// Assets while they are collected.
#[derive(Default)]
struct Collected {
    assets: Vec<Asset>,
    keys: BTreeSet<String>,
    /// The key of whatever a node or source of the project stands for, by dbt's id.
    by_id: BTreeMap<String, String>,
}

impl Catalog {
    /// The assets, with nothing known of them yet. `nodes` and `sources` are those of the project; `is_published` tells
    /// the nodes whose tables readers see.
    pub fn new(
        pipeline: &Pipeline,
        nodes: &BTreeMap<String, Node>,
        sources: &BTreeMap<String, Source>,
        is_published: impl Fn(&Node) -> bool,
    ) -> Self {
        let mut all = Collected::default();
        for table in pipeline.tables.values() {
            all.add_table(pipeline, table);
        }
        for source in sources.values() {
            let key = format!("raw/{}", source.table);
            if !all.keys.contains(&key) {
                // What every attempt has in raw beside the tables of the pipeline.
                all.add(&key, AssetKind::RawTable, "raw", Origin::Raw(source.table.clone()));
            }
            all.by_id.insert(source.id.clone(), key);
        }
        let mut ordered: Vec<&Node> = nodes.values().collect();
        ordered.sort_by_cached_key(|node| (position(pipeline, node), group(node), node.name.clone(), node.id.clone()));
        for node in ordered.iter().filter(|node| !node.is_test()) {
            all.add_node(node);
        }
        all.connect(nodes);
        for node in ordered.iter().filter(|node| is_published(node)) {
            let origin = Origin::View(node.alias.clone(), Some(node.id.clone()));
            let view = all.add(&format!("live/{}", node.alias), AssetKind::View, &group(node), origin);
            view.description = described(&node.description);
            let model = all.by_id.get(&node.id).cloned();
            all.read(model);
        }
        all.add(&format!("live/{DEPLOYMENT}"), AssetKind::View, "live", Origin::View(DEPLOYMENT.to_owned(), None));
        for test in ordered.iter().filter(|node| node.is_test()) {
            all.add_test(test, nodes);
        }
        all.add_rules(pipeline, nodes);
        let mut catalog = Self { assets: all.assets };
        catalog.link();
        catalog
    }

    /// The asset with that key.
    pub fn get(&self, key: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.key == key)
    }

    /// Notes what is made from each asset, from what each is made of, and what checks it.
    fn link(&mut self) {
        let mut downstream: BTreeMap<String, Vec<(String, AssetKind)>> = BTreeMap::new();
        for asset in &self.assets {
            for key in &asset.upstream {
                downstream.entry(key.clone()).or_default().push((asset.key.clone(), asset.kind));
            }
        }
        for asset in &mut self.assets {
            for (key, kind) in downstream.remove(&asset.key).unwrap_or_default() {
                if kind.is_check() {
                    asset.checks.push(Check::not_run(&key));
                }
                asset.downstream.push(key);
            }
            if asset.kind.is_check() {
                asset.outcome = Some(Check::not_run(&asset.key));
            }
        }
    }
}

impl Check {
    fn not_run(key: &str) -> Self {
        Self { key: key.to_owned(), status: crate::CheckStatus::NotRun, failures: 0 }
    }
}

impl Collected {
    /// Adds an asset. Where the key is taken, it gets another one, by what it is.
    fn add(&mut self, key: &str, kind: AssetKind, group: &str, origin: Origin) -> &mut Asset {
        let name = key.rsplit('/').next().unwrap_or(key).to_owned();
        let mut key = key.to_owned();
        if self.keys.contains(&key) {
            key = match &origin {
                Origin::Node(id) => id.clone(),
                _ => format!("{kind}/{key}"),
            };
        }
        self.keys.insert(key.clone());
        self.assets.push(Asset {
            key,
            name,
            kind,
            group: group.to_owned(),
            description: None,
            materialized: None,
            upstream: Vec::new(),
            downstream: Vec::new(),
            last_cycle: None,
            last_at: None,
            rows: None,
            partitions: None,
            checks: Vec::new(),
            outcome: None,
            origin,
        });
        let last = self.assets.len() - 1;
        &mut self.assets[last]
    }

    /// Says what the last asset is made from.
    fn read(&mut self, keys: impl IntoIterator<Item = String>) {
        if let Some(asset) = self.assets.last_mut() {
            for key in keys {
                if !asset.upstream.contains(&key) {
                    asset.upstream.push(key);
                }
            }
        }
    }

    fn add_table(&mut self, pipeline: &Pipeline, table: &Table) {
        let name = table.name.as_str();
        let description = table.description.clone();
        let source = format!("{}/{name}", table.source);
        let found = self.add(&source, AssetKind::SourceTable, "source", Origin::Source(name.to_owned()));
        found.description.clone_from(&description);
        let source = found.key.clone();
        let lake = self.add(&format!("lake/{name}"), AssetKind::LakeTable, "lake", Origin::Lake(name.to_owned()));
        lake.description = Some(format!("Parquet below {}/", table.lake.path));
        let lake = lake.key.clone();
        self.read([source]);
        let raw = self.add(&format!("raw/{name}"), AssetKind::RawTable, "raw", Origin::Raw(name.to_owned()));
        raw.description = description.or_else(|| pipeline.raw.description.clone());
        self.read([lake]);
    }

    fn add_node(&mut self, node: &Node) {
        let kind = match node.kind {
            Kind::Seed => AssetKind::Seed,
            Kind::Snapshot => AssetKind::Snapshot,
            Kind::Model | Kind::Test | Kind::UnitTest => AssetKind::Model,
        };
        let layer = node.layer.clone().unwrap_or_else(|| group(node));
        let asset = self.add(&format!("{layer}/{}", node.name), kind, &group(node), Origin::Node(node.id.clone()));
        asset.description = described(&node.description);
        asset.materialized = Some(node.materialized.clone());
        let key = asset.key.clone();
        self.by_id.insert(node.id.clone(), key);
    }

    /// Says what every node reads, which may come later in the list than the node.
    fn connect(&mut self, nodes: &BTreeMap<String, Node>) {
        for asset in &mut self.assets {
            let Origin::Node(id) = &asset.origin else { continue };
            let parents = nodes.get(id).into_iter().flat_map(|node| &node.parents);
            asset.upstream = parents.filter_map(|parent| self.by_id.get(parent).cloned()).collect();
        }
    }

    fn add_test(&mut self, test: &Node, nodes: &BTreeMap<String, Node>) {
        let kind = if test.kind == Kind::UnitTest { AssetKind::UnitTest } else { AssetKind::Test };
        let tested = test.tested.as_ref().or_else(|| test.parents.first());
        let group = tested.and_then(|id| nodes.get(id)).map_or_else(|| "raw".to_owned(), group);
        let asset = self.add(&format!("{kind}/{}", test.name), kind, &group, Origin::Node(test.id.clone()));
        asset.description = described(&test.description);
        self.read_nodes(&test.parents);
    }

    fn read_nodes(&mut self, ids: &BTreeSet<String>) {
        let keys: Vec<String> = ids.iter().filter_map(|id| self.by_id.get(id).cloned()).collect();
        self.read(keys);
    }

    /// The rules of the pipeline file and the reconciliations of its tables, as the audit names them.
    fn add_rules(&mut self, pipeline: &Pipeline, nodes: &BTreeMap<String, Node>) {
        let model = |name: &str| nodes.values().find(|node| node.name == name && !node.is_test());
        for rule in &pipeline.audit.rules {
            let origin = Origin::Rule(rule.name.to_string(), rule.model.to_string());
            let area = model(rule.model.as_str()).map_or_else(|| "audit".to_owned(), group);
            self.add(&format!("rule/{}", rule.name), AssetKind::Rule, &area, origin);
            let mut about = vec![&rule.model];
            if let RuleCheck::Balance { other, .. } = &rule.check {
                about.push(other);
            }
            let ids: Vec<String> =
                about.into_iter().filter_map(|name| Some(model(name.as_str())?.id.clone())).collect();
            let keys: Vec<String> = ids.iter().filter_map(|id| self.by_id.get(id).cloned()).collect();
            self.read(keys);
        }
        for table in pipeline.tables.values() {
            let name = &table.name;
            let origin = |rule: String| Origin::Rule(rule, name.to_string());
            let key = format!("reconciliation/{name}_lake_equals_raw");
            self.add(&key, AssetKind::Reconciliation, "raw", origin("lake_equals_raw".to_owned()));
            self.read([format!("lake/{name}"), format!("raw/{name}")]);
            if let Some(reconcile) = &table.reconcile {
                let rule = format!("raw_equals_{}", reconcile.model);
                let key = format!("reconciliation/{name}_{rule}");
                let area = model(reconcile.model.as_str()).map_or_else(|| "raw".to_owned(), group);
                self.add(&key, AssetKind::Reconciliation, &area, origin(rule));
                let of_model = model(reconcile.model.as_str()).and_then(|node| self.by_id.get(&node.id).cloned());
                self.read(std::iter::once(format!("raw/{name}")).chain(of_model));
            }
        }
    }
}

/// Where the layer stands; what is in none comes first, as seeds do.
fn position(pipeline: &Pipeline, node: &Node) -> usize {
    let layer = node.layer.as_deref();
    pipeline.dbt.layers.iter().position(|found| Some(found.as_str()) == layer).map_or(0, |found| found + 1)
}

/// What a node is listed under: the group that the project gives it, or the first folder below its layer, or the layer, or
/// the first folder of its path below that of all models.
fn group(node: &Node) -> String {
    let folder = node.folder.split('/').next().filter(|folder| !folder.is_empty());
    let of_path = || {
        let mut folders = node.path.split('/');
        let first = folders.next().unwrap_or_default();
        let second = folders.next().filter(|_| folders.next().is_some());
        second.unwrap_or(first).to_owned()
    };
    node.group.clone().or_else(|| folder.map(str::to_owned)).or_else(|| node.layer.clone()).unwrap_or_else(of_path)
}

fn described(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
