//! Datasets: the fixed ones, those of slots, and who may do what in them.
//! <https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets>

use std::collections::{BTreeMap, BTreeSet};

use pipeline::RawDataset;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wap::Slot;

use super::BigQuery;
use super::jobs::ATTEMPT_LABEL;
use super::names::{CHANGES, LIVE, RAW, label};
use super::rest::CallError;
use crate::converge::{CONCURRENT_CALLS, all};
use crate::{Difference, Error};

const MILLISECONDS_PER_DAY: u64 = 86_400_000;

/// What stages a load is dropped by BigQuery if the load could not.
const STAGING_DAYS: u64 = 1;

/// The slot that a slot was made from.
const FROM_LABEL: &str = "made_from";

/// Who may do what in the datasets of a slot, each as IAM names a member:
/// `serviceAccount:transform@acme.iam.gserviceaccount.com`, `user:`, `group:`, `domain:`.
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// May do everything, also change who may do what. The account that makes slots has to be one of them: BigQuery adds
    /// it by itself only to datasets that are made without a list.
    pub owners: Vec<String>,
    /// May read every schema of a slot. Readers of published views are not among them: they read through the views.
    pub readers: Vec<String>,
    /// May write the slot until it is sealed: the account that dbt runs as.
    pub writer: Option<String>,
}

/// What is read of a dataset.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Dataset {
    etag: String,
    location: String,
    pub(super) labels: BTreeMap<String, String>,
    access: Vec<Map<String, Value>>,
    #[serde(rename = "datasetReference")]
    reference: DatasetReference,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DatasetReference {
    dataset_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DatasetList {
    datasets: Vec<Dataset>,
    next_page_token: Option<String>,
}

impl BigQuery {
    /// Checks that the datasets which belong to no slot are there, and where they should be. They are made only if that
    /// was asked for: where Terraform owns them, a missing one is a mistake that nobody should paper over.
    pub(super) async fn check_fixed_datasets(&self, raw: &RawDataset, make: bool) -> Result<(), Error> {
        let mut of_raw = json!({"description": raw.description, "labels": {}});
        for (key, value) in &raw.labels {
            of_raw["labels"][label(key)] = label(value).into();
        }
        if let Some(days) = raw.expiration_days {
            of_raw["defaultPartitionExpirationMs"] = (u64::from(days) * MILLISECONDS_PER_DAY).to_string().into();
        }
        if let Some(hours) = raw.time_travel_hours {
            of_raw["maxTimeTravelHours"] = hours.to_string().into();
        }
        let of_live = json!({"description": "What readers see.", "labels": {}});
        let of_operations = json!({
            "description": "Tables that stage loads, for minutes.", "labels": {},
            "defaultTableExpirationMs": (STAGING_DAYS * MILLISECONDS_PER_DAY).to_string(),
        });
        let fixed = [(&self.names.raw, of_raw), (&self.names.live, of_live), (&self.names.operations, of_operations)];
        for (name, resource) in fixed {
            let name = name.as_str();
            let dataset = match self.dataset(name).await? {
                Some(dataset) => dataset,
                None if make => self.insert_dataset(name, resource).await?,
                None => {
                    return Err(Error::NotFound {
                        what: format!("dataset {name} in project {}", self.names.project),
                        next: "apply the Terraform configuration, which makes it, or correct its name in pipeline.yaml"
                            .to_owned(),
                    });
                }
            };
            // Emulators know no places.
            if !dataset.location.eq_ignore_ascii_case(&self.location) && !make {
                return Err(Error::rejected(format!(
                    "dataset {name} is in {}, and the pipeline's place is {}; BigQuery can't query across places",
                    dataset.location, self.location
                )));
            }
        }
        Ok(())
    }

    /// Makes the datasets of a slot, empty. One that an earlier try made is a conflict, and stays as it is.
    pub(super) async fn make_slot_datasets(&self, slot: &Slot, from: Option<&Slot>) -> Result<(), Error> {
        let schemas = self.slot_schemas();
        let made = schemas.iter().map(|schema| self.make_slot_dataset(slot, schema, from));
        all(CONCURRENT_CALLS, made).await.map(drop)
    }

    async fn make_slot_dataset(&self, slot: &Slot, schema: &str, from: Option<&Slot>) -> Result<(), Error> {
        let name = self.names.dataset(slot, schema);
        let mut labels = json!({
            "pipeline": label(self.pipeline.as_str()),
            "cycle": slot.cycle.to_string(),
            "color": slot.color.to_string(),
            "schema": label(schema),
        });
        labels[ATTEMPT_LABEL] = slot.attempt.as_str().into();
        if let Some(from) = from {
            labels[FROM_LABEL] = from.name().into();
        }
        let resource = json!({"labels": labels, "access": self.access()});
        self.insert_dataset(&name, resource).await.map(drop)
    }

    /// The slot that this one was made from.
    pub(super) async fn made_from(&self, slot: &Slot) -> Result<Option<String>, Error> {
        let dataset = self.dataset(&self.names.dataset(slot, LIVE)).await?;
        Ok(dataset.and_then(|dataset| dataset.labels.get(FROM_LABEL).cloned()))
    }

    /// The schemas that every slot has.
    pub(super) fn slot_schemas(&self) -> Vec<String> {
        let fixed = [RAW, CHANGES, LIVE].map(str::to_owned);
        self.schemas.iter().map(|schema| schema.as_str().to_owned()).chain(fixed).collect()
    }

    /// Who may do what in a new dataset of a slot.
    ///
    /// Published views read it because their dataset is authorised: all its views, those to come too. Authorising each view
    /// would end with the view's replacement.
    fn access(&self) -> Vec<Value> {
        let owners = self.members.owners.iter().map(|member| ("OWNER", member));
        let readers = self.members.readers.iter().map(|member| ("READER", member));
        let writer = self.members.writer.iter().map(|member| ("WRITER", member));
        let mut access: Vec<Value> = owners
            .chain(readers)
            .chain(writer)
            .map(|(role, member)| {
                let (key, value) = member_of(member);
                json!({"role": role, key: value})
            })
            .collect();
        let live = json!({"projectId": self.names.project, "datasetId": self.names.live.as_str()});
        access.push(json!({"dataset": {"dataset": live, "targetTypes": ["VIEWS"]}}));
        access
    }

    /// Takes the right to write a slot from whoever had it.
    pub(super) async fn close_slot(&self, slot: &Slot) -> Result<(), Error> {
        let schemas = self.slot_schemas();
        let closed = schemas.iter().map(|schema| self.close_dataset(slot, schema));
        all(CONCURRENT_CALLS, closed).await.map(drop)
    }

    async fn close_dataset(&self, slot: &Slot, schema: &str) -> Result<(), Error> {
        let name = self.names.dataset(slot, schema);
        loop {
            let Some(dataset) = self.dataset(&name).await? else { return Err(gone(slot)) };
            let (open, kept): (Vec<_>, Vec<_>) =
                dataset.access.into_iter().partition(|entry| entry.get("role").is_some_and(|role| role == "WRITER"));
            if open.is_empty() {
                return Ok(());
            }
            match self.patch_dataset(&name, &dataset.etag, &json!({"access": kept})).await {
                Ok(_) => {}
                // Somebody changed it meanwhile, or the patch took effect and its answer was lost: look again.
                Err(error) if error.status() == Some(412) => {}
                Err(error) => return Err(error.context(format!("closing dataset {name}"))),
            }
        }
    }

    /// Who may do in the datasets of a sealed slot what nobody should, and readers who are not let through.
    pub(super) async fn access_differences(&self, slot: &Slot) -> Result<Vec<Difference>, Error> {
        let live = json!({"projectId": self.names.project, "datasetId": self.names.live.as_str()});
        let mut differences = Vec::new();
        for schema in self.slot_schemas() {
            let name = self.names.dataset(slot, &schema);
            let Some(dataset) = self.dataset(&name).await? else { continue };
            let difference = |found: &str, expected: &str| Difference {
                subject: name.clone(),
                found: found.to_owned(),
                expected: expected.to_owned(),
                converges: false,
            };
            if dataset.access.iter().any(|entry| entry.get("role").is_some_and(|role| role == "WRITER")) {
                let expected = "nobody may write a sealed slot; take the role WRITER away";
                differences.push(difference("somebody may write it", expected));
            }
            let authorised = |entry: &Map<String, Value>| entry.get("dataset").is_some_and(|of| of["dataset"] == live);
            if !dataset.access.iter().any(authorised) {
                let expected = "the readers' dataset is authorised; authorise it for views";
                differences.push(difference("published views may not read it", expected));
            }
        }
        Ok(differences)
    }

    /// Sets labels of the dataset that readers use, unless `still` says that they are no longer the right ones.
    pub(super) async fn label_live<Still>(
        &self,
        labels: &BTreeMap<&str, String>,
        mut still: impl FnMut() -> Still,
    ) -> Result<(), Error>
    where
        Still: Future<Output = Result<bool, Error>>,
    {
        let name = self.names.live.as_str();
        loop {
            let Some(dataset) = self.dataset(name).await? else {
                return Err(Error::NotFound {
                    what: format!("dataset {name}"),
                    next: "apply the Terraform configuration, which makes it".to_owned(),
                });
            };
            if labels.iter().all(|(key, value)| dataset.labels.get(*key) == Some(value)) {
                return Ok(());
            }
            // Asked after the etag was read: whoever changes it later makes the patch fail.
            if !still().await? {
                return Ok(());
            }
            let mut next = dataset.labels;
            next.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
            match self.patch_dataset(name, &dataset.etag, &json!({"labels": next})).await {
                Ok(_) => return Ok(()),
                Err(error) if error.status() == Some(412) => {}
                Err(error) => return Err(error.context(format!("labelling dataset {name}"))),
            }
        }
    }

    /// Names of all slots that exist, in order.
    pub(super) async fn slot_names(&self) -> Result<Vec<String>, Error> {
        let datasets = self.slot_datasets().await?;
        let names: BTreeSet<String> =
            datasets.iter().filter_map(|dataset| Some(self.names.slot_of(dataset)?.0.name())).collect();
        Ok(names.into_iter().collect())
    }

    /// Drops all datasets of a slot with all that is in them: those that are listed, and, as a list may be an old one, those
    /// that a slot has by the schemas of today.
    pub(super) async fn drop_slot_datasets(&self, slot_name: &str) -> Result<(), Error> {
        let known = self.slot_schemas().into_iter().map(|schema| format!("{}{schema}", self.names.stem(slot_name)));
        let listed = self.slot_datasets().await?;
        let datasets: BTreeSet<String> = known
            .chain(listed)
            .filter(|name| self.names.slot_of(name).is_some_and(|(found, _)| found.name() == slot_name))
            .collect();
        let dropped = datasets.iter().map(|dataset| self.drop_dataset(dataset));
        all(CONCURRENT_CALLS, dropped).await.map(drop)
    }

    pub(super) async fn dataset_is_missing(&self, name: &str) -> Result<bool, Error> {
        Ok(self.dataset(name).await?.is_none())
    }

    /// The datasets of all slots of this pipeline.
    async fn slot_datasets(&self) -> Result<Vec<String>, Error> {
        let filter = format!("labels.pipeline:{}", label(self.pipeline.as_str()));
        let mut found = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let mut query = vec![("filter", filter.as_str()), ("maxResults", "1000")];
            if let Some(token) = &page {
                query.push(("pageToken", token));
            }
            let list = self.rest.get("/datasets", &query).await.map_err(|error| error.context("listing datasets"))?;
            let list: DatasetList = list.unwrap_or_default();
            let names = list.datasets.into_iter().map(|dataset| dataset.reference.dataset_id);
            found.extend(names.filter(|name| self.names.slot_of(name).is_some()));
            page = list.next_page_token;
            if page.is_none() {
                return Ok(found);
            }
        }
    }

    async fn dataset(&self, name: &str) -> Result<Option<Dataset>, Error> {
        self.read_dataset(name).await.map_err(|error| error.context(format!("reading dataset {name}")))
    }

    async fn read_dataset(&self, name: &str) -> Result<Option<Dataset>, CallError> {
        self.rest.get(&format!("/datasets/{name}"), &[]).await
    }

    /// Makes a dataset; one that is there already is a conflict. `resource` has all but its name and place.
    async fn insert_dataset(&self, name: &str, resource: Value) -> Result<Dataset, Error> {
        let mut resource = resource;
        resource["datasetReference"] = json!({"projectId": self.names.project, "datasetId": name});
        resource["location"] = self.location.as_ref().into();
        // A label of this call tells what it made from what was there before.
        let made = super::unique();
        resource["labels"]["made"] = made.as_str().into();
        let look =
            || async { Ok(self.read_dataset(name).await?.filter(|dataset| dataset.labels.get("made") == Some(&made))) };
        let inserted = self.rest.insert("/datasets", &resource, look).await;
        inserted.map_err(|error| error.context(format!("making dataset {name}")))
    }

    async fn patch_dataset(&self, name: &str, etag: &str, change: &Value) -> Result<Dataset, CallError> {
        self.rest.patch(&format!("/datasets/{name}"), etag, change).await
    }

    async fn drop_dataset(&self, name: &str) -> Result<(), Error> {
        let dropped = self.rest.delete_dataset(name).await;
        dropped.map_err(|error| error.context(format!("dropping dataset {name}")))
    }
}

/// The error for a slot that was dropped.
pub(super) fn gone(slot: &Slot) -> Error {
    Error::NotFound { what: format!("slot {slot}"), next: "it was dropped; begin a new attempt".to_owned() }
}

/// How an access list names a member.
fn member_of(member: &str) -> (&'static str, &str) {
    match member.split_once(':') {
        Some(("serviceAccount" | "user", email)) => ("userByEmail", email),
        Some(("group", email)) => ("groupByEmail", email),
        Some(("domain", domain)) => ("domain", domain),
        _ => ("iamMember", member),
    }
}
