//! `If-Match`: a change made only if nobody else made one since.

use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::refusal::Refusal;

/// Refuses a change whose `If-Match` is not the `etag` of the resource.
/// <https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/datasets/patch>, and how Google's own client sends it:
/// <https://docs.cloud.google.com/python/docs/reference/bigquery/latest/google.cloud.bigquery.client.Client#google_cloud_bigquery_client_Client_update_table>
pub(crate) fn check(headers: &HeaderMap, current: &Value) -> Result<(), Refusal> {
    let Some(wanted) = headers.get(header::IF_MATCH) else { return Ok(()) };
    let wanted = wanted.to_str().unwrap_or_default().trim();
    let current = current["etag"].as_str().unwrap_or_default();
    let bare = |etag: &str| etag.trim_matches('"').to_owned();
    if wanted == "*" || bare(wanted) == bare(current) {
        return Ok(());
    }
    Err(Refusal::new("conditionNotMet", "Precondition check failed."))
}
