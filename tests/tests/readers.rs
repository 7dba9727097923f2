//! Readers are never interrupted and never see a mixture.

use end_to_end::{Readers, Sandbox};

#[test]
fn readers_see_whole_cycles_and_no_error() {
    let sandbox = Sandbox::retail();
    let readers = Readers::start(&sandbox, 3);
    sandbox.run(&["backfill", "--from", "2025-08-01", "--to", "2025-08-04"]).ok();
    for seen in readers.stop() {
        assert!(seen["reads"].as_u64().unwrap() >= 4, "{seen}");
        assert_eq!(seen["cycles"].as_array().unwrap().last().unwrap(), 4, "{seen}");
    }
}
