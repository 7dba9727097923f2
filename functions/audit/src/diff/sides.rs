//! The two slots that are compared, the older one first.

use std::collections::BTreeSet;

use service::{Kind, Platform, Problem};
use store::ObjectStoreExt;
use wap::{AttemptId, Deployment, Identifier, Slot};
use warehouse::{Publication, PublishedView};

use super::Side;

/// Two slots with the views of each.
#[derive(Debug)]
pub(super) struct Sides {
    slots: [Slot; 2],
    roles: [&'static str; 2],
    publications: [Publication; 2],
}

impl Sides {
    /// The live slot, and the one that `against` names.
    pub(super) async fn find(platform: &Platform, against: Option<&str>) -> Result<Self, Problem> {
        let record = platform.state.record().await?;
        let Some(live) = record.live.as_ref().map(|live| live.slot.clone()) else {
            return Err(not_found("nothing is published yet; start with: bgp run daily --partition D"));
        };
        let other = match against {
            None => default(&record)?,
            Some("kept") => record.kept.as_ref().map(|kept| kept.live.slot.clone()).ok_or_else(|| {
                not_found("no slot is kept: it was dropped when its time was over, or there was only one cycle")
            })?,
            Some(text) => named(platform, &record, text).await?,
        };
        if other == live {
            return Err(Problem::rejected(format!("slot {live} is the live one; compare it with another")));
        }
        let role = if record.kept.as_ref().is_some_and(|kept| kept.live.slot == other) {
            "kept"
        } else if record.building.as_ref().is_some_and(|building| building.slot == other) {
            "building"
        } else {
            "older"
        };
        // Of two attempts at one cycle, the other one was never published.
        let is_later = other.cycle > live.cycle;
        let (slots, roles) = if is_later { ([live, other], ["live", role]) } else { ([other, live], [role, "live"]) };
        let publications = [publication(platform, &slots[0]).await?, publication(platform, &slots[1]).await?];
        Ok(Self { slots, roles, publications })
    }

    pub(super) fn slots(&self) -> &[Slot; 2] {
        &self.slots
    }

    /// The view in each of the slots.
    pub(super) fn views(&self, name: &Identifier) -> [Option<&PublishedView>; 2] {
        self.publications.each_ref().map(|publication| publication.views.iter().find(|view| &view.name == name))
    }

    pub(super) fn described(&self) -> [Side; 2] {
        let side = |which: usize| Side {
            slot: self.slots[which].name(),
            cycle: self.slots[which].cycle,
            role: self.roles[which],
        };
        [side(0), side(1)]
    }

    /// The views to compare: those that are named, or all of both.
    pub(super) fn names(&self, wanted: Option<&str>) -> Result<Vec<Identifier>, Problem> {
        let known: BTreeSet<&Identifier> =
            self.publications.iter().flat_map(|publication| &publication.views).map(|view| &view.name).collect();
        let Some(wanted) = wanted else { return Ok(known.into_iter().cloned().collect()) };
        let mut names = Vec::new();
        for text in wanted.split(',') {
            let name = Identifier::new(text.trim())?;
            if !known.contains(&name) {
                let accepted: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
                return Err(not_found(format!("neither slot has a view {name}; accepted: {}", accepted.join(", "))));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

fn default(record: &Deployment) -> Result<Slot, Problem> {
    let building = record.building.as_ref().map(|building| &building.slot);
    let kept = record.kept.as_ref().map(|kept| &kept.live.slot);
    building.or(kept).cloned().ok_or_else(|| {
        not_found("no attempt waits to be published and no slot is kept: there is nothing to compare with")
    })
}

/// A cycle by its number, or an attempt by its id.
async fn named(platform: &Platform, record: &Deployment, text: &str) -> Result<Slot, Problem> {
    // Ids of attempts may look like numbers, and are longer than any cycle's.
    if let Some(cycle) = text.parse::<u64>().ok().filter(|_| text.len() < 8) {
        if let Some(slot) = record.slots().find(|slot| slot.cycle == cycle) {
            return Ok(slot.clone());
        }
        let receipt = platform.state.receipt(cycle).await?;
        let missing =
            || not_found(format!("there is no cycle {cycle}; `bgp status` shows what is live, kept and building"));
        return receipt.map(|receipt| receipt.slot).ok_or_else(missing);
    }
    let id = AttemptId::new(text).map_err(|_| {
        let text: String = text.chars().take(80).collect();
        Problem::rejected(format!("against is {text:?}; it takes kept, the number of a cycle, or the id of an attempt"))
    })?;
    Ok(platform.state.attempt(&id).await?.slot)
}

async fn publication(platform: &Platform, slot: &Slot) -> Result<Publication, Problem> {
    let found = platform.store.get_json::<Publication>(&Publication::key(&slot.attempt)).await?;
    found.map(|(publication, _)| publication).ok_or_else(|| {
        not_found(format!(
            "attempt {} has not come to its audit, so there is nothing of it to compare; go on with it: \
             bgp run daily --until audit",
            slot.attempt
        ))
    })
}

fn not_found(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::NotFound, "nothing_to_compare", detail)
}
