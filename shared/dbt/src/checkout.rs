//! A project that is kept in a git repository: the files of one commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wap::Digest;

use crate::Error;

/// Where a project's files come from, and of which commit they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    /// As `git clone` takes it.
    pub url: String,
    /// A commit by its whole name: 40 hexadecimal digits, or 64. A branch or tag would be another project tomorrow.
    pub revision: String,
    /// The folder of the project in the repository; empty for its root.
    pub subdirectory: String,
}

impl GitSource {
    /// The folder of the project once it is there. One a repository and commit; it never changes.
    pub fn folder(&self, cache: &Path) -> PathBuf {
        self.tree(cache).join(&self.subdirectory)
    }

    fn tree(&self, cache: &Path) -> PathBuf {
        cache.join(format!("git-{}-{}", Digest::of(&self.url), self.revision))
    }

    /// Brings the files of the commit, if they are not there yet.
    pub(crate) fn check_out(&self, cache: &Path) -> Result<(), Error> {
        let tree = self.tree(cache);
        if tree.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(cache).map_err(Error::file("make", cache))?;
        let made = tempfile::Builder::new().prefix("git-").tempdir_in(cache).map_err(Error::file("write in", cache))?;
        let folder = made.path();
        git(folder, &["init", "--quiet"]).map_err(|error| self.unreachable(&error))?;
        // A server may give out only what a branch or tag names; then all of them are fetched.
        let alone = ["fetch", "--quiet", "--depth", "1", "--", &self.url, &self.revision];
        let everything = ["fetch", "--quiet", "--tags", "--", &self.url, "+refs/heads/*:refs/remotes/origin/*"];
        if git(folder, &alone).is_err() {
            git(folder, &everything).map_err(|error| self.unreachable(&error))?;
        }
        let checkout = ["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", &self.revision];
        git(folder, &checkout).map_err(|error| {
            Error::NotFound(format!("{} has no commit {}: {error}; correct dbt.revision", self.url, self.revision))
        })?;
        let project = folder.join(&self.subdirectory);
        if !project.join("dbt_project.yml").is_file() {
            let place = if self.subdirectory.is_empty() { "its root" } else { &self.subdirectory };
            return Err(Error::NotFound(format!(
                "{} has no dbt_project.yml in {place} at commit {}; correct dbt.subdirectory",
                self.url, self.revision
            )));
        }
        fs::remove_dir_all(folder.join(".git")).map_err(Error::file("remove", folder.join(".git")))?;
        match fs::rename(folder, &tree) {
            Ok(()) => drop(made.keep()),
            // Another process may have brought the same.
            Err(_) if tree.is_dir() => {}
            Err(error) => return Err(Error::file("write", tree)(error)),
        }
        Ok(())
    }

    fn unreachable(&self, error: &str) -> Error {
        Error::Unavailable(format!(
            "{} can't be fetched: {error}; check dbt.git and that this machine may read it",
            self.url
        ))
    }
}

/// Runs git in a folder. What it says is in the error.
fn git(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        // A file of the repository must not run a program, and a URL neither.
        .args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never"])
        .args(arguments)
        // Nobody is there to type a password. Settings of a repository that this process was started in are not ours.
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .map_err(|error| format!("git can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("git said nothing").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(folder: &Path, content: &str) -> String {
        fs::create_dir_all(folder.join("transform")).unwrap();
        fs::write(folder.join("transform/dbt_project.yml"), content).unwrap();
        say(folder, &["add", "--all"]);
        say(folder, &["commit", "--quiet", "--message", "a change"]);
        say(folder, &["rev-parse", "HEAD"])
    }

    #[test]
    fn the_files_are_those_of_the_commit_whatever_comes_later() {
        let (repository, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        say(repository.path(), &["init", "--quiet"]);
        let first = commit(repository.path(), "name: first");
        let second = commit(repository.path(), "name: second");
        let source = |revision: &str, subdirectory: &str| GitSource {
            url: repository.path().display().to_string(),
            revision: revision.to_owned(),
            subdirectory: subdirectory.to_owned(),
        };
        for (revision, content) in [(&first, "name: first"), (&second, "name: second")] {
            let source = source(revision, "transform");
            source.check_out(cache.path()).unwrap();
            let file = source.folder(cache.path()).join("dbt_project.yml");
            assert_eq!(fs::read_to_string(file).unwrap(), content);
        }
        // What is there is not asked for again.
        fs::remove_dir_all(repository.path().join(".git")).unwrap();
        source(&first, "transform").check_out(cache.path()).unwrap();
        let unknown = source(&"0".repeat(40), "transform").check_out(cache.path()).unwrap_err();
        assert!(matches!(unknown, Error::Unavailable(_)), "{unknown}");
    }

    #[test]
    fn a_commit_or_a_folder_that_is_not_there_is_named() {
        let (repository, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        say(repository.path(), &["init", "--quiet"]);
        let revision = commit(repository.path(), "name: first");
        let source = |revision: &str, subdirectory: &str| GitSource {
            url: repository.path().display().to_string(),
            revision: revision.to_owned(),
            subdirectory: subdirectory.to_owned(),
        };
        let error = source(&"0".repeat(40), "transform").check_out(cache.path()).unwrap_err().to_string();
        assert!(error.contains(&"0".repeat(40)) && error.contains("dbt.revision"), "{error}");
        let error = source(&revision, "other").check_out(cache.path()).unwrap_err().to_string();
        assert!(error.contains("other") && error.contains("dbt.subdirectory"), "{error}");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
