//! A graph in Mermaid's language, which code forges and wikis draw.

use crate::graph::{Graph, GraphNode};

impl Graph {
    /// A flowchart: a box for each group, in the order in which the groups come.
    pub fn mermaid(&self) -> String {
        let mut groups: Vec<&str> = Vec::new();
        for node in &self.nodes {
            if !groups.contains(&section(node)) {
                groups.push(section(node));
            }
        }
        let mut text = "flowchart LR\n".to_owned();
        for (number, group) in groups.iter().enumerate() {
            text.push_str(&format!("  subgraph g{number}[\"{}\"]\n", escaped(group)));
            for (place, node) in self.nodes.iter().enumerate().filter(|(_, node)| section(node) == *group) {
                text.push_str(&format!("    n{place}[\"{}\"]\n", escaped(&node.name)));
            }
            text.push_str("  end\n");
        }
        for (from, to) in self.links() {
            text.push_str(&format!("  n{from} --> n{to}\n"));
        }
        text
    }
}

/// The first part of the key, which says more than the group where a graph has views and their models.
fn section(node: &GraphNode) -> &str {
    node.key.split('/').next().unwrap_or_default()
}

/// Text between quotes: Mermaid takes entities as HTML does, with `#` for `&`.
fn escaped(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}
