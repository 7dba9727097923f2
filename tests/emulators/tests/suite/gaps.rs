//! The declared gaps of the emulators.

use emulators::gaps::{ALL, Bare};
use emulators::{Emulators, Environment, Options};

/// A cloud of its own: the bare emulator has one connection, which the probes must have to themselves.
#[tokio::test]
async fn every_declared_gap_is_still_open() {
    let Some(environment) = Environment::for_tests() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cloud = Emulators::start(Options::new(folder.path(), environment)).await.unwrap();
    let bare = Bare::of(cloud.endpoints());
    let mut healed = Vec::new();
    for gap in ALL {
        if !gap.is_open(&bare).await.unwrap() {
            healed.push((gap.name, gap.filled_by));
        }
    }
    assert!(healed.is_empty(), "these gaps are closed; take them off the list with what fills them: {healed:#?}");
    cloud.stop().await;
}
