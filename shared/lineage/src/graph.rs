//! A part of the assets as a graph.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::asset::{Asset, AssetKind};
use crate::catalog::Catalog;

/// Assets, and which of them is made from which. Links through assets that are left out are left out too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<Edge>,
}

/// An asset in a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphNode {
    pub key: String,
    pub name: String,
    pub kind: AssetKind,
    pub group: String,
}

/// `to` is made from `from`, or checks it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    pub from: String,
    pub to: String,
}

impl Catalog {
    /// The graph of the assets that `is_shown` picks.
    pub fn graph(&self, is_shown: impl Fn(&Asset) -> bool) -> Graph {
        let shown: Vec<&Asset> = self.assets.iter().filter(|asset| is_shown(asset)).collect();
        let keys: BTreeSet<&str> = shown.iter().map(|asset| asset.key.as_str()).collect();
        let edges = shown.iter().flat_map(|asset| {
            let known = asset.upstream.iter().filter(|key| keys.contains(key.as_str()));
            known.map(|key| Edge { from: key.clone(), to: asset.key.clone() })
        });
        Graph {
            edges: edges.collect(),
            nodes: shown
                .iter()
                .map(|asset| GraphNode {
                    key: asset.key.clone(),
                    name: asset.name.clone(),
                    kind: asset.kind,
                    group: asset.group.clone(),
                })
                .collect(),
        }
    }
}

impl Graph {
    /// How many links lead to each node at most, in the order of the nodes: whatever is read stands left of its readers.
    pub(crate) fn ranks(&self) -> Vec<usize> {
        let links = self.links();
        let mut ranks = vec![0; self.nodes.len()];
        // Longest path by relaxation: a graph without circles settles after as many rounds as it is deep.
        for _ in 0..self.nodes.len() {
            let mut is_settled = true;
            for (from, to) in &links {
                if ranks[*to] <= ranks[*from] {
                    ranks[*to] = ranks[*from] + 1;
                    is_settled = false;
                }
            }
            if is_settled {
                break;
            }
        }
        ranks
    }

    /// The edges by the places of their nodes.
    pub(crate) fn links(&self) -> Vec<(usize, usize)> {
        let places: BTreeMap<&str, usize> =
            self.nodes.iter().enumerate().map(|(place, node)| (node.key.as_str(), place)).collect();
        let place = |key: &String| places.get(key.as_str()).copied();
        self.edges.iter().filter_map(|edge| Some((place(&edge.from)?, place(&edge.to)?))).collect()
    }
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
