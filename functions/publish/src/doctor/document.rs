//! Documents that may be anything.

use serde::de::DeserializeOwned;
use serde_json::Value;
use service::{Platform, Problem};
use store::Generation;

/// What is under a key.
#[derive(Debug)]
pub(crate) enum Document<T> {
    Absent,
    /// Not what this program writes: why.
    Unreadable(String, Generation),
    /// Of a format that this program does not know.
    Version(u64),
    Read(Box<T>, Generation),
}

/// Reads a document of format `version`; `None` for documents that carry no version.
pub(crate) async fn read<T: DeserializeOwned>(
    platform: &Platform,
    key: &str,
    version: Option<u32>,
) -> Result<Document<T>, Problem> {
    let object = match platform.store.get(key).await {
        Ok(object) => object,
        Err(store::Error::NotFound { .. }) => return Ok(Document::Absent),
        Err(error) => return Err(error.into()),
    };
    let unreadable = |error: serde_json::Error| Document::Unreadable(error.to_string(), object.generation);
    let value: Value = match serde_json::from_slice(&object.content) {
        Ok(value) => value,
        Err(error) => return Ok(unreadable(error)),
    };
    if let (Some(known), Some(found)) = (version, value["version"].as_u64())
        && !(1..=u64::from(known)).contains(&found)
    {
        return Ok(Document::Version(found));
    }
    Ok(match serde_json::from_value(value) {
        Ok(document) => Document::Read(Box::new(document), object.generation),
        Err(error) => unreadable(error),
    })
}

impl<T> Document<T> {
    /// The document, or how it is amiss.
    pub(crate) fn sound(self) -> Result<T, String> {
        match self {
            Self::Read(document, _) => Ok(*document),
            Self::Absent => Err("it is missing".to_owned()),
            Self::Unreadable(why, _) => Err(format!("it can't be read: {why}")),
            Self::Version(found) => Err(format!("it has format version {found}, which this program does not know")),
        }
    }
}
