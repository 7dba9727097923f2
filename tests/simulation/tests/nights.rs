//! Nights by chance. `BGP_SEED=N` lives through one night again, `BGP_SEEDS=N` through so many.

use simulation::night;

#[test]
fn one_seed() {
    let start = std::time::Instant::now();
    for seed in 0..20 {
        let night = night(seed);
        println!("{seed} {:?} {} {:?} {:?}", start.elapsed(), night.calls, night.seen, night.violations);
    }
}
