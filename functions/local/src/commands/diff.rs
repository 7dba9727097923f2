//! `bgp diff`: what a cycle would change, or has changed.

use std::fmt::Write as _;

use serde_json::Value;
use service::Config;

use crate::arguments::DiffOptions;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Prints how the live slot differs from another one, view by view.
pub(crate) async fn diff(config: &Config, options: &DiffOptions) -> Result<(), Failure> {
    let mut query = Vec::new();
    if let Some(against) = &options.against {
        query.push(format!("against={against}"));
    }
    if !options.views.is_empty() {
        let views: Vec<&str> = options.views.iter().map(wap::Identifier::as_str).collect();
        query.push(format!("views={}", views.join(",")));
    }
    let engine = Engine::start(config).await?;
    let diff = engine.get(&format!("/diff?{}", query.join("&"))).await;
    engine.stop().await;
    let diff = diff?;
    if options.json {
        return output::json(&diff);
    }
    let side = |name: &str| {
        let side = &diff[name];
        format!("{} (cycle {}, {})", cell(&side["slot"]), cell(&side["cycle"]), cell(&side["role"]))
    };
    output::print(&format!("from {} to {}\n", side("before"), side("after")))?;
    let views = diff["views"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = ["rows_before", "rows_after", "missing", "new", "changed"];
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| std::iter::once("view").chain(columns).map(|column| cell(&view[column])).collect())
        .collect();
    output::table(&["view", "rows before", "rows after", "missing", "new", "changed"], &rows)?;
    for view in views {
        let details = details(view);
        if !details.is_empty() {
            output::print(&format!("\n{}{details}", cell(&view["view"])))?;
        }
    }
    if diff["same"] == true {
        output::print("\nthe same")?;
    }
    Ok(())
}

fn details(view: &Value) -> String {
    let mut text = String::new();
    let list = |name: &str| view[name].as_array().cloned().unwrap_or_default();
    let or_none = |value: &Value| if value.is_null() { "nothing".to_owned() } else { cell(value) };
    for change in list("schema") {
        let (before, after) = (or_none(&change["before"]), or_none(&change["after"]));
        let _ = write!(text, "\n  column {} was {before}, is {after}", cell(&change["column"]));
    }
    let changed: Vec<String> = list("columns")
        .iter()
        .map(|change| format!("{} ({})", cell(&change["column"]), cell(&change["changed"])))
        .collect();
    if !changed.is_empty() {
        let _ = write!(text, "\n  differs in {}", changed.join(", "));
    }
    for metric in list("metrics") {
        let _ = write!(
            text,
            "\n  sum of {} {} -> {}, mean {} -> {}",
            cell(&metric["column"]),
            or_none(&metric["sum_before"]),
            or_none(&metric["sum_after"]),
            or_none(&metric["mean_before"]),
            or_none(&metric["mean_after"]),
        );
    }
    for row in list("sample") {
        let _ = write!(text, "\n  {} {}", cell(&row["kind"]), cell(&row["key"]));
        if row["kind"] == "changed" {
            let _ = write!(text, ": {} -> {}", cell(&row["before"]), cell(&row["after"]));
        }
    }
    let not_compared: Vec<String> = list("not_compared").iter().map(cell).collect();
    if !not_compared.is_empty() {
        let _ = write!(text, "\n  not compared: {}", not_compared.join(", "));
    }
    text
}
