//! `bgp digest`: equal digests, equal rows.

use std::collections::BTreeMap;

use service::{Config, Platform};
use wap::Digest;
use warehouse::Place;

use crate::arguments::JsonOption;
use crate::failure::Failure;
use crate::output;

/// Prints the digest of every live table, `deployment` left out: it says which cycle it is and differs in each.
pub(crate) async fn digest(config: &Config, options: &JsonOption) -> Result<(), Failure> {
    let platform = Platform::open(config).await?;
    let record = platform.state.record().await?;
    let Some(live) = record.live else {
        return Err(Failure::new("nothing is published yet; start with: bgp run daily --partition D"));
    };
    let mut digests: BTreeMap<String, Digest> = BTreeMap::new();
    for view in live.views.keys() {
        let sql = format!("SELECT * FROM {}.{view}", platform.pipeline.live.dataset);
        digests.insert(view.to_string(), platform.warehouse.digest(&Place::Live, &sql).await?);
    }
    if options.json {
        return output::json(&digests);
    }
    let rows: Vec<Vec<String>> = digests.into_iter().map(|(view, digest)| vec![view, digest.to_string()]).collect();
    output::table(&["view", "digest"], &rows)
}
