//! Making what readers see equal to what the record says, where views are moved one by one.
//!
//! Such a warehouse (BigQuery) knows nothing of the record. So each move says which state of the view it was decided on,
//! by etag; and the record is asked *after* the etags were read. Suppose a publisher is late and the record names a newer
//! slot. If the newer one's publisher has moved the view already, the etag is another and the move fails. If not, it
//! will: its own etag is now another, it reads again and moves the view. Either way the last word is the record's.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::Instant;
use wap::guard::{Guard, stands};
use wap::protocol::{self, Round};
use wap::{Identifier, Slot};

use crate::{Converged, Desired, Error, Publication};

/// How often views are moved anew because somebody else moved them meanwhile.
const ROUNDS: usize = 20;

/// Calls that are made at once.
pub(crate) const CONCURRENT_CALLS: usize = 16;

/// Views that are moved one by one, each by compare-and-set.
#[async_trait]
pub trait Views: Sync {
    /// A view as it shall be.
    type Wanted: Send + Sync;
    /// A view as it is, with what tells its state from any later one.
    type Found: Send + Sync;

    /// The views that a slot's publication asks for.
    fn wanted(&self, slot: &Slot, publication: &Publication) -> Vec<Self::Wanted>;

    /// The view as it is now.
    async fn find(&self, wanted: &Self::Wanted) -> Result<Option<Self::Found>, Error>;

    /// Whether the view is as it shall be.
    fn is_so(&self, wanted: &Self::Wanted, found: &Self::Found) -> bool;

    /// Moves the view, or makes it, if it is still as it was found. `false` if somebody else changed it meanwhile.
    async fn change(&self, wanted: &Self::Wanted, found: Option<&Self::Found>) -> Result<bool, Error>;

    /// Whether there is a view of this name that was made here.
    async fn is_ours(&self, name: &Identifier) -> Result<bool, Error>;

    /// Takes a view from readers. That it is not there is no error.
    async fn drop(&self, name: &Identifier) -> Result<(), Error>;

    /// Says beside the views which slot they show, unless `desired` names another by then.
    async fn label(&self, slot: &Slot, desired: &dyn Desired) -> Result<(), Error>;
}

/// Makes the views what the record says: [`Warehouse::converge`](crate::Warehouse::converge) over [`Views`].
pub async fn converge<V: Views>(views: &V, desired: &dyn Desired) -> Result<Converged, Error> {
    let mut changed = false;
    let mut moving: Option<(Instant, Instant)> = None;
    for _ in 0..ROUNDS {
        let (slot, publication) = named(desired).await?;
        let wanted = views.wanted(&slot, &publication);
        let found = all(CONCURRENT_CALLS, wanted.iter().map(|view| views.find(view))).await?;
        // After the etags were read; see the head of this file.
        let named_after = named(desired).await?.0;
        let is_as_wanted =
            wanted.iter().zip(&found).map(|(view, found)| found.as_ref().is_some_and(|found| views.is_so(view, found)));
        let Round::Move(stale) = protocol::round(&slot, &named_after, is_as_wanted) else { continue };
        let work = stale.into_iter().map(|position| (&wanted[position], &found[position]));
        let moves = work.map(|(view, found)| async move {
            let start = Instant::now();
            let moved = if stands(Guard::ViewMatch) {
                views.change(view, found.as_ref()).await?
            } else {
                views.change(view, views.find(view).await?.as_ref()).await?
            };
            Ok::<_, Error>(moved.then(|| (start, Instant::now(), found.is_some())))
        });
        let moves = all(CONCURRENT_CALLS, moves).await?;
        let overtaken = moves.iter().any(Option::is_none);
        for (start, end, was_there) in moves.into_iter().flatten() {
            changed = true;
            // A view that was not there showed no other slot.
            if was_there {
                let (first, last) = moving.unwrap_or((start, end));
                moving = Some((first.min(start), last.max(end)));
            }
        }
        if overtaken {
            continue;
        }
        changed |= drop_retired(views, desired, &slot, &publication).await?;
        views.label(&slot, desired).await?;
        if protocol::is_settled(&slot, &named(desired).await?.0) {
            let mixed = moving.map_or(Duration::ZERO, |(first, last)| last.duration_since(first));
            return Ok(Converged { slot, mixed, changed });
        }
    }
    Err(Error::Conflict {
        what: "the dataset of published views".to_owned(),
        next: "its views are changed by others all the time; find out by whom, then run the step again".to_owned(),
    })
}

/// Takes from readers what was given up and is not in the slot: only views that were made here, and only while the
/// record names the slot. Nothing is deleted on a condition, so somebody may have made such a view anew meanwhile.
/// Then the record has changed, and the next round makes it again.
async fn drop_retired<V: Views>(
    views: &V,
    desired: &dyn Desired,
    slot: &Slot,
    publication: &Publication,
) -> Result<bool, Error> {
    let mut is_changed = false;
    for name in desired.retired().await? {
        if publication.views.iter().any(|view| view.name == name) || !views.is_ours(&name).await? {
            continue;
        }
        if named(desired).await?.0 == *slot && desired.retired().await?.contains(&name) {
            views.drop(&name).await?;
            is_changed = true;
        }
    }
    Ok(is_changed)
}

/// Whether it is still this slot that readers shall see.
#[cfg(feature = "google")]
pub(crate) async fn names(desired: &dyn Desired, slot: &Slot) -> Result<bool, Error> {
    Ok(named(desired).await?.0 == *slot)
}

async fn named(desired: &dyn Desired) -> Result<(Slot, Publication), Error> {
    desired.desired().await?.ok_or_else(|| Error::internal("nothing is published; there is no view to move"))
}

/// Runs futures, at most so many at once, and ends at the first error. Results come in the order of the futures.
///
/// The iterator is used up before anything is awaited, so that what it borrows need not be sent between threads.
pub(crate) fn all<F, T>(
    at_once: usize,
    work: impl Iterator<Item = F>,
) -> stream::TryCollect<stream::Buffered<stream::Iter<std::vec::IntoIter<F>>>, Vec<T>>
where
    F: Future<Output = Result<T, Error>>,
{
    stream::iter(work.collect::<Vec<F>>()).buffered(at_once).try_collect()
}
