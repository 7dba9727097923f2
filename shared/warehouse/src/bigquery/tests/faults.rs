//! The same work on a cloud that fails one call in five.

use emulators::Plan;

use super::*;
use crate::{DeploymentRow, PinnedPartition, PublishedView};

struct Record(Slot, Publication);

#[async_trait]
impl Desired for Record {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, Error> {
        Ok(Some((self.0.clone(), self.1.clone())))
    }
}

/// Two cycles: loads, of both kinds, a pin that has to be mended, a model, its view, and publishing. Returns digests of
/// all that readers and models see.
async fn two_cycles(emulated: &Emulated) -> Vec<Digest> {
    let warehouse = &emulated.warehouse;
    let things = table("");
    let mut others = table("    raw: {partition_by: {column: id, range: {start: 0, end: 100, interval: 10}}}\n");
    others.name = name("others");
    let mut before = None;
    let mut digests = Vec::new();
    let mut admitted: Vec<(Table, Vec<Manifest>)> = vec![(things, Vec::new()), (others, Vec::new())];
    for cycle in 1..=2_u64 {
        let day = key(&format!("2025-08-0{cycle}"));
        for (table, manifests) in &mut admitted {
            let manifest = emulated.extract(table, &day, &rows(3, &format!("cycle {cycle}"))).await;
            let stray = emulated.extract(table, &day, &rows(9, "stray")).await;
            warehouse.load(table, &manifest).await.unwrap();
            if table.name.as_str() == "others" {
                warehouse.load(table, &stray).await.unwrap();
            }
            manifests.push(manifest);
        }
        let slot = slot(cycle, &format!("a{cycle}"));
        warehouse.create(&slot, before.as_ref(), &[]).await.unwrap();
        let pins: Vec<Pin> = admitted
            .iter()
            .map(|(table, manifests)| Pin {
                table: table.clone(),
                partitions: manifests
                    .iter()
                    .map(|manifest| PinnedPartition { manifest: manifest.clone(), is_contiguous: true })
                    .collect(),
                changed: manifests.last().into_iter().cloned().collect(),
            })
            .collect();
        warehouse.pin(&slot, &pins).await.unwrap();
        if before.is_none() {
            emulated.write(&slot, "mart", "kept", &rows(5, "kept")).await;
            emulated.view(&slot, "staging", "things", "raw.things").await;
        }
        let view = PublishedView {
            name: name("things"),
            schema: name("staging"),
            relation: name("things"),
            area: None,
            description: "d".to_owned(),
            columns: Vec::new(),
        };
        let deployment =
            DeploymentRow { cycle, attempt: slot.attempt.clone(), newest_partition: Some(day), held: Vec::new() };
        let publication = Publication { views: vec![view], deployment };
        let sealed = warehouse.seal(&slot, &publication).await.unwrap();
        warehouse.dry_run(&slot, &publication).await.unwrap();
        assert_eq!(warehouse.fingerprint(&slot).await.unwrap(), sealed);
        warehouse.converge(&Record(slot.clone(), publication)).await.unwrap();
        for (schema, relation) in [
            ("raw", "things"),
            ("raw", "others"),
            ("raw", "bgp_partitions"),
            ("changes", "raw__others"),
            ("mart", "kept"),
        ] {
            let own = if schema == "raw" && relation != "bgp_partitions" || schema == "changes" {
                " EXCEPT (bgp_load)"
            } else {
                ""
            };
            let sql = format!("SELECT *{own} FROM {}", warehouse.relation(&slot, schema, relation));
            digests.push(warehouse.digest(&Place::Slot(slot.clone()), &sql).await.unwrap());
        }
        let live = "SELECT id, name, bgp_partition FROM live.things";
        digests.push(warehouse.digest(&Place::Live, live).await.unwrap());
        before = Some(slot);
    }
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_change_nothing_but_time() {
    // A cloud of its own: faults are for all its projects.
    let Some(cloud) = tokio::task::spawn_blocking(start).await.unwrap() else { return };
    let expected = two_cycles(&Emulated::new(&cloud).await).await;
    for seed in [1, 2] {
        let emulated = Emulated::new(&cloud).await;
        cloud.faults.inject(Plan { slow_milliseconds: 20, ..Plan::new(seed, 0.2) });
        let found = two_cycles(&emulated).await;
        cloud.faults.stop();
        let injected: u64 = cloud.faults.report().faults.values().sum();
        assert!(injected > 20, "{:?}", cloud.faults.report());
        assert_eq!(found, expected, "seed {seed}");
    }
}
