//! What is checked of a manifest that somebody put in the bucket, before anything is loaded. All that is wrong is listed:
//! whoever wrote it is elsewhere, and should not have to come back for each line.

use std::collections::BTreeSet;

use pipeline::Table;
use service::{Kind, Platform, Problem};
use wap::{Digest, Identifier, LAKE_VERSION, Manifest, ManifestObject, PartitionKey};

use crate::load;

/// Where manifests are.
pub(crate) const MANIFESTS: &str = "manifests/";

/// What the key of a manifest says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) table: Identifier,
    pub(crate) partition: PartitionKey,
    pub(crate) digest: Digest,
}

impl Named {
    /// Reads `manifests/TABLE/PARTITION/DIGEST.json`.
    pub(crate) fn of(key: &str) -> Result<Self, Problem> {
        let parts: Vec<&str> = key.trim_start_matches(MANIFESTS).split('/').collect();
        let named = || {
            let [table, partition, file] = parts.as_slice() else { return None };
            Some(Self {
                table: Identifier::new(*table).ok()?,
                partition: PartitionKey::new(*partition).ok()?,
                digest: Digest::new(file.strip_suffix(".json")?).ok()?,
            })
        };
        named().ok_or_else(|| refused(key, &["its key is not manifests/TABLE/PARTITION/DIGEST.json".to_owned()]))
    }

    pub(crate) fn key(&self) -> String {
        Manifest::key(&self.table, &self.partition, &self.digest)
    }
}

/// Checks the manifest at `named` against its key, the pipeline file and the objects that it names.
pub(crate) async fn check(platform: &Platform, named: &Named) -> Result<Manifest, Problem> {
    let key = named.key();
    let content = platform.store.get(&key).await?.content;
    let manifest: Manifest = serde_json::from_slice(&content)
        .map_err(|error| refused(&key, &[format!("it is not in the format of a manifest: {error}")]))?;
    let mut wrong = identity(named, &manifest);
    match platform.pipeline.table(named.table.as_str()) {
        Ok(table) => wrong.extend(content_of(table, &manifest)),
        Err(error) => wrong.push(error.to_string()),
    }
    for object in &manifest.objects {
        wrong.extend(object_of(platform, object).await?);
    }
    if wrong.is_empty() { Ok(manifest) } else { Err(refused(&key, &wrong)) }
}

fn refused(key: &str, wrong: &[String]) -> Problem {
    let detail = format!("the manifest {key} is refused: {}; correct it and put it there again", wrong.join("; "));
    Problem::new(Kind::Rejected, "manifest", detail)
}

/// The manifest against its key and its own figures.
fn identity(named: &Named, manifest: &Manifest) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut differs = |what: &str, says: &dyn ToString, wanted: &dyn ToString| {
        let (says, wanted) = (says.to_string(), wanted.to_string());
        if says != wanted {
            wrong.push(format!("its {what} is {says} and should be {wanted}"));
        }
    };
    differs("version", &manifest.version, &LAKE_VERSION);
    differs("table", &manifest.table, &named.table);
    differs("partition", &manifest.partition, &named.partition);
    differs("digest", &manifest.digest, &named.digest);
    let (rows, bytes) = manifest.objects.iter().fold((0_u128, 0_u128), |(rows, bytes), object| {
        (rows + u128::from(object.rows), bytes + u128::from(object.bytes))
    });
    differs("number of rows", &manifest.rows, &rows);
    differs("number of bytes", &manifest.bytes, &bytes);
    let mut seen = BTreeSet::new();
    for object in &manifest.objects {
        if !seen.insert(&object.key) {
            wrong.push(format!("object {} is named twice", object.key));
        }
    }
    wrong
}

/// The manifest against the table's contract.
fn content_of(table: &Table, manifest: &Manifest) -> Vec<String> {
    let mut wrong = load::differences(table, manifest);
    let window = if manifest.partition == PartitionKey::all() {
        table.calendar.window(&manifest.partition).map(|_| None)
    } else {
        table.calendar.window(&manifest.partition).map(|window| Some((window.start, window.end)))
    };
    match window {
        Ok(window) if window == manifest.window => {}
        Ok(Some((start, end))) => wrong.push(format!("its window should be from {start} to {end}")),
        Ok(None) => wrong.push("it should have no window".to_owned()),
        Err(error) => wrong.push(error.to_string()),
    }
    let names = manifest.sums.keys().filter(|name| table.column(name.as_str()).is_none());
    wrong.extend(names.map(|name| format!("it sums {name}, which is no column of the contract")));
    wrong
}

/// An object against the store. Its checksum is compared while it is loaded.
async fn object_of(platform: &Platform, object: &ManifestObject) -> Result<Option<String>, Problem> {
    let ManifestObject { key, generation, bytes, .. } = object;
    Ok(match platform.store.head(key).await {
        Ok(found) if found.bytes != *bytes => {
            Some(format!("object {key} has {} bytes and should have {bytes}", found.bytes))
        }
        Ok(found) if found.generation != *generation => {
            Some(format!("object {key} has generation {} and should have {generation}", found.generation))
        }
        Ok(_) => None,
        Err(store::Error::NotFound { .. }) => Some(format!("object {key} is not there")),
        Err(store::Error::Rejected { reason, .. }) => Some(format!("object {key:?} is refused: {reason}")),
        Err(error) => return Err(error.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_which_manifest_it_is() {
        let key = "manifests/orders/2025-08-01/0123456789abcdef.json";
        assert_eq!(Named::of(key).unwrap().key(), key);
        for key in [
            "manifests/orders.json",
            "manifests/orders/2025-08-01/short.json",
            "manifests/orders/yesterday/0123456789abcdef.json",
            "manifests/orders/2025-08-01/0123456789abcdef.txt",
            "manifests/orders/2025-08-01/more/0123456789abcdef.json",
            "manifests/../2025-08-01/0123456789abcdef.json",
        ] {
            assert!(Named::of(key).is_err(), "{key}");
        }
    }
}
