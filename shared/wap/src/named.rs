//! What the record names, and how it forgets what it kept.
//!
//! A slot that the record does not name is never named again: attempts are new ones, and only the slots that it names move
//! between its fields. So whoever finds a slot unnamed may drop it, whatever else happens meanwhile.

use jiff::Timestamp;

use crate::AttemptId;
use crate::record::Deployment;
use crate::slot::{Color, Slot};

impl Slot {
    /// The slot of that name, if it is one.
    pub fn named(name: &str) -> Option<Self> {
        let mut parts = name.splitn(3, '_');
        let (color, cycle, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        let color = [Color::Blue, Color::Green].into_iter().find(|found| found.to_string() == color)?;
        let slot = Self { color, cycle: cycle.parse().ok()?, attempt: AttemptId::new(attempt).ok()? };
        // "007" is no cycle of ours.
        (slot.name() == name).then_some(slot)
    }
}

impl Deployment {
    /// The slots that the record names: what is live, kept, and building.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        let live = self.live.as_ref().map(|live| &live.slot);
        let kept = self.kept.as_ref().map(|kept| &kept.live.slot);
        let building = self.building.as_ref().map(|building| &building.slot);
        live.into_iter().chain(kept).chain(building)
    }

    /// Whether the record names this attempt.
    pub fn names(&self, attempt: &AttemptId) -> bool {
        self.slots().any(|slot| &slot.attempt == attempt)
    }

    /// Forgets the kept slot if it is this one, and its time is over by `now`. From then on nobody returns to it.
    #[must_use]
    pub fn forget_kept(mut self, slot: &Slot, now: Timestamp) -> Self {
        if self.kept.as_ref().is_some_and(|kept| &kept.live.slot == slot && kept.until <= now) {
            self.kept = None;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Digest;
    use crate::record::{Kept, Live};

    fn kept(until: i64) -> (Deployment, Slot) {
        let slot = Slot::named("blue_7_4f09c1ab22").unwrap();
        let live = Live {
            slot: slot.clone(),
            views: BTreeMap::new(),
            inputs: Digest::of("x"),
            newest_partition: None,
            held: Vec::new(),
            published_at: Timestamp::UNIX_EPOCH,
        };
        let until = Timestamp::from_second(until).unwrap();
        (Deployment { kept: Some(Kept { live, until }), ..Deployment::default() }, slot)
    }

    #[test]
    fn a_kept_slot_is_forgotten_when_its_time_is_over_and_not_before() {
        let (record, slot) = kept(100);
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(record.clone().forget_kept(&slot, at(99)).kept.is_some());
        assert!(record.clone().forget_kept(&slot, at(100)).kept.is_none());
        let other = Slot::named("green_8_4f09c1ab23").unwrap();
        assert!(record.forget_kept(&other, at(100)).kept.is_some());
    }

    #[test]
    fn names_of_slots_are_read_back_and_others_are_not() {
        let slot = Slot::named("green_12_bf25d92e6f").unwrap();
        assert_eq!((slot.color, slot.cycle, slot.name()), (Color::Green, 12, "green_12_bf25d92e6f".to_owned()));
        for other in ["red_1_4f09c1ab22", "blue_x_4f09c1ab22", "blue_007_4f09c1ab22", "blue_7_SHOUTING1", "blue_7", ""]
        {
            assert_eq!(Slot::named(other), None, "{other}");
        }
    }
}
