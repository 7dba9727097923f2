fn hwm() -> String { std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned() }
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let home = std::path::Path::new("/tmp/x/wide");
    let pipeline = pipeline::Pipeline::read(home.join("p.yaml")).unwrap();
    let _ = std::fs::remove_dir_all(home.join("bucket"));
    let state = state::State::new(std::sync::Arc::new(store::Folder::open(home.join("bucket")).unwrap()), std::time::Duration::from_secs(60));
    let t = std::time::Instant::now();
    let r = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(extract::extract(&pipeline, home, &state, pipeline.table(&name).unwrap(), &wap::PartitionKey::all(), jiff::Timestamp::now()));
    match r { Ok(m) => println!("{name} rows {} bytes {} objects {}", m[0].rows, m[0].bytes, m[0].objects.len()), Err(e) => println!("{e} {:?}", std::error::Error::source(&e)) }
    println!("{name} {:.2}s {}", t.elapsed().as_secs_f64(), hwm());
}
