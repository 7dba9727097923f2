use super::*;
use crate::sample::catalog;

fn graph() -> Graph {
    catalog().graph(|asset| !asset.kind.is_check())
}

#[test]
fn a_graph_has_the_links_between_what_it_shows() {
    let graph = catalog().graph(|asset| asset.kind == AssetKind::Model);
    let edges: Vec<(&str, &str)> = graph.edges.iter().map(|edge| (edge.from.as_str(), edge.to.as_str())).collect();
    assert_eq!(edges, [("mart/fct_orders", "mart/fct_days"), ("staging/stg_orders", "mart/fct_orders")]);
}

#[test]
fn whatever_is_read_stands_left_of_its_readers() {
    let graph = graph();
    let ranks = graph.ranks();
    assert!(graph.links().iter().all(|(from, to)| ranks[*from] < ranks[*to]));
    let rank = |key: &str| ranks[graph.nodes.iter().position(|node| node.key == key).unwrap()];
    assert_eq!(["till/orders", "raw/orders", "mart/fct_days", "live/fct_days"].map(rank), [0, 2, 5, 6]);
}

#[test]
fn mermaid_names_every_node_and_link_once() {
    let graph = graph();
    let text = graph.mermaid();
    assert_eq!(text.matches(" --> ").count(), graph.edges.len());
    assert_eq!(text.matches("[\"").count() - text.matches("subgraph").count(), graph.nodes.len());
    assert_eq!(text.matches("subgraph").count(), text.matches("  end\n").count());
}

#[test]
fn a_picture_has_a_box_a_node_and_none_on_another() {
    let mut graph = graph();
    graph.nodes[0].name = "<&\">".to_owned();
    let text = graph.svg();
    assert_eq!(text.matches("<path").count(), graph.edges.len());
    assert_eq!(text.matches("<g><title>").count(), graph.nodes.len());
    assert!(text.contains(">&lt;&amp;&quot;&gt;</text>"));
    let boxes: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("<g><title>"))
        .map(|line| line.split("<rect ").nth(1).unwrap())
        .collect();
    let corner = |text: &&str| text.split(" width").next().unwrap().to_owned();
    let mut corners: Vec<String> = boxes.iter().map(corner).collect();
    corners.sort();
    corners.dedup();
    assert_eq!(corners.len(), graph.nodes.len());
}
