//! Exploration.

use simulation::night;
use wap::guard::{Guard, without};

#[test]
fn explore() {
    for guard in Guard::ALL {
        let start = std::time::Instant::now();
        let mut found = None;
        for seed in 0..150 {
            let night = without(&[*guard], || std::panic::catch_unwind(|| night(seed)));
            match night {
                Ok(night) if night.violations.is_empty() => {}
                Ok(night) => {
                    found = Some((seed, night.violations[0].clone()));
                    break;
                }
                Err(_) => {
                    found = Some((seed, "panic".to_owned()));
                    break;
                }
            }
        }
        println!("{guard}: {found:?} {:?}", start.elapsed());
    }
}
