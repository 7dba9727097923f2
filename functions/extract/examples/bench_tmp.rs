#[derive(Debug)]
#[allow(dead_code)]
pub(crate) struct Measurement { pub name: String, pub value: f64, pub unit: &'static str, pub aim: Option<f64> }
#[path = "../../local/src/bench/extract.rs"]
mod bench;
fn main() {
    let rows = std::env::args().nth(1).unwrap().parse().unwrap();
    let folder = tempfile::tempdir_in("/tmp/x").unwrap();
    for m in bench::run(rows, folder.path()).unwrap() { println!("{:30} {:.3} {} {:?}", m.name, m.value, m.unit, m.aim); }
}
