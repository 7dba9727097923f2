//! Lists: pages, filters and orders.

use serde_json::{Value, json};

use crate::flows::api::view::{self, View};
use crate::flows::api::{ApiError, Parameters};
use crate::flows::executor::Snapshot;

const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// A page of executions, which come newest first.
pub(super) fn page(mut all: Vec<Snapshot>, parameters: &Parameters) -> Result<Value, ApiError> {
    let view = View::of(parameters, View::Basic)?;
    let filter = parameters.get("filter").map_or("", String::as_str);
    let terms = terms(filter)?;
    all.retain(|execution| terms.iter().all(|(field, value)| has(execution, field, value)));
    match parameters.get("orderBy").map_or("", |order| order.trim()) {
        "" | "startTime desc" | "createTime desc" => {}
        "startTime" | "startTime asc" | "createTime" | "createTime asc" => all.reverse(),
        other => return Err(ApiError::invalid(format!("orderBy is {other:?}; it takes startTime and startTime desc"))),
    }
    slice(all.iter().map(|execution| view::execution(execution, view)).collect(), "executions", parameters)
}

/// A page of anything. The token of the next page is the number of those before it.
pub(super) fn slice(all: Vec<Value>, key: &str, parameters: &Parameters) -> Result<Value, ApiError> {
    let number = |name: &str, default: usize| match parameters.get(name).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => {
            text.parse().map_err(|_| ApiError::invalid(format!("{name} is {text:?}, which this server never gave")))
        }
    };
    let size = match number("pageSize", 0)? {
        0 => PAGE,
        size => size.min(LARGEST_PAGE),
    };
    let start = number("pageToken", 0)?;
    let total = all.len();
    let page: Vec<Value> = all.into_iter().skip(start).take(size).collect();
    let end = start.saturating_add(page.len());
    let mut answer = json!({ key: page });
    if end < total {
        answer["nextPageToken"] = end.to_string().into();
    }
    Ok(answer)
}

/// `state="FAILED" AND labels.day="monday"` as fields and values.
fn terms(filter: &str) -> Result<Vec<(String, String)>, ApiError> {
    let wrong = |term: &str| {
        ApiError::invalid(format!(
            "filter: {term:?} is not understood; it takes state=\"...\", executionId=\"...\" and labels.KEY=\"...\", joined by AND"
        ))
    };
    let filter = filter.trim();
    if filter.is_empty() {
        return Ok(Vec::new());
    }
    filter
        .split(" AND ")
        .map(|term| {
            let (field, value) = term.split_once(['=', ':']).ok_or_else(|| wrong(term))?;
            let (field, value) = (field.trim(), value.trim().trim_matches('"'));
            let is_known = matches!(field, "state" | "executionId")
                || field.strip_prefix("labels.").is_some_and(|key| !key.is_empty());
            if is_known { Ok((field.to_owned(), value.to_owned())) } else { Err(wrong(term)) }
        })
        .collect()
}

fn has(execution: &Snapshot, field: &str, value: &str) -> bool {
    let record = &execution.record;
    match field.strip_prefix("labels.") {
        Some(key) => record.labels.get(key).is_some_and(|label| label == value),
        None if field == "state" => record.state.as_str() == value,
        None => record.id == value,
    }
}
