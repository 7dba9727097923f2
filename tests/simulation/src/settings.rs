//! How much is asked of the tests, and where their figures go.

#![expect(clippy::disallowed_methods, reason = "tests are told by ./bgp what to do")]

use std::env;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// Whether the exhaustive form is wanted: `./bgp verify --full`.
pub fn is_full() -> bool {
    env::var_os("BGP_TEST_FULL").is_some()
}

/// The one night that is wanted: `./bgp verify --seed N`.
pub fn seed() -> Option<u64> {
    env::var("BGP_SEED").ok().map(|seed| seed.parse().expect("BGP_SEED is a number"))
}

/// Leaves figures for the report, if one is made: `NAME.json` in the folder `BGP_REPORT`.
pub fn report(name: &str, figures: &Value) {
    if let Some(folder) = env::var_os("BGP_REPORT").map(PathBuf::from) {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.json")), format!("{figures}\n")).unwrap();
    }
}
