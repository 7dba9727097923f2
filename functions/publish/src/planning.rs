//! From the record, the ledger and the project to a plan. Reads only.

use std::collections::BTreeSet;

use pipeline::{Granularity, Pipeline};
use service::{Platform, Problem, ProjectPlan};
use wap::{Deployment, Digest, INPUTS_VERSION, Identifier, Inputs, WorkSet, admit, plan};

/// What a cycle would be built from, and what it would have to do.
#[derive(Debug)]
pub(crate) struct Planned {
    pub record: Deployment,
    pub inputs: Inputs,
    pub inputs_digest: Digest,
    pub work: WorkSet,
    pub project: ProjectPlan,
}

/// Plans a cycle from what is there now.
pub(crate) async fn plan_cycle(platform: &Platform) -> Result<Planned, Problem> {
    let project = platform.project_plan().await?;
    let record = platform.state.record().await?;
    let live = platform.state.live_inputs(&record).await?;
    let ledger = platform.state.ledger().await?;
    let live_partitions = live.as_ref().map(|live| live.partitions.clone()).unwrap_or_default();
    let partitions = admit(&groups(&platform.pipeline), &ledger, &record.held, &live_partitions);
    let work = plan(live.as_ref(), &partitions, &project.models);
    let models = project.models.iter().map(|(id, model)| (id.clone(), model.digest.clone())).collect();
    let inputs = Inputs { version: INPUTS_VERSION, partitions, models };
    let inputs_digest = Digest::of_json(&inputs).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(Planned { record, inputs, inputs_digest, work, project })
}

/// Tables whose partitions are complete together: those with one granularity and one beginning of the week.
pub(crate) fn groups(pipeline: &Pipeline) -> Vec<BTreeSet<Identifier>> {
    let mut groups: Vec<((Granularity, i8), BTreeSet<Identifier>)> = Vec::new();
    for table in pipeline.tables.values() {
        let kind = (table.calendar.granularity, table.calendar.week_starts.to_monday_one_offset());
        match groups.iter_mut().find(|(found, _)| *found == kind) {
            Some((_, tables)) => {
                tables.insert(table.name.clone());
            }
            None => groups.push((kind, BTreeSet::from([table.name.clone()]))),
        }
    }
    groups.into_iter().map(|(_, tables)| tables).collect()
}
