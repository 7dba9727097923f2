use serde_json::Value;

use super::*;

async fn access(emulated: &Emulated, dataset: &str) -> Vec<Value> {
    let found: Value = emulated.warehouse.rest.get(&format!("/datasets/{dataset}"), &[]).await.unwrap().unwrap();
    found["access"].as_array().unwrap().clone()
}

fn publication(slot: &Slot) -> Publication {
    let view = crate::PublishedView {
        name: name("things"),
        schema: name("mart"),
        relation: name("things"),
        area: None,
        description: String::new(),
        columns: Vec::new(),
    };
    let deployment = crate::DeploymentRow {
        cycle: slot.cycle,
        attempt: slot.attempt.clone(),
        newest_partition: None,
        held: Vec::new(),
    };
    Publication { views: vec![view], deployment }
}

#[tokio::test]
async fn nobody_writes_a_sealed_slot() {
    let Some(emulated) = fresh().await else { return };
    let slot = slot(1, "a");
    emulated.warehouse.create(&slot, None, &[]).await.unwrap();
    emulated.write(&slot, "mart", "things", &rows(1, "x")).await;
    let writer = json!({"role": "WRITER", "userByEmail": "transform@acme.example"});
    let dataset = emulated.warehouse.slot_dataset(&slot, "mart");
    let open = access(&emulated, &dataset).await;
    assert!(open.contains(&writer), "{open:?}");
    assert!(open.contains(&json!({"role": "OWNER", "groupByEmail": "data@acme.example"})), "{open:?}");
    let live = json!({"dataset": {"projectId": emulated.warehouse.names.project, "datasetId": "live"}, "targetTypes": ["VIEWS"]});
    assert!(open.iter().any(|entry| entry["dataset"] == live), "{open:?}");

    emulated.warehouse.seal(&slot, &publication(&slot)).await.unwrap();
    for schema in ["raw", "changes", "live", "staging", "mart"] {
        let closed = access(&emulated, &emulated.warehouse.slot_dataset(&slot, schema)).await;
        assert!(!closed.contains(&writer), "{schema}: {closed:?}");
        assert!(closed.contains(&json!({"role": "READER", "userByEmail": "audit@acme.example"})), "{schema}");
        assert!(closed.iter().any(|entry| entry["dataset"] == live), "{schema}: {closed:?}");
    }
}

#[tokio::test]
async fn a_chain_of_clones_goes_on_with_copies() {
    let Some(emulated) = fresh().await else { return };
    let mut before = slot(1, "a1");
    emulated.warehouse.create(&before, None, &[]).await.unwrap();
    emulated.write(&before, "mart", "things", &rows(3, "x")).await;
    let step = emulated.step("prepare", None);
    for cycle in 2..=12 {
        let next = slot(cycle, &format!("a{cycle}"));
        step.create(&next, Some(&before), &[]).await.unwrap();
        // As cleanup does: a clone does not need what it is a clone of.
        emulated.warehouse.drop_slot(&before.name()).await.unwrap();
        before = next;
    }
    assert_eq!(emulated.count(&emulated.warehouse.slot_dataset(&before, "mart"), "things", "TRUE").await, 3);
    // Three clones, then a copy: cycles 5 and 9.
    let statistics = step.statistics();
    assert_eq!((statistics.clones, statistics.copies), (9, 2), "{statistics:?}");
}

#[tokio::test]
async fn a_clone_that_is_refused_is_copied() {
    let Some(emulated) = fresh().await else { return };
    let mut before = slot(1, "a1");
    emulated.warehouse.create(&before, None, &[]).await.unwrap();
    emulated.write(&before, "mart", "things", &rows(3, "x")).await;
    let step = emulated.step("prepare", None);
    for cycle in 2..=6 {
        let next = slot(cycle, &format!("a{cycle}"));
        step.create(&next, Some(&before), &[]).await.unwrap();
        // Somebody removed the label that counts.
        let things = TableName::new(step.slot_dataset(&next, "mart"), "things");
        step.change_table(&things, &json!({"labels": {"clone_depth": null}})).await.unwrap();
        before = next;
    }
    assert_eq!(emulated.count(&step.slot_dataset(&before, "mart"), "things", "TRUE").await, 3);
    let statistics = step.statistics();
    assert_eq!((statistics.clones, statistics.copies), (4, 1), "{statistics:?}");
}

#[tokio::test]
async fn what_terraform_owns_is_not_made_silently() {
    let Some(cloud) = cloud() else { return };
    let (settings, _) = settings(cloud);
    let error = BigQuery::open(Settings { make_fixed_datasets: false, ..settings.clone() }).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("dataset raw") && error.to_string().contains("Terraform"), "{error}");
    BigQuery::open(settings.clone()).await.unwrap();
    BigQuery::open(Settings { make_fixed_datasets: false, ..settings.clone() }).await.unwrap();
    let elsewhere = Settings { make_fixed_datasets: false, location: "EU".to_owned(), ..settings };
    let error = BigQuery::open(elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("is in US"), "{error}");
}

#[tokio::test]
async fn a_layer_can_not_take_the_name_of_a_schema_of_every_slot() {
    let Some(cloud) = cloud() else { return };
    let (mut settings, _) = settings(cloud);
    settings.schemas.push(name("changes"));
    let error = BigQuery::open(settings).await.unwrap_err();
    assert!(error.to_string().contains("changes"), "{error}");
}
