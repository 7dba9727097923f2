//! The dataset that people read: views with etags, moved one by one.

use std::sync::Arc;

use async_trait::async_trait;
use wap::{Digest, Identifier, Slot};
use warehouse::{DEPLOYMENT, Desired, Error, Publication, Views};

use super::warehouse::OWN_SCHEMA;
use super::{View, World};
use crate::observed::lost;
use crate::{Call, Process};

/// The views as one process reaches them.
#[derive(Debug)]
pub(super) struct LiveViews<'a> {
    pub(super) world: &'a Arc<World>,
    pub(super) process: &'a Arc<Process>,
}

/// A view as it shall be.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    name: String,
    view: View,
}

#[async_trait]
impl Views for LiveViews<'_> {
    type Wanted = Wanted;
    type Found = View;

    fn wanted(&self, slot: &Slot, publication: &Publication) -> Vec<Wanted> {
        let own = (DEPLOYMENT.to_owned(), (OWN_SCHEMA.to_owned(), DEPLOYMENT.to_owned()));
        let views = publication
            .views
            .iter()
            .map(|view| (view.name.to_string(), (view.schema.as_str().to_owned(), view.relation.as_str().to_owned())));
        views
            .chain([own])
            .map(|(name, target)| {
                let definition = Digest::of(format!("{} {target:?}", slot.name()));
                Wanted { name, view: View { slot: slot.name(), target, definition, etag: 0 } }
            })
            .collect()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Option<View>, Error> {
        let found = async { Ok(self.world.lock().views.get(&wanted.name).cloned()) };
        self.process.call_here(Call::ViewFind, &wanted.name, lost(Call::ViewFind), found).await
    }

    fn is_so(&self, wanted: &Wanted, found: &View) -> bool {
        wanted.view.definition == found.definition
    }

    async fn change(&self, wanted: &Wanted, found: Option<&View>) -> Result<bool, Error> {
        let (world, owned, etag) = (self.world.clone(), wanted.clone(), found.map(|view| view.etag));
        let work = async move {
            world.change(|inner| {
                if inner.views.get(&owned.name).map(|view| view.etag) != etag {
                    *inner.seen.entry("412 on a view").or_default() += 1;
                    return Ok(false);
                }
                let target = inner.slots.get(&owned.view.slot).and_then(|slot| slot.relations.get(&owned.view.target));
                if target.is_none() {
                    return Err(Error::rejected(format!("view {} would show what is not there", owned.name)));
                }
                let etag = inner.tick();
                inner.views.insert(owned.name, View { etag, ..owned.view });
                Ok(true)
            })
        };
        self.process.call(Call::ViewChange, &wanted.name, lost(Call::ViewChange), work).await
    }

    async fn is_ours(&self, name: &Identifier) -> Result<bool, Error> {
        let found = async { Ok(self.world.lock().views.contains_key(name.as_str())) };
        self.process.call_here(Call::ViewIsOurs, name.as_str(), lost(Call::ViewIsOurs), found).await
    }

    async fn drop(&self, name: &Identifier) -> Result<(), Error> {
        let (world, owned) = (self.world.clone(), name.to_string());
        let work = async move {
            world.change(|inner| {
                if inner.record().is_none_or(|record| !record.retired.iter().any(|retired| retired.as_str() == owned)) {
                    inner.violated(format!("view {owned} was taken from readers, and nobody had given it up"));
                }
                inner.views.remove(&owned);
            });
            Ok(())
        };
        self.process.call(Call::ViewDrop, name.as_str(), lost(Call::ViewDrop), work).await
    }

    async fn label(&self, _: &Slot, _: &dyn Desired) -> Result<(), Error> {
        self.process.call_here(Call::ViewLabel, "", lost(Call::ViewLabel), async { Ok(()) }).await
    }
}
