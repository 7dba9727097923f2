//! What a cycle would change, or has changed: two slots, view by view.

mod compare;
mod sides;

use axum::Json;
use axum::extract::State as Extension;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Parameters, Platform, Problem, detached};
use utoipa::{IntoParams, ToSchema};

use sides::Sides;

/// What to compare.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffRequest {
    /// What the live slot is compared with: `kept`, an attempt, or a cycle. By default the attempt that waits to be
    /// published, and without one the kept slot.
    against: Option<String>,
    /// Names of views with commas between them; by default all.
    views: Option<String>,
}

/// How two slots differ.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Diff {
    before: Side,
    after: Side,
    /// Whether there is no difference at all.
    same: bool,
    views: Vec<ViewDiff>,
}

/// One of two slots.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Side {
    slot: String,
    cycle: u64,
    /// `live`, `kept`, `building`, or `older`.
    role: &'static str,
}

/// How one view differs.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ViewDiff {
    view: String,
    /// Columns that are new, gone, or of another type.
    schema: Vec<SchemaChange>,
    /// Rows; nothing where there is no such view.
    rows_before: Option<u64>,
    rows_after: Option<u64>,
    /// The columns by which rows are told apart; empty: nothing says which, and rows are only counted.
    key: Vec<String>,
    /// Keys that are only in the slot before.
    missing: Option<u64>,
    /// Keys that are only in the slot after.
    new: Option<u64>,
    /// Keys of which a column differs.
    changed: Option<u64>,
    /// Of how many keys each column differs; columns that do not differ are left out.
    columns: Vec<ColumnChange>,
    /// Columns whose values can't be compared in the warehouse.
    not_compared: Vec<String>,
    /// Sums and means of numeric columns that differ.
    metrics: Vec<Metric>,
    /// Some rows that are missing, new, or changed, personal values masked.
    #[schema(value_type = Vec<Object>)]
    sample: Vec<Value>,
}

/// A column that is not as it was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchemaChange {
    column: String,
    /// The type; nothing where there is no such column.
    before: Option<String>,
    after: Option<String>,
}

/// A column whose values differ.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnChange {
    column: String,
    changed: u64,
}

/// A measure of a numeric column. Sums of integers and decimals are exact, all else is rounded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Metric {
    column: String,
    sum_before: Option<String>,
    sum_after: Option<String>,
    mean_before: Option<String>,
    mean_after: Option<String>,
}

impl ViewDiff {
    fn is_same(&self) -> bool {
        let counts = [self.missing, self.new, self.changed];
        self.schema.is_empty()
            && self.rows_before == self.rows_after
            && counts.iter().all(|count| count.unwrap_or_default() == 0)
            && self.metrics.is_empty()
    }
}

/// Compares the live slot with another one. Reads only.
#[utoipa::path(get, path = "/diff", params(DiffRequest), responses((status = 200, body = Diff)))]
pub(crate) async fn diff(
    Extension(platform): Extension<Platform>,
    Parameters(request): Parameters<DiffRequest>,
) -> Result<Json<Diff>, Problem> {
    detached(run(platform, request)).await.map(Json)
}

async fn run(platform: Platform, request: DiffRequest) -> Result<Diff, Problem> {
    let sides = Sides::find(&platform, request.against.as_deref()).await?;
    let names = sides.names(request.views.as_deref())?;
    let platform = platform.for_step("diff", Some(&sides.slots()[1]));
    let plan = platform.project_plan().await?;
    let mut views = Vec::new();
    for name in names {
        views.push(compare::view(&platform, &plan, &sides, &name).await?);
    }
    let [before, after] = sides.described();
    Ok(Diff { before, after, same: views.iter().all(ViewDiff::is_same), views })
}
