//! A pipeline file for a dbt project that somebody has written already. Pure: the project is parsed, its source tables are
//! described, and here that becomes text.

use std::collections::{BTreeMap, BTreeSet};

use dbt::{Kind, Node, Project, Source};
use pipeline::draft::Entry;
use wap::Identifier;

/// Schemas of a slot that no layer can be called.
const TAKEN: [&str; 5] = ["raw", "changes", "live", "main", "lake"];

/// What is known of a project.
#[derive(Debug)]
pub(crate) struct Proposal<'a> {
    pub project: &'a Project,
    /// Its folder as the pipeline file is to name it.
    pub folder: String,
    /// What the sources' tables are read from: the lines below the source's name.
    pub source: (Identifier, String),
    /// An entry for each source table that the project reads.
    pub tables: Vec<Entry>,
    /// The first day.
    pub start: String,
}

/// The text of a pipeline file, and what whoever wrote the project should know of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proposed {
    pub text: String,
    pub notes: Vec<String>,
}

/// The source tables that models, seeds' readers, snapshots or tests of the project read, by dbt's id.
pub(crate) fn sources_read(project: &Project) -> Vec<&Source> {
    let read: BTreeSet<&String> = project.nodes.values().flat_map(|node| &node.parents).collect();
    project.sources.values().filter(|source| read.contains(&source.id)).collect()
}

impl Proposal<'_> {
    /// The pipeline file, or why there can be none.
    pub(crate) fn text(&self) -> Result<Proposed, String> {
        let mut notes = Vec::new();
        let publish = self.publish()?;
        let (layers, why_none) = match self.layers() {
            Ok(layers) => (layers, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let name: String = self.project.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut lines = vec![
            format!(
                "# A first version, made from the dbt project {}. What is a guess is marked as one.",
                self.project.name
            ),
            "version: 1".to_owned(),
            format!("name: {name}"),
            "time_zone: UTC # a guess: decides where days begin, an IANA name such as Europe/Berlin".to_owned(),
            format!("start: {} # a guess: the first day that has a partition", self.start),
            String::new(),
            "sources:".to_owned(),
            format!("  {}: {}", self.source.0, self.source.1),
            String::new(),
            "tables:".to_owned(),
        ];
        for (place, table) in self.tables.iter().enumerate() {
            if place > 0 {
                lines.push(String::new());
            }
            lines.extend(table.text.lines().map(|line| format!("  {line}")));
            notes.extend(table.unmapped.iter().map(|reason| format!("{}: left out: {reason}", table.name)));
        }
        lines.extend([String::new(), "dbt:".to_owned(), format!("  project: {}", self.folder)]);
        match &why_none {
            None => lines.push(format!("  layers: [{}] # folders, one dbt call each", layers.join(", "))),
            Some(reason) => {
                lines.push(format!("  # No layers, so the whole project is built in one dbt call: {reason}."));
                notes.push(format!("no layers: {reason}"));
            }
        }
        lines.push(format!(
            "  publish: [{}] # a guess: the folders or models whose tables readers see",
            publish.join(", ")
        ));
        lines.extend([String::new(), "live: {dataset: live}".to_owned(), String::new()]);
        for source in self.project.sources.values() {
            if !sources_read(self.project).iter().any(|read| read.id == source.id) {
                notes.push(format!("{} is read by nothing, so it is no table of the pipeline", source.id));
            }
        }
        Ok(Proposed { text: lines.join("\n"), notes })
    }

    /// Nodes of the project itself that leave a relation behind.
    fn own(&self) -> impl Iterator<Item = &Node> {
        let package = format!(".{}.", self.project.name);
        self.project.nodes.values().filter(move |node| node.makes_relation() && node.id.contains(&package))
    }

    /// Folders whose tables nobody outside of them reads; else the tables that nobody reads.
    fn publish(&self) -> Result<Vec<String>, String> {
        let is_table =
            |node: &&Node| node.kind == Kind::Model && !matches!(node.materialized.as_str(), "view" | "rowwise");
        let tables: Vec<&Node> = self.own().filter(is_table).collect();
        if tables.is_empty() {
            let views: Vec<&str> =
                self.own().filter(|node| node.kind == Kind::Model).map(|node| node.name.as_str()).collect();
            let some = views.iter().take(3).copied().collect::<Vec<_>>().join(", ");
            return Err(format!(
                "the project {} has no model that is kept as a table ({some}), and readers are given tables; set materialized to \
                 table for those that readers are to see",
                self.project.name
            ));
        }
        let readers = |of: &dyn Fn(&Node) -> bool| -> Vec<&Node> {
            let read: BTreeSet<&String> = self.own().filter(|node| of(node)).map(|node| &node.id).collect();
            self.own().filter(|node| node.parents.iter().any(|parent| read.contains(parent))).collect()
        };
        let folders: BTreeSet<String> = tables.iter().filter_map(|node| folder(node)).collect();
        let last: Vec<String> = folders
            .into_iter()
            .filter(|found| {
                let is_in = |node: &Node| folder(node).as_ref() == Some(found);
                readers(&is_in).into_iter().all(is_in)
            })
            .collect();
        let loose = tables.iter().filter(|node| folder(node).is_none()).map(|node| node.name.clone());
        let found: Vec<String> = last.into_iter().chain(loose).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let unread = tables.iter().filter(|node| readers(&|other| other.id == node.id).is_empty());
        Ok(unread.map(|node| node.name.clone()).collect())
    }

    /// The folders right below that of all models, in an order in which each reads earlier ones only.
    fn layers(&self) -> Result<Vec<String>, String> {
        if self.project.has_hooks {
            return Err("it has hooks, which dbt runs with every call".to_owned());
        }
        let built: Vec<&Node> =
            self.project.nodes.values().filter(|node| node.makes_relation() && node.kind != Kind::Seed).collect();
        let mut layer_of: BTreeMap<&str, String> = BTreeMap::new();
        for node in &built {
            let layer = layer(node).ok_or_else(|| format!("{} is in no folder", node.path))?;
            if Identifier::new(layer.as_str()).is_err() || TAKEN.contains(&layer.to_lowercase().as_str()) {
                return Err(format!("the folder {layer} of {} can't be a layer's name", node.path));
            }
            layer_of.insert(&node.id, layer);
        }
        // Seeds come with the first layer, wherever their folder is.
        let mut reads: BTreeMap<&str, BTreeMap<&str, (&str, &str)>> = BTreeMap::new();
        for node in &built {
            let own = layer_of[node.id.as_str()].as_str();
            let read = reads.entry(own).or_default();
            for parent in self.relations_behind(node) {
                if let Some(other) = layer_of.get(parent).filter(|other| *other != own) {
                    read.entry(other.as_str()).or_insert((&node.id, parent));
                }
            }
        }
        let mut order: Vec<String> = Vec::new();
        while order.len() < reads.len() {
            let is_ready = |(layer, read): &(&&str, &BTreeMap<&str, _>)| {
                !order.iter().any(|done| done == **layer)
                    && read.keys().all(|other| order.iter().any(|done| done == other))
            };
            let next = reads.iter().find(is_ready).map(|(layer, _)| (*layer).to_owned());
            let Some(next) = next else { return Err(circle(&reads, &order)) };
            order.push(next);
        }
        Ok(order)
    }

    /// Ids of the nodes whose relations a node reads, those behind ephemeral models too.
    fn relations_behind<'a>(&'a self, node: &'a Node) -> BTreeSet<&'a str> {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut left: Vec<&str> = node.parents.iter().map(String::as_str).collect();
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.project.nodes.get(id) {
                Some(parent) if !parent.makes_relation() => left.extend(parent.parents.iter().map(String::as_str)),
                _ => drop(found.insert(id)),
            }
        }
        found
    }
}

/// Two folders that read each other, by the models that do.
fn circle(reads: &BTreeMap<&str, BTreeMap<&str, (&str, &str)>>, done: &[String]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let left = |layer: &&str| !done.iter().any(|done| done == layer);
    let mut at = reads.keys().copied().find(left).unwrap_or_default();
    while !seen.contains(&at) {
        seen.push(at);
        at = reads[at].keys().copied().find(left).unwrap_or_default();
    }
    let start = seen.iter().position(|layer| *layer == at).unwrap_or_default();
    let steps: Vec<String> = seen[start..]
        .iter()
        .enumerate()
        .map(|(place, layer)| {
            let next = seen.get(start + place + 1).copied().unwrap_or(at);
            let (node, parent) = reads[layer][next];
            format!("{layer} reads {next} ({node} reads {parent})")
        })
        .collect();
    format!("the folders read each other: {}", steps.join(", "))
}

/// `models/marts` for `models/marts/core/orders.sql`.
fn folder(node: &Node) -> Option<String> {
    let parts: Vec<&str> = node.path.split('/').collect();
    (parts.len() > 2).then(|| parts[..2].join("/"))
}

/// `marts` for `models/marts/core/orders.sql`; `snapshots` for `snapshots/orders.sql`.
fn layer(node: &Node) -> Option<String> {
    let parts: Vec<&str> = node.path.split('/').collect();
    match parts[..] {
        [top, _] if node.kind == Kind::Snapshot => Some(top.to_owned()),
        [_, second, _, ..] => Some(second.to_owned()),
        _ => None,
    }
}
