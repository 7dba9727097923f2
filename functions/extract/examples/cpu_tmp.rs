#![allow(warnings, clippy::all, clippy::pedantic)]
#[derive(Debug)]
#[allow(dead_code)]
pub(crate) struct Measurement {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub aim: Option<f64>,
}
mod bench {
    include!("/tmp/x/bench_pub.rs");
}
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
fn hwm() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned()
}
fn main() {
    let mut a = std::env::args().skip(1);
    let mode = a.next().unwrap();
    let rows: u64 = a.next().unwrap().parse().unwrap();
    let folder = std::path::PathBuf::from(format!("/tmp/x/cpu-{rows}"));
    std::fs::create_dir_all(&folder).unwrap();
    if !folder.join("bench.duckdb").exists() {
        bench::make_source(&folder.join("bench.duckdb"), rows).unwrap();
        return;
    }
    let pipeline = pipeline::Pipeline::parse("x", bench::PIPELINE).unwrap();
    for i in 0..6 {
        let mode = if mode == "both" { if i % 2 == 0 { "copy" } else { "extract" } } else { mode.as_str() };
        let (c, t) = (cpu(), std::time::Instant::now());
        let bytes = if mode == "copy" {
            bench::copy(&folder).unwrap();
            std::fs::metadata(folder.join("copy.parquet")).unwrap().len()
        } else {
            let lake = folder.join("lake");
            let _ = std::fs::remove_dir_all(&lake);
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap()
                .block_on(bench::extract(&pipeline, &folder, &lake))
                .unwrap()
                .bytes
        };
        println!("{mode} cpu {:.2} wall {:.2} bytes {bytes} {}", cpu() - c, t.elapsed().as_secs_f64(), hwm());
    }
}
