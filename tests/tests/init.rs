//! What `bgp init` proposes works as it is: a table of a source, and a whole dbt project that somebody has written already.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use duckdb::Connection;
use end_to_end::{Output, Sandbox, copy_folder, program, repository, snapshot};

/// The source of the tests' project, with what ten days brought.
fn write_source(file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let connection = Connection::open(file).unwrap();
    connection
        .execute_batch(
            "create schema till;
             create table till.visits (visit_id bigint primary key, guest_id integer, country varchar, minutes decimal(6, 1), \
               seen_at timestamp not null, took interval);
             insert into till.visits select day * 10 + number, number, case number when 0 then 'CA' else 'DE' end, day + number / 2, \
               timestamp '2025-03-01' + interval (day) day + interval (number) hour, interval 1 hour \
               from range(10) d(day), range(4) n(number);
             create table till.guests as select range::integer as guest_id, 'guest ' || range as full_name from range(4);",
        )
        .unwrap();
}

/// Runs the program where there may be no pipeline file yet.
fn bgp(folder: &Path, arguments: &[&str]) -> Output {
    let config = folder.join("pipeline.yaml");
    let home = folder.join("home");
    let mut command = Command::new(program());
    command.arg("--config").arg(config).arg("--home").arg(home).args(arguments);
    command.output().unwrap().into()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"];
    let output = Command::new("git").arg("-C").arg(folder).args(who).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A git repository with the files of a folder, and its commit.
fn commit(from: &Path, to: &Path) -> String {
    copy_folder(from, to);
    git(to, &["init", "--quiet"]);
    git(to, &["add", "--all"]);
    git(to, &["commit", "--quiet", "--message", "all"]);
    git(to, &["rev-parse", "HEAD"])
}

/// A project of somebody else's, with a package from git and one from a folder, and a source for it.
fn cafe(folder: &Path) {
    let revision = commit(&repository().join("tests/cafe/packages/units"), &folder.join("units"));
    copy_folder(&repository().join("tests/cafe/packages/greetings"), &folder.join("greetings"));
    copy_folder(&repository().join("tests/cafe/project"), &folder.join("cafe"));
    let packages = format!(
        "packages:\n  - local: ../greetings\n  - git: {}\n    revision: {revision}\n",
        folder.join("units").display()
    );
    fs::write(folder.join("cafe/packages.yml"), packages).unwrap();
    write_source(&folder.join("home/source/shop.duckdb"));
}

fn rows(output: &Output) -> Vec<serde_json::Value> {
    output.json().as_array().unwrap().clone()
}

#[test]
fn a_table_that_was_proposed_is_extracted_and_nothing_else_of_the_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    write_source(&folder.path().join("home/source/shop.duckdb"));
    let models = folder.path().join("dbt/models");
    fs::create_dir_all(&models).unwrap();
    fs::write(folder.path().join("dbt/dbt_project.yml"), "name: shop\nmodels: {shop: {+materialized: table}}\n")
        .unwrap();
    fs::write(models.join("shop.yml"), "sources: [{name: raw, tables: [{name: visits}]}]\n").unwrap();
    fs::write(models.join("stays.sql"), "select visit_id, minutes from {{ source('raw', 'visits') }}\n").unwrap();
    let file = "# by hand\nversion: 1\nname: shop\ntime_zone: UTC\nstart: 2025-03-01\n\
                sources: {till: {kind: duckdb, path: source/shop.duckdb}} # the till\n\ndbt: {publish: [models]}\n";
    fs::write(folder.path().join("pipeline.yaml"), file).unwrap();
    let table = ["init", "table", "visits", "--relation", "till.visits"];
    let shown = bgp(folder.path(), &table).ok();
    assert!(shown.stdout.starts_with("visits:\n  source: till\n  relation: till.visits\n"), "{}", shown.stdout);
    assert!(shown.stderr.contains("took (INTERVAL)"), "{}", shown.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("pipeline.yaml")).unwrap(), file);
    bgp(folder.path(), &[&table[..], &["--write"]].concat()).ok();
    let written = fs::read_to_string(folder.path().join("pipeline.yaml")).unwrap();
    assert!(written.starts_with(file), "{written}");
    bgp(folder.path(), &[&table[..], &["--write"]].concat()).refused("tables.visits");
    bgp(folder.path(), &["init", "table", "nobody"]).refused("nobody");
    bgp(folder.path(), &["run", "daily", "--partition", "2025-03-01"]).ok();
    let seen = bgp(folder.path(), &["sql", "--json", "select count(*) as rows from live.stays"]).ok();
    assert_eq!(rows(&seen)[0]["rows"], 4);
}

#[test]
fn a_project_of_somebody_else_goes_through_ten_cycles_unedited() {
    let folder = tempfile::tempdir().unwrap();
    cafe(folder.path());
    let before = snapshot(&folder.path().join("cafe"));
    let project = folder.path().join("cafe");
    let source = folder.path().join("home/source/shop.duckdb");
    let init = ["init", "--dbt", project.to_str().unwrap(), "--source", source.to_str().unwrap()];
    let proposed = bgp(folder.path(), &init).ok();
    assert!(proposed.stderr.contains("visits: left out: took (INTERVAL)"), "{}", proposed.stderr);
    assert!(proposed.stderr.contains("source.cafe.till.unused is read by nothing"), "{}", proposed.stderr);
    let file = fs::read_to_string(folder.path().join("pipeline.yaml")).unwrap();
    for line in [
        "start: 2025-03-01 # a guess: the first day that has a partition",
        "  till: {kind: duckdb, path: source/shop.duckdb}",
        "    relation: till.visits",
        "    key: [visit_id] # the primary key in the source",
        "    cursor: {column: seen_at}",
        "  layers: [snapshots, staging, marts] # folders, one dbt call each",
        "  publish: [models/marts] # a guess: the folders or models whose tables readers see",
    ] {
        assert!(file.lines().any(|found| found == line), "{line:?} is not in:\n{file}");
    }
    bgp(folder.path(), &init).refused("is there already");

    let run = bgp(folder.path(), &["backfill", "--from", "2025-03-01", "--to", "2025-03-10", "--json"]).ok();
    assert_eq!(run.stdout.matches("\"published\"").count(), 10, "{}", run.stdout);
    let sums = "select country_name, visits, hours, greeting from live.countries order by 1";
    let seen = rows(&bgp(folder.path(), &["sql", "--json", sums]).ok());
    let expected = |country: &str, visits: u64, hours: &str| serde_json::json!({"country_name": country, "visits": visits, "hours": hours, "greeting": format!("hello {country}")});
    assert_eq!(seen, [expected("Canada", 10, "0.75"), expected("Germany", 30, "2.75")]);
    assert_eq!(snapshot(&folder.path().join("cafe")), before, "nothing of the project was written");
}

#[test]
fn a_project_at_a_commit_in_git_is_the_same_whatever_is_committed_later() {
    let folder = tempfile::tempdir().unwrap();
    cafe(folder.path());
    let repository = folder.path().join("repository");
    fs::create_dir_all(repository.join("transform")).unwrap();
    // Without packages: what those are relative to is the project's own folder.
    copy_folder(&folder.path().join("cafe"), &repository.join("transform"));
    fs::remove_file(repository.join("transform/packages.yml")).unwrap();
    copy_folder(&folder.path().join("greetings"), &repository.join("transform/dbt_packages/greetings"));
    copy_folder(&folder.path().join("units"), &repository.join("transform/dbt_packages/units"));
    fs::remove_dir_all(repository.join("transform/dbt_packages/units/.git")).unwrap();
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["add", "--all", "--force"]);
    git(&repository, &["commit", "--quiet", "--message", "first"]);
    let revision = git(&repository, &["rev-parse", "HEAD"]);
    let project = folder.path().join("cafe");
    let source = folder.path().join("home/source/shop.duckdb");
    let init = ["init", "--dbt", project.to_str().unwrap(), "--source", source.to_str().unwrap()];
    bgp(folder.path(), &init).ok();
    let config = folder.path().join("pipeline.yaml");
    let at = format!("  git: {}\n  revision: {revision}\n  subdirectory: transform\n", repository.display());
    let file = fs::read_to_string(&config).unwrap();
    let own = "  project: cafe\n";
    assert!(file.contains(own), "{file}");
    fs::write(&config, file.replace(own, &at)).unwrap();

    bgp(folder.path(), &["run", "daily", "--partition", "2025-03-01"]).ok();
    fs::write(repository.join("transform/models/marts/countries.sql"), "select 1 as broken").unwrap();
    git(&repository, &["commit", "--all", "--quiet", "--message", "second"]);
    let again = bgp(folder.path(), &["run", "daily", "--partition", "2025-03-01"]).ok();
    assert!(again.stdout.contains("already published"), "{}", again.stdout);
    let nowhere = file.replace(own, &at.replace(&revision, &"f".repeat(40)));
    fs::write(&config, nowhere).unwrap();
    bgp(folder.path(), &["run", "daily", "--partition", "2025-03-02"]).refused("has no commit");
}

#[test]
fn what_can_t_be_mapped_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    cafe(folder.path());
    let project = folder.path().join("cafe");
    let init = |source: Option<&str>| {
        let mut arguments = vec!["init", "--dbt", project.to_str().unwrap()];
        arguments.extend(source.iter().flat_map(|source| ["--source", source]));
        bgp(folder.path(), &arguments)
    };
    init(None).refused("source.cafe.till.visits: the project does not say its columns");
    let source = folder.path().join("home/source/shop.duckdb");
    let source = source.to_str();

    // Folders that read each other are built in one call, and whoever wrote them is told.
    let marts = project.join("models/marts");
    let staging = project.join("models/staging");
    fs::write(staging.join("late.sql"), "select * from {{ ref('countries') }}").unwrap();
    let told = init(source).ok().stderr;
    assert!(
        told.contains("no layers: the folders read each other")
            && told.contains("model.cafe.late reads model.cafe.countries"),
        "{told}"
    );
    fs::remove_file(staging.join("late.sql")).unwrap();
    let config = folder.path().join("pipeline.yaml");
    assert!(!fs::read_to_string(&config).unwrap().contains("layers:"));
    fs::remove_file(&config).unwrap();

    fs::write(marts.join("later.py"), "def model(dbt, session):\n    return dbt.ref('countries')\n").unwrap();
    init(source).refused("model.cafe.later is a Python model");
    fs::remove_file(marts.join("later.py")).unwrap();

    // A relation that nobody follows is found when the model is built, and nothing is published.
    fs::write(marts.join("direct.sql"), "select * from staging.stg_visits").unwrap();
    init(source).ok();
    let refused = bgp(folder.path(), &["run", "daily", "--partition", "2025-03-01"]).refused("model.cafe.direct reads");
    assert!(refused.stderr.contains("use ref or source"), "{}", refused.stderr);
    let status = Sandbox::of(&config);
    let record = bgp(folder.path(), &["status", "--json"]).ok().json();
    assert!(record["record"]["live"].is_null(), "{:?}", status.config());
}

/// The same project after any number of runs has the same parse: what was installed beside it counts, too.
#[test]
fn a_package_in_a_folder_that_changes_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    cafe(folder.path());
    let project = folder.path().join("cafe");
    let source = folder.path().join("home/source/shop.duckdb");
    bgp(folder.path(), &["init", "--dbt", project.to_str().unwrap(), "--source", source.to_str().unwrap()]).ok();
    bgp(folder.path(), &["run", "daily", "--partition", "2025-03-01"]).ok();
    let again = bgp(folder.path(), &["run", "daily", "--partition", "2025-03-01"]).ok();
    assert!(again.stdout.contains("already published"), "{}", again.stdout);
    let macros = folder.path().join("greetings/macros/greet.sql");
    let text = fs::read_to_string(&macros).unwrap();
    fs::write(&macros, text.replace("hello", "welcome")).unwrap();
    bgp(folder.path(), &["run", "daily", "--partition", "2025-03-01"]).ok();
    let greetings = "select distinct split_part(greeting, ' ', 1) as word from live.countries";
    let seen = rows(&bgp(folder.path(), &["sql", "--json", greetings]).ok());
    let words: BTreeMap<usize, &serde_json::Value> = seen.iter().map(|row| &row["word"]).enumerate().collect();
    assert_eq!(words, [(0, &serde_json::json!("welcome"))].into());
}
