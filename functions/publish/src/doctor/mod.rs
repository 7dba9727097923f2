//! Whether everything agrees: the record with attempts, slots, views, ledger, lake and raw.
//!
//! An examination only reads. What is under way while it looks is no difference, so only what a second look finds too is
//! reported. Mending does what follows from what is known, and examines again: mended is what that no longer finds.

mod attempts;
mod document;
mod finding;
mod lake;
mod ledger;
mod mend;
mod record;
mod slots;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extension;
use serde::{Deserialize, Serialize};
use service::{Body, Parameters, Platform, Problem, detached};
use utoipa::{IntoParams, ToSchema};

use finding::Finding;

/// What follows each other in one step, such as a manifest and its ledger entry, is done in less.
const SETTLE: Duration = Duration::from_secs(1);

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DoctorRequest {
    /// Read every object of the lake, not only some.
    deep: Option<bool>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Report {
    /// Whether nothing is left to be dealt with.
    healthy: bool,
    findings: Vec<Finding>,
    /// How much of each kind was looked at.
    checked: BTreeMap<&'static str, usize>,
}

/// One look at everything.
#[derive(Debug, Default)]
pub(crate) struct Examination {
    findings: Vec<Finding>,
    checked: BTreeMap<&'static str, usize>,
}

impl Examination {
    fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn checked(&mut self, what: &'static str, count: usize) {
        *self.checked.entry(what).or_default() += count;
    }
}

/// Reports every difference.
#[utoipa::path(get, path = "/doctor", params(DoctorRequest), responses((status = 200, body = Report)))]
pub(crate) async fn examine(
    Extension(platform): Extension<Platform>,
    Parameters(request): Parameters<DoctorRequest>,
) -> Result<Json<Report>, Problem> {
    detached(async move {
        let (findings, checked) = look(&platform, request).await?;
        Ok(report(findings, checked))
    })
    .await
    .map(Json)
}

/// Repairs what can be repaired without guessing, and reports what there was.
#[utoipa::path(post, path = "/doctor", request_body = DoctorRequest, responses((status = 200, body = Report)))]
pub(crate) async fn mend(
    Extension(platform): Extension<Platform>,
    Body(request): Body<DoctorRequest>,
) -> Result<Json<Report>, Problem> {
    detached(async move {
        let (mut findings, mut checked) = look(&platform, request).await?;
        let repairs: Vec<_> =
            findings.iter().filter_map(|finding| Some((finding.code, finding.mend.clone()?))).collect();
        if !repairs.is_empty() {
            for (code, repair) in &repairs {
                match mend::mend(&platform, repair).await {
                    Ok(()) => tracing::info!(code, %repair, "mended"),
                    Err(error) => tracing::warn!(code, %repair, %error, "could not be mended"),
                }
            }
            let (left, again) = look(&platform, request).await?;
            checked = again;
            for finding in &mut findings {
                finding.mended = finding.mend.is_some() && !left.iter().any(|left| left.is(finding));
            }
            let new: Vec<Finding> =
                left.into_iter().filter(|left| !findings.iter().any(|known| known.is(left))).collect();
            findings.extend(new);
        }
        Ok(report(findings, checked))
    })
    .await
    .map(Json)
}

fn report(mut findings: Vec<Finding>, checked: BTreeMap<&'static str, usize>) -> Report {
    findings.sort_by(|left, right| {
        (left.severity, left.code, &left.subject).cmp(&(right.severity, right.code, &right.subject))
    });
    Report { healthy: findings.iter().all(|finding| finding.mended), findings, checked }
}

/// What two looks find.
async fn look(
    platform: &Platform,
    request: DoctorRequest,
) -> Result<(Vec<Finding>, BTreeMap<&'static str, usize>), Problem> {
    let first = examination(platform, request).await?;
    if first.findings.is_empty() {
        return Ok((first.findings, first.checked));
    }
    tokio::time::sleep(SETTLE).await;
    let mut second = examination(platform, request).await?;
    second.findings.retain(|finding| first.findings.iter().any(|found| found.is(finding)));
    Ok((second.findings, second.checked))
}

async fn examination(platform: &Platform, request: DoctorRequest) -> Result<Examination, Problem> {
    let mut examination = Examination::default();
    // Everything else is compared with the record.
    let Some(record) = record::read_record(platform, &mut examination).await? else { return Ok(examination) };
    let attempts = attempts::examine(platform, &record, &mut examination).await?;
    record::examine(platform, &record, &attempts, &mut examination).await?;
    slots::examine(platform, &record, &attempts, &mut examination).await?;
    let lake = lake::examine(platform, &record, request.deep.unwrap_or_default(), &mut examination).await?;
    ledger::examine(platform, &record, &lake, &mut examination).await?;
    Ok(examination)
}
