//! `bgp doctor`: whether everything agrees.

use serde_json::{Value, json};
use service::Config;

use crate::arguments::DoctorOptions;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::output::{self, cell};

/// Prints every difference, and fails if one is left.
pub(crate) async fn doctor(config: &Config, options: &DoctorOptions) -> Result<(), Failure> {
    let engine = Engine::start(config).await?;
    let report = if options.mend {
        engine.post("/doctor", &json!({"deep": options.deep})).await
    } else {
        engine.get(&format!("/doctor?deep={}", options.deep)).await
    };
    engine.stop().await;
    let report = report?;
    let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let left = findings.iter().filter(|finding| finding["mended"] != true).count();
    if options.json {
        output::json(&report)?;
    } else {
        for finding in findings {
            output::print(&paragraph(finding))?;
        }
        let checked: Vec<String> = report["checked"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(what, count)| format!("{} {}", cell(count), what.replace('_', " ")))
            .collect();
        output::print(&format!("looked at {}", checked.join(", ")))?;
        if left == 0 {
            output::print("healthy")?;
        }
    }
    if left == 0 {
        return Ok(());
    }
    let mendable = findings.iter().filter(|finding| finding["mendable"] == true && finding["mended"] != true).count();
    let next = match mendable {
        0 => "each says what to do".to_owned(),
        _ if options.mend => "what could not be mended now may be when it is tried again".to_owned(),
        count => format!("`bgp doctor --mend` mends {count} of them"),
    };
    Err(Failure::new(format!("{left} {} left; {next}", if left == 1 { "difference is" } else { "differences are" })))
}

fn paragraph(finding: &Value) -> String {
    let text = |name: &str| cell(&finding[name]);
    let mended = if finding["mended"] == true { " (mended)" } else { "" };
    format!(
        "{} {} on {}{mended}\n  is:        {}\n  should be: {}\n  remedy:    {}\n",
        text("severity"),
        text("code"),
        text("subject"),
        text("found"),
        text("expected"),
        text("remedy")
    )
}
