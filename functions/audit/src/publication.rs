//! What readers shall see of an attempt: one view for each published table, with every column.

use std::collections::{BTreeMap, BTreeSet};

use service::{Platform, Problem, ProjectPlan};
use wap::{Attempt, Deployment, Identifier, PartitionKey};
use warehouse::{DEPLOYMENT, DeploymentRow, Publication, PublishedColumn, PublishedView};

/// Builds the publication from the project's manifest and the columns that the tables have.
pub(crate) async fn build(
    platform: &Platform,
    plan: &ProjectPlan,
    attempt: &Attempt,
    record: &Deployment,
) -> Result<Publication, Problem> {
    let schemas = platform.schemas(&plan.project)?;
    let inputs = platform.state.inputs_of(attempt.id(), &attempt.inputs).await?;
    let mut views: BTreeMap<Identifier, PublishedView> = BTreeMap::new();
    for (id, node) in &plan.project.nodes {
        if !platform.is_published(node) {
            continue;
        }
        let Some(schema) = schemas.get(id) else { continue };
        let relation = Identifier::new(node.alias.clone())?;
        if relation.as_str().eq_ignore_ascii_case(DEPLOYMENT) {
            return Err(Problem::rejected(format!(
                "{id} would be published as {DEPLOYMENT}, the view that says which cycle is live; give it another alias"
            )));
        }
        let columns = platform.warehouse.columns(&attempt.slot, schema.as_str(), relation.as_str()).await?;
        if columns.is_empty() {
            return Err(Problem::internal(format!(
                "{id} is to be published and {schema}.{relation} is not in the slot; begin a new attempt"
            )));
        }
        let descriptions: BTreeMap<String, &str> =
            node.columns.iter().map(|column| (column.name.to_lowercase(), column.description.as_str())).collect();
        let columns = columns
            .into_iter()
            .map(|(name, _)| {
                let description = descriptions.get(&name.to_lowercase()).copied().unwrap_or_default().to_owned();
                let name = Identifier::new(name.as_str()).map_err(|_| {
                    Problem::rejected(format!(
                        "column {name:?} of {id} can't be published; name it by letters, digits and underscores"
                    ))
                })?;
                Ok(PublishedColumn { name, description })
            })
            .collect::<Result<Vec<_>, Problem>>()?;
        let view = PublishedView {
            name: relation.clone(),
            schema: schema.clone(),
            relation: relation.clone(),
            area: (!node.folder.is_empty()).then(|| node.folder.clone()),
            description: node.description.clone(),
            columns,
        };
        if views.insert(relation.clone(), view).is_some() {
            return Err(Problem::rejected(format!(
                "two models would be published as {relation}; rename one, or leave it out of dbt.publish"
            )));
        }
    }
    if views.is_empty() {
        return Err(Problem::rejected(format!(
            "no table of the project is under {}; correct dbt.publish in pipeline.yaml",
            platform.pipeline.dbt.publish.join(", ")
        )));
    }
    Ok(Publication {
        views: views.into_values().collect(),
        deployment: DeploymentRow {
            cycle: attempt.slot.cycle,
            attempt: attempt.id().clone(),
            newest_partition: newest_partition(&inputs.partitions),
            held: record.held.keys().cloned().collect(),
        },
    })
}

/// The newest partition of all that the slot was built from, `all` left out.
fn newest_partition(partitions: &wap::InputMap) -> Option<PartitionKey> {
    let keys: BTreeSet<&PartitionKey> = partitions.values().flat_map(BTreeMap::keys).collect();
    keys.into_iter().filter(|key| key.as_str() != "all").max().cloned()
}
