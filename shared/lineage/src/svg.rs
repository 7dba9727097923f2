//! A graph as a picture: what is read stands left of what reads it.

use std::collections::BTreeMap;

use crate::asset::AssetKind;
use crate::graph::Graph;

/// Sizes in pixels.
const CHARACTER: usize = 7;
const ROW: usize = 26;
const BOX: usize = 20;
const BETWEEN: usize = 90;
const MARGIN: usize = 24;
const HEADING: usize = 34;

/// How often columns are sorted anew by their neighbours; more makes no visible difference.
const SWEEPS: usize = 8;

/// Where a node is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    x: usize,
    y: usize,
    width: usize,
}

impl Graph {
    /// An SVG document without scripts or fonts of its own.
    pub fn svg(&self) -> String {
        let columns = self.columns();
        let spots = self.spots(&columns);
        let width = spots.iter().map(|spot| spot.x + spot.width).max().unwrap_or_default() + MARGIN;
        let height = spots.iter().map(|spot| spot.y + BOX).max().unwrap_or_default() + MARGIN;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
             <title>{} assets and how they are made from each other</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            self.nodes.len()
        );
        text.push_str("<g fill=\"none\" stroke=\"#98a2b3\" stroke-opacity=\"0.45\">\n");
        for (from, to) in self.links() {
            let (left, right) = (spots[from], spots[to]);
            let (x1, y1) = (left.x + left.width, left.y + BOX / 2);
            let (x2, y2) = (right.x, right.y + BOX / 2);
            let bend = x1.midpoint(x2);
            text.push_str(&format!("<path d=\"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}\"/>\n"));
        }
        text.push_str("</g>\n");
        for (node, spot) in self.nodes.iter().zip(&spots) {
            let Spot { x, y, width } = spot;
            let (fill, stroke) = colors(node.kind);
            text.push_str(&format!(
                "<g><title>{}: {}, {}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"4\" fill=\"{fill}\" \
                 stroke=\"{stroke}\"/><text x=\"{}\" y=\"{}\" fill=\"#101828\">{}</text></g>\n",
                escaped(&node.key),
                node.kind,
                escaped(&node.group),
                x + 8,
                y + 14,
                escaped(&node.name)
            ));
        }
        text.push_str(&legend(self));
        text.push_str("</svg>\n");
        text
    }

    /// The nodes of each rank from top to bottom, so that few links cross: each near the mean of its neighbours.
    fn columns(&self) -> Vec<Vec<usize>> {
        let ranks = self.ranks();
        let mut columns: Vec<Vec<usize>> = vec![Vec::new(); ranks.iter().max().map_or(0, |rank| rank + 1)];
        for (place, rank) in ranks.iter().enumerate() {
            columns[*rank].push(place);
        }
        let links = self.links();
        for sweep in 0..SWEEPS {
            let forwards = sweep % 2 == 0;
            let mut heights = vec![0.0; self.nodes.len()];
            for column in &columns {
                for (height, place) in column.iter().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "there are some hundred")]
                    let height = (height as f64 + 0.5) / column.len() as f64;
                    heights[*place] = height;
                }
            }
            let mut near: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
            for (from, to) in &links {
                let (of, neighbour) = if forwards { (to, from) } else { (from, to) };
                near.entry(*of).or_default().push(heights[*neighbour]);
            }
            let wanted = |place: &usize| {
                #[expect(clippy::cast_precision_loss, reason = "there are some hundred")]
                near.get(place).map_or(heights[*place], |found| found.iter().sum::<f64>() / found.len() as f64)
            };
            for column in &mut columns {
                column.sort_by(|left, right| wanted(left).total_cmp(&wanted(right)));
            }
        }
        columns
    }

    fn spots(&self, columns: &[Vec<usize>]) -> Vec<Spot> {
        let tallest = columns.iter().map(Vec::len).max().unwrap_or_default();
        let mut spots = vec![Spot { x: 0, y: 0, width: 0 }; self.nodes.len()];
        let mut x = MARGIN;
        for column in columns {
            let longest = column.iter().map(|place| self.nodes[*place].name.chars().count()).max().unwrap_or_default();
            let width = longest * CHARACTER + 16;
            // Short columns stand in the middle of the tallest.
            let above = (tallest - column.len()) * ROW / 2;
            for (row, place) in column.iter().enumerate() {
                spots[*place] = Spot { x, y: MARGIN + HEADING + above + row * ROW, width };
            }
            x += width + BETWEEN;
        }
        spots
    }
}

/// What the colours mean, for the kinds that are there.
fn legend(graph: &Graph) -> String {
    let mut kinds: Vec<AssetKind> = graph.nodes.iter().map(|node| node.kind).collect();
    kinds.sort();
    kinds.dedup();
    let mut x = MARGIN;
    let mut text = String::new();
    for kind in kinds {
        let (fill, stroke) = colors(kind);
        let word = kind.word().replace('_', " ");
        text.push_str(&format!(
            "<rect x=\"{x}\" y=\"{MARGIN}\" width=\"12\" height=\"12\" rx=\"3\" fill=\"{fill}\" stroke=\"{stroke}\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#475467\">{word}</text>\n",
            x + 18,
            MARGIN + 10
        ));
        x += 18 + word.len() * CHARACTER + 20;
    }
    text
}

fn colors(kind: AssetKind) -> (&'static str, &'static str) {
    match kind {
        AssetKind::SourceTable => ("#f2f4f7", "#98a2b3"),
        AssetKind::LakeTable => ("#e0f2fe", "#36bffa"),
        AssetKind::RawTable => ("#e0eaff", "#6172f3"),
        AssetKind::Seed => ("#fef7c3", "#eaaa08"),
        AssetKind::Model => ("#eff8ff", "#2e90fa"),
        AssetKind::Snapshot => ("#f4f3ff", "#9b8afb"),
        AssetKind::View => ("#dcfae6", "#17b26a"),
        AssetKind::Test | AssetKind::UnitTest | AssetKind::Rule | AssetKind::Reconciliation => ("#fef6ee", "#ef6820"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
