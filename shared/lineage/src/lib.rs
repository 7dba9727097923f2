//! Everything that a pipeline keeps, what is made from what, and what is known of it: source tables, lake, raw, models,
//! published views, and what checks them. Pure: it is derived from the pipeline file, the parsed dbt project, receipts
//! and the ledger, which somebody else has read.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod asset;
mod catalog;
mod graph;
mod history;
mod mermaid;
pub mod openlineage;
#[cfg(test)]
mod sample;
mod svg;

pub use asset::{Asset, AssetKind, Check, CheckStatus};
pub use catalog::Catalog;
pub use graph::Graph;
pub use history::History;
