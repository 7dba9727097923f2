use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;

use wap::Identifier;

use serde_json::Value;

use super::*;
use crate::{DeploymentRow, PublishedColumn, PublishedView};

fn publication(slot: &Slot, description: &str) -> Publication {
    let view = |view: &str| PublishedView {
        name: name(view),
        schema: name("mart"),
        relation: name("things"),
        area: Some("Sales/EU".to_owned()),
        description: description.to_owned(),
        columns: vec![PublishedColumn { name: name("id"), description: "Never given twice.".to_owned() }],
    };
    let deployment =
        DeploymentRow { cycle: slot.cycle, attempt: slot.attempt.clone(), newest_partition: None, held: Vec::new() };
    Publication { views: vec![view("one"), view("two")], deployment }
}

async fn sealed(emulated: &Emulated, cycle: u64, name: &str, number: i64) -> Slot {
    let slot = slot(cycle, name);
    emulated.warehouse.create(&slot, None, &[]).await.unwrap();
    emulated.write(&slot, "mart", "things", &rows(number, "x")).await;
    emulated.warehouse.seal(&slot, &publication(&slot, "d")).await.unwrap();
    slot
}

struct Record<'a>(&'a Slot, &'a str);

#[async_trait]
impl Desired for Record<'_> {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, Error> {
        Ok(Some((self.0.clone(), publication(self.0, self.1))))
    }
}

async fn resource(emulated: &Emulated, path: &str) -> Value {
    emulated.warehouse.rest.get(path, &[]).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_view_has_columns_descriptions_and_labels() {
    let Some(emulated) = fresh().await else { return };
    let slot = sealed(&emulated, 3, "a", 2).await;
    assert!(emulated.warehouse.converge(&Record(&slot, "first")).await.unwrap().changed);
    let view = resource(&emulated, "/datasets/live/tables/one").await;
    assert_eq!(view["description"], "first");
    assert_eq!(view["schema"]["fields"][0]["description"], "Never given twice.");
    assert_eq!(view["schema"]["fields"].as_array().unwrap().len(), 1, "only the columns that are listed");
    assert_eq!((&view["labels"]["slot"], &view["labels"]["area"]), (&"blue_3_attempta".into(), &"sales-eu".into()));
    let live = resource(&emulated, "/datasets/live").await;
    assert_eq!((&live["labels"]["cycle"], &live["labels"]["slot"]), (&"3".into(), &"blue_3_attempta".into()));
    // Another description is another definition.
    assert!(emulated.warehouse.converge(&Record(&slot, "second")).await.unwrap().changed);
    assert!(!emulated.warehouse.converge(&Record(&slot, "second")).await.unwrap().changed);
    assert_eq!(resource(&emulated, "/datasets/live/tables/one").await["description"], "second");
}

#[tokio::test]
async fn a_view_that_somebody_changed_by_hand_is_mended() {
    let Some(emulated) = fresh().await else { return };
    let slot = sealed(&emulated, 1, "a", 2).await;
    emulated.warehouse.converge(&Record(&slot, "d")).await.unwrap();
    let one = TableName::new("live", "one");
    let change = json!({"view": {"query": "SELECT 9 AS id", "useLegacySql": false}});
    emulated.warehouse.change_table(&one, &change).await.unwrap();
    emulated.warehouse.drop_table(&TableName::new("live", "two")).await.unwrap();
    assert!(emulated.warehouse.converge(&Record(&slot, "d")).await.unwrap().changed);
    assert_eq!(emulated.count("live", "one", "TRUE").await, 2);
    assert_eq!(emulated.count("live", "two", "TRUE").await, 2);
}

/// A record that a publisher reads, and that moves on before the publisher does anything about it.
struct Overtaken<'a> {
    emulated: &'a Emulated,
    old: &'a Slot,
    new: &'a Slot,
    /// At which of the readings the newer publisher comes.
    at: usize,
    asked: AtomicUsize,
    /// What views showed at each reading after that.
    shown: Mutex<Vec<Vec<String>>>,
}

#[async_trait]
impl Desired for Overtaken<'_> {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, Error> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked < self.at {
            return Record(self.old, "d").desired().await;
        }
        if asked == self.at {
            // It was read, then the newer one was committed and published, and only then the answer is used.
            self.emulated.warehouse.converge(&Record(self.new, "d")).await.unwrap();
            return Record(self.old, "d").desired().await;
        }
        let shown = self.emulated.warehouse.published().await.unwrap();
        self.shown.lock().unwrap().push(shown);
        Record(self.new, "d").desired().await
    }
}

#[tokio::test]
async fn a_publisher_who_is_late_changes_nothing() {
    let Some(emulated) = fresh().await else { return };
    let (first, second, third) =
        (sealed(&emulated, 1, "a", 1).await, sealed(&emulated, 2, "b", 2).await, sealed(&emulated, 3, "c", 3).await);
    // The first reading is before the etags of views are read, the second after, the third after that of the dataset.
    for at in 0..3 {
        emulated.warehouse.converge(&Record(&first, "d")).await.unwrap();
        let late = Overtaken {
            emulated: &emulated,
            old: &second,
            new: &third,
            at,
            asked: AtomicUsize::new(0),
            shown: Mutex::default(),
        };
        let converged = emulated.warehouse.converge(&late).await.unwrap();
        assert_eq!(converged.slot, third, "at reading {at}");
        assert_eq!(emulated.warehouse.published().await.unwrap(), [third.name()], "at reading {at}");
        assert_eq!(emulated.count("live", "one", "TRUE").await, 3);
        // Not even for a moment did a view go back.
        let shown = late.shown.lock().unwrap();
        assert!(!shown.is_empty() && shown.iter().all(|slots| *slots == [third.name()]), "at reading {at}: {shown:?}");
    }
}

/// A slot with view `one` only, after `two` and `by_hand` were given up.
struct GivenUp<'a>(&'a Slot, BTreeSet<Identifier>);

#[async_trait]
impl Desired for GivenUp<'_> {
    async fn desired(&self) -> Result<Option<(Slot, Publication)>, Error> {
        let mut publication = publication(self.0, "d");
        publication.views.truncate(1);
        Ok(Some((self.0.clone(), publication)))
    }

    async fn retired(&self) -> Result<BTreeSet<Identifier>, Error> {
        Ok(self.1.clone())
    }
}

#[tokio::test]
async fn only_views_that_were_given_up_and_were_made_here_are_dropped() {
    let Some(emulated) = fresh().await else { return };
    let slot = sealed(&emulated, 1, "a", 2).await;
    emulated.warehouse.converge(&Record(&slot, "d")).await.unwrap();
    let by_hand = json!({"view": {"query": "SELECT 9 AS id", "useLegacySql": false}, "labels": {}});
    emulated.warehouse.make_table(&TableName::new("live", "by_hand"), by_hand).await.unwrap();
    let views = async || {
        let listed = emulated.warehouse.rest.tables("live").await.unwrap().unwrap();
        listed.into_iter().map(|(name, _)| name).collect::<BTreeSet<String>>()
    };
    let all = ["by_hand", "deployment", "one", "two"].map(str::to_owned);
    emulated.warehouse.converge(&GivenUp(&slot, BTreeSet::new())).await.unwrap();
    assert_eq!(views().await, BTreeSet::from(all));
    let given_up = BTreeSet::from([name("two"), name("by_hand"), name("one")]);
    emulated.warehouse.converge(&GivenUp(&slot, given_up)).await.unwrap();
    assert_eq!(views().await, BTreeSet::from(["by_hand", "deployment", "one"].map(str::to_owned)));
}

#[tokio::test]
async fn a_dry_run_leaves_nothing_behind() {
    let Some(emulated) = fresh().await else { return };
    let slot = sealed(&emulated, 1, "a", 2).await;
    emulated.warehouse.dry_run(&slot, &publication(&slot, "d")).await.unwrap();
    assert_eq!(emulated.warehouse.rest.tables("live").await.unwrap().unwrap(), []);
    assert!(emulated.warehouse.published().await.unwrap().is_empty());
}
