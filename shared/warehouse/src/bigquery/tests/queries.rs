use super::*;

#[tokio::test]
async fn a_step_over_its_budget_is_refused_before_it_runs() {
    let Some(emulated) = fresh().await else { return };
    let slot = slot(1, "a");
    emulated.warehouse.create(&slot, None, &[]).await.unwrap();
    emulated.write(&slot, "mart", "things", &rows(2000, "x")).await;
    let place = Place::Slot(slot.clone());
    let sql = format!("SELECT id, name FROM {}", emulated.warehouse.relation(&slot, "mart", "things"));

    let poor = emulated.step("audit", Some(1000));
    let error = poor.query(&place, &sql, 1).await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("10.0 MiB") && text.contains("1000 B") && text.contains("audit"), "{text}");
    assert!(text.contains("limits.max_bytes_billed_per_step"), "{text}");
    assert_eq!(poor.statistics(), Statistics::default(), "nothing was run");

    let rich = emulated.step("audit", Some(1 << 30));
    rich.query(&place, &sql, 1).await.unwrap();
    let first = rich.statistics();
    assert_eq!(first.jobs, 1);
    assert!(first.bytes_processed > 1000 && first.bytes_billed >= first.bytes_processed, "{first:?}");
    rich.digest(&place, &sql).await.unwrap();
    assert_eq!(rich.statistics().bytes_processed, 2 * first.bytes_processed);
    // What the step was billed for counts against its budget, and what it may yet be billed for.
    let spent = emulated.step("audit", Some(3 * first.bytes_billed + 1000));
    let at_once = futures::future::join_all((0..8).map(|_| spent.query(&place, &sql, 1))).await;
    assert_eq!(at_once.iter().filter(|done| done.is_ok()).count(), 3);
    assert_eq!(spent.statistics().bytes_billed, 3 * first.bytes_billed);
    // So does what somebody else ran for the step.
    let shared = emulated.step("audit", Some(2 * first.bytes_billed));
    shared.charge(Statistics { bytes_billed: first.bytes_billed, ..Statistics::default() });
    shared.query(&place, &sql, 1).await.unwrap();
    let text = shared.query(&place, &sql, 1).await.unwrap_err().to_string();
    assert!(text.contains("after 20.0 MiB of step audit, whose limit is 20.0 MiB"), "{text}");
}

#[tokio::test]
async fn a_query_changes_nothing() {
    let Some(emulated) = fresh().await else { return };
    let slot = slot(1, "a");
    emulated.warehouse.create(&slot, None, &[]).await.unwrap();
    emulated.write(&slot, "mart", "things", &rows(3, "x")).await;
    let things = emulated.warehouse.relation(&slot, "mart", "things");
    for sql in [format!("DELETE FROM {things} WHERE TRUE"), format!("DROP TABLE {things}")] {
        let error = emulated.warehouse.query(&Place::Slot(slot.clone()), &sql, 1).await.unwrap_err();
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
    }
    let both = format!("WITH a AS (SELECT id FROM {things}) SELECT COUNT(*) AS n FROM a UNION ALL SELECT 4 AS n");
    let found = emulated.warehouse.query(&Place::Slot(slot), &both, 5).await.unwrap();
    let mut numbers: Vec<u64> = found.rows.iter().filter_map(|row| row[0].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4]);
}

#[tokio::test]
async fn jobs_carry_the_labels_of_their_step() {
    let Some(emulated) = fresh().await else { return };
    let slot = slot(7, "a");
    let step = Step { name: "audit".to_owned(), slot: Some(slot.clone()), max_bytes_billed: None };
    let step = BigQuery { step: Arc::new(step), statistics: Arc::default(), ..emulated.warehouse.clone() };
    step.query(&Place::Slot(slot), "SELECT 1 AS one", 1).await.unwrap();
    let jobs: serde_json::Value =
        step.rest.get("/jobs", &[("projection", "full"), ("allUsers", "true")]).await.unwrap().unwrap();
    let labels: Vec<&serde_json::Value> =
        jobs["jobs"].as_array().unwrap().iter().map(|job| &job["configuration"]["labels"]).collect();
    let expected = json!({"pipeline": "contract", "step": "audit", "cycle": "7", "attempt": "attempta"});
    assert!(labels.contains(&&expected), "{labels:?}");
}

#[tokio::test]
async fn a_client_for_google_itself_can_be_made() {
    // Every crate brings its own ideas about TLS; that they get along is seen only when a client is made.
    let connection =
        Connection { endpoints: Endpoints::default(), credentials: Credentials::anonymous(), budget: Budget::STANDARD };
    assert!(Rest::new(&connection, "acme-data").await.is_ok());
}
