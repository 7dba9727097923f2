//! Packages that a project names and does not bring along.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wap::Digest;

use crate::files::list;
use crate::{Error, Settings};

/// Installs packages into a folder, without a change to the project.
const SCRIPT: &str = include_str!("../worker/packages.py");

/// What decides which packages are installed.
const DECLARED_IN: [&str; 3] = ["packages.yml", "dependencies.yml", "package-lock.yml"];

/// The folder with the packages of the project, where that has none of its own: they are installed once for each state of the
/// files that name them. None where the project names no package or has brought them along.
pub(crate) fn installed(settings: &Settings) -> Result<Option<PathBuf>, Error> {
    let project = &settings.project_dir;
    let Some(declared) = declared(project)? else { return Ok(None) };
    if has_entries(&project.join(own_folder(project))) {
        return Ok(None);
    }
    let folder = settings.cache_dir.join(format!("packages-{}", Digest::of(declared)));
    if !folder.is_dir() {
        install(settings, &folder)?;
    }
    std::path::absolute(folder.join("dbt_packages")).map(Some).map_err(Error::file("find", folder))
}

/// The text of the files that name packages, and where they are looked for. None where no package is named.
fn declared(project: &Path) -> Result<Option<String>, Error> {
    let mut all = format!("{}\n", project.display());
    let mut names_some = false;
    for name in DECLARED_IN {
        let path = project.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::file("read", path)(error)),
        };
        // `dependencies.yml` may name other projects only, of which dbt's own service knows more.
        names_some |= name != "package-lock.yml" && text.lines().any(|line| line.starts_with("packages:"));
        all.push_str(&format!("{name}\n{text}\n"));
    }
    Ok(names_some.then_some(all))
}

/// Where the project itself keeps packages.
fn own_folder(project: &Path) -> String {
    let text = fs::read_to_string(project.join("dbt_project.yml")).unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("packages-install-path:"));
    let named = named.map(|value| value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']));
    named.filter(|value| !value.is_empty()).unwrap_or("dbt_packages").to_owned()
}

fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn install(settings: &Settings, folder: &Path) -> Result<(), Error> {
    let cache = &settings.cache_dir;
    fs::create_dir_all(cache).map_err(Error::file("make", cache))?;
    let made =
        tempfile::Builder::new().prefix("packages-").tempdir_in(cache).map_err(Error::file("write in", cache))?;
    let project = std::path::absolute(&settings.project_dir).map_err(Error::file("find", &settings.project_dir))?;
    let output = Command::new(&settings.python)
        .args(["-I", "-X", "utf8", "-c", SCRIPT])
        .args([&project, &made.path().to_path_buf()])
        // Nobody is there to type a password.
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .map_err(|error| Error::Unavailable(format!("{} can't be started: {error}", settings.python.display())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned();
        return Err(Error::Unavailable(format!(
            "the packages of {} could not be installed: {reason}; install them there with `dbt deps`, or check that they can be \
             reached",
            settings.project_dir.display()
        )));
    }
    // A package may be installed that has nothing in it.
    fs::create_dir_all(made.path().join("dbt_packages")).map_err(Error::file("make", made.path()))?;
    match fs::rename(made.path(), folder) {
        Ok(()) => drop(made.keep()),
        // Another process may have installed the same.
        Err(_) if folder.is_dir() => {}
        Err(error) => return Err(Error::file("write", folder)(error)),
    }
    Ok(())
}

/// The files of installed packages by their path in the project, for what decides a parse.
pub(crate) fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    Ok(list(folder)?.into_iter().map(|(name, path)| (format!("dbt_packages/{name}"), path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_those_of_the_projects_own_folder_where_it_has_them() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(declared(folder.path()).unwrap(), None);
        fs::write(folder.path().join("dependencies.yml"), "projects:\n  - name: other\n").unwrap();
        assert_eq!(declared(folder.path()).unwrap(), None);
        fs::write(folder.path().join("packages.yml"), "packages:\n  - local: ../one\n").unwrap();
        assert!(declared(folder.path()).unwrap().unwrap().contains("../one"));
        assert_eq!(own_folder(folder.path()), "dbt_packages");
        fs::write(folder.path().join("dbt_project.yml"), "name: a\npackages-install-path: \"lib\" # here\n").unwrap();
        assert_eq!(own_folder(folder.path()), "lib");
        fs::create_dir_all(folder.path().join("lib/one")).unwrap();
        let settings = Settings::new(folder.path(), "no-python", folder.path().join("cache"), crate::Target::Duckdb);
        assert_eq!(installed(&settings).unwrap(), None);
    }
}
