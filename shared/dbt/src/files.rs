//! What decides a parse: files, versions and environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use serde_json::Value;
use wap::Digest;

use crate::digest::{Call, calls};
use crate::{Error, Settings, packages};

/// Folders that dbt writes itself.
const WRITTEN_BY_DBT: [&str; 3] = ["target", "logs", "__pycache__"];

/// Everything that the content of a parsed project depends on.
#[derive(Serialize)]
struct Inputs<'a> {
    worker: Digest,
    target: &'static str,
    target_name: &'a str,
    vars: &'a BTreeMap<String, Value>,
    versions: &'a BTreeMap<String, String>,
    environment: BTreeMap<&'a str, Option<&'a str>>,
    files: BTreeMap<String, Digest>,
}

/// The digest of everything that decides the parsed project.
pub(crate) fn parse_key(settings: &Settings, versions: &BTreeMap<String, String>) -> Result<Digest, Error> {
    let root = &settings.project_dir;
    if !root.join("dbt_project.yml").is_file() {
        return Err(Error::NotFound(format!("{} has no dbt_project.yml; name a dbt project's folder", root.display())));
    }
    let mut files = BTreeMap::new();
    let mut names = BTreeSet::new();
    let mut reads_all = false;
    let packages = packages::installed(settings)?.map_or_else(|| Ok(Vec::new()), |folder| packages::files(&folder))?;
    for (name, path) in list(root)?.into_iter().chain(packages) {
        let content = fs::read(&path).map_err(Error::file("read", &path))?;
        for call in calls(&String::from_utf8_lossy(&content), "env_var") {
            match call {
                Call::Named(name) => drop(names.insert(name)),
                Call::Computed => reads_all = true,
            }
        }
        files.insert(name, Digest::of(&content));
    }
    if reads_all {
        names.extend(settings.environment.keys().cloned());
    }
    let inputs = Inputs {
        worker: Digest::of(crate::worker::SCRIPT),
        target: settings.target.adapter(),
        target_name: &settings.target_name,
        vars: &settings.vars,
        versions,
        environment: names
            .iter()
            .map(|name| (name.as_str(), settings.environment.get(name).map(String::as_str)))
            .collect(),
        files,
    };
    Digest::of_json(&inputs).map_err(|error| Error::internal("failed to write the inputs of a parse", error))
}

/// All files of the project by their path below it. Packages that are links are followed, hidden files left out.
pub(crate) fn list(root: &Path) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut folders = vec![(String::new(), root.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        // A link to a folder above would go round for ever.
        if !seen.insert(folder.canonicalize().map_err(Error::file("read", &folder))?) {
            continue;
        }
        for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
            let entry = entry.map_err(Error::file("read", &folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || (prefix.is_empty() && WRITTEN_BY_DBT.contains(&name.as_str())) {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                folders.push((format!("{prefix}{name}/"), path));
            } else if path.is_file() {
                found.insert(format!("{prefix}{name}"), path);
            }
        }
    }
    Ok(found)
}

/// Versions of dbt and its adapters: read off the environment's folder of packages, which costs less than starting Python.
pub(crate) fn versions(python: &Path) -> Result<BTreeMap<String, String>, Error> {
    let library = python.parent().and_then(Path::parent).map(|root| root.join("lib"));
    let mut found = BTreeMap::new();
    for folder in library.and_then(|path| fs::read_dir(path).ok()).into_iter().flatten().flatten() {
        for package in fs::read_dir(folder.path().join("site-packages")).into_iter().flatten().flatten() {
            let name = package.file_name().to_string_lossy().into_owned();
            let version = name.strip_suffix(".dist-info").and_then(|name| name.split_once('-'));
            if let Some((package, version)) = version.filter(|(package, _)| package.starts_with("dbt_")) {
                found.insert(package.to_owned(), version.to_owned());
            }
        }
    }
    if found.contains_key("dbt_core") { Ok(found) } else { ask_versions(python) }
}

fn ask_versions(python: &Path) -> Result<BTreeMap<String, String>, Error> {
    const SCRIPT: &str = "import importlib.metadata as m, json; print(json.dumps({d.name.lower().replace('-', '_'): \
                          d.version for d in m.distributions() if d.name.lower().startswith('dbt')}))";
    let output = Command::new(python)
        .args(["-I", "-c", SCRIPT])
        .output()
        .map_err(|error| Error::Unavailable(format!("{} can't be started: {error}", python.display())))?;
    let versions: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if versions.contains_key("dbt_core") {
        return Ok(versions);
    }
    Err(Error::Unavailable(format!("{} has no dbt; install the project's requirements there", python.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn key(settings: &Settings) -> Result<Digest, Error> {
        parse_key(settings, &versions(&settings.python)?)
    }

    fn project() -> (tempfile::TempDir, Settings) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("dbt_project.yml"), "name: a").unwrap();
        fs::create_dir_all(folder.path().join("models/deep")).unwrap();
        fs::write(folder.path().join("models/deep/a.sql"), "select {{ env_var('LIMIT', '1') }}").unwrap();
        let library = folder.path().join(".env/lib/python3.11/site-packages");
        fs::create_dir_all(library.join("dbt_core-1.11.0.dist-info")).unwrap();
        let python = folder.path().join(".env/bin/python");
        let settings = Settings::new(folder.path(), python, folder.path().join("cache"), Target::Duckdb);
        (folder, settings)
    }

    #[test]
    fn the_key_changes_with_whatever_decides_the_parse_and_with_nothing_else() {
        let (folder, mut settings) = project();
        let mut keys = vec![key(&settings).unwrap()];

        fs::create_dir(folder.path().join("target")).unwrap();
        fs::write(folder.path().join("target/manifest.json"), "{}").unwrap();
        settings.environment.insert("OTHER".to_owned(), "1".to_owned());
        settings.threads = 9;
        assert_eq!(key(&settings).unwrap(), keys[0]);

        settings.environment.insert("LIMIT".to_owned(), "5".to_owned());
        keys.push(key(&settings).unwrap());
        settings.vars.insert("depth".to_owned(), Value::from(1));
        keys.push(key(&settings).unwrap());
        "dev".clone_into(&mut settings.target_name);
        keys.push(key(&settings).unwrap());
        fs::write(folder.path().join("models/deep/b.sql"), "").unwrap();
        keys.push(key(&settings).unwrap());
        fs::rename(folder.path().join("models/deep/b.sql"), folder.path().join("models/b.sql")).unwrap();
        keys.push(key(&settings).unwrap());
        fs::create_dir(folder.path().join(".env/lib/python3.11/site-packages/dbt_duckdb-1.11.1.dist-info")).unwrap();
        keys.push(key(&settings).unwrap());

        let distinct: BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn a_computed_name_makes_the_whole_environment_count() {
        let (folder, mut settings) = project();
        fs::write(folder.path().join("models/c.sql"), "{{ env_var(name) }}").unwrap();
        let before = key(&settings).unwrap();
        settings.environment.insert("OTHER".to_owned(), "1".to_owned());
        assert_ne!(key(&settings).unwrap(), before);
    }

    #[test]
    fn a_link_to_a_folder_above_ends() {
        let (folder, settings) = project();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("models/up")).unwrap();
        key(&settings).unwrap();
    }

    #[test]
    fn a_folder_without_a_project_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path(), "python", folder.path(), Target::Duckdb);
        assert!(matches!(parse_key(&settings, &BTreeMap::new()), Err(Error::NotFound(_))));
    }
}
