//! Cloud Storage as an object store.
//!
//! Documents go through Google's client (`google-cloud-storage`), and so does all that is read; what it lacks is in
//! [`json`] and [`session`]. What this adds to both is the outcome that nobody knows: every write carries a random mark in the object's metadata, and after an answer
//! was lost the mark says whose write is there. A checksum could not: two workers may well write the same bytes.
//!
//! The generation is Cloud Storage's own. Content is compared by CRC32C both ways: the service checks what is written
//! before it shows it, and what is read is checked at its end.

mod clock;
mod failed;
mod json;
mod local_copies;
mod session;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use google::{Api, Budget, Connection, Failure, retry, retry_checked};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::client::Storage;
use google_cloud_storage::model;
use google_cloud_storage::read_resume_policy::NeverResume;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{Error, Generation, MAX_DOCUMENT_BYTES, Object, ObjectMeta, ObjectStore, Precondition, Upload, check_key};
use clock::StoreClock;
use failed::{Action, Failed};
use json::{JsonApi, Resource, if_generation_match};
pub use local_copies::{Draft, LocalCopies, LocalCopy};
use upload::CloudUpload;

/// Metadata: the mark of the write that made the object.
const WRITE: &str = "bgp-write";
/// Metadata: the generation that the write took the place of, 0 for none.
const REPLACES: &str = "bgp-replaces";

/// Google's client has no time limit for content. A document is at most 64 MiB.
const DOCUMENT_TIMEOUT: Duration = Duration::from_mins(1);

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CloudStorage {
    client: Storage,
    json: JsonApi,
    /// As the client wants it: `projects/_/buckets/NAME`.
    bucket: Arc<str>,
    budget: Budget,
    clock: Arc<StoreClock>,
}

impl CloudStorage {
    /// Makes the clients for a bucket. Calls nothing: whether the bucket is there, and open to the account, is found out
    /// by the first use.
    pub async fn open(connection: Connection, bucket: &str) -> Result<Self, Error> {
        let refused = |reason: String| Error::Rejected { key: bucket.to_owned(), reason };
        // The API has more rules, and enforces them. These keep the name from changing the address.
        if bucket.is_empty() || !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return Err(refused("a bucket's name is of letters, digits and ._-".to_owned()));
        }
        let client = Storage::builder()
            .with_endpoint(connection.endpoints.address(Api::Storage))
            .with_credentials(connection.credentials.client())
            .with_retry_policy(connection.budget)
            .with_backoff_policy(connection.budget)
            .build()
            .await
            .map_err(|error| refused(format!("its client can't be made: {error}")))?;
        let clock = Arc::new(StoreClock::default());
        let budget = connection.budget;
        let json = JsonApi::new(connection, bucket, clock.clone()).map_err(|error| refused(error.to_string()))?;
        Ok(Self { client, json, bucket: format!("projects/_/buckets/{bucket}").into(), budget, clock })
    }

    async fn read_once(&self, key: &str) -> Result<Option<Object>, Failed> {
        let request = self
            .client
            .read_object(self.bucket.as_ref(), key)
            .with_retry_policy(NeverRetry)
            .with_read_resume_policy(NeverResume);
        let mut response = Box::pin(request.send()).await?;
        let described = response.object();
        let mut content = BytesMut::new();
        let mut too_large = is_too_large(described.size);
        // The client compares the checksum at the end, and reports it as an error if it differs.
        while let Some(piece) = response.next().await {
            let piece = piece.map_err(|error| Failed::while_reading(&error))?;
            too_large |= is_too_large(content.len() + piece.len());
            if too_large {
                return Ok(None);
            }
            content.extend_from_slice(&piece);
        }
        Ok(Some(Object { generation: described.generation.cast_unsigned(), content: content.freeze() }))
    }

    async fn write_once(
        &self,
        key: &str,
        content: Bytes,
        precondition: Precondition,
        mark: &str,
    ) -> Result<ObjectMeta, Failed> {
        let checksum = crc32c::crc32c(&content);
        let mut request = self
            .client
            .write_object(self.bucket.as_ref(), key, content)
            // Sent along, so that the service refuses what was changed on its way.
            .with_known_crc32c(checksum)
            .set_metadata(metadata(mark, precondition))
            .with_resumable_upload_threshold(usize::MAX)
            .with_idempotency(false)
            .with_retry_policy(NeverRetry);
        if let Some(generation) = if_generation_match(precondition) {
            request = request.set_if_generation_match(generation.cast_signed());
        }
        // On the heap, because the client's futures are tens of kilobytes.
        let object = Box::pin(request.send_unbuffered()).await?;
        Ok(self.describe(&object))
    }

    /// Writes an object in one call and repeats the call if need be.
    async fn write(&self, key: &str, content: &Bytes, precondition: Precondition) -> Result<ObjectMeta, Error> {
        let mark = new_mark();
        let action = Action::Writing;
        let once = || within(DOCUMENT_TIMEOUT, self.write_once(key, content.clone(), precondition, &mark));
        let look = || async {
            let found = self.find(key, precondition, &mark).await?;
            found.map(|found| self.json.describe(&found)).transpose()
        };
        let written = retry_checked(&self.budget, action.call(), once, look).await;
        written.map_err(|failed| failed.into_error(action, key))
    }

    /// The object, if the write with this mark took effect.
    async fn find(&self, key: &str, precondition: Precondition, mark: &str) -> Result<Option<Resource>, Failed> {
        let found = match self.json.head(key).await {
            Ok(found) => found,
            Err(failed) if failed.status == Some(404) => return Ok(None),
            Err(failed) => return Err(failed),
        };
        if found.metadata.get(WRITE).is_some_and(|write| write == mark) {
            return Ok(Some(found));
        }
        match if_generation_match(precondition) {
            Some(before) if self.json.describe(&found)?.generation != before => {
                // Of all writes under one generation one succeeds. If it was this other one, ours did not.
                let replaced = found.metadata.get(REPLACES).and_then(|generation| generation.parse().ok());
                if replaced == Some(before) { Ok(None) } else { Err(Failed::superseded()) }
            }
            _ => Ok(None),
        }
    }

    /// Whether a delete took effect.
    async fn is_gone(&self, key: &str, precondition: Precondition) -> Result<Option<()>, Failed> {
        let found = match self.json.head(key).await {
            Ok(found) => found,
            Err(failed) if failed.status == Some(404) => return Ok(Some(())),
            Err(failed) => return Err(failed),
        };
        let Precondition::Generation(before) = precondition else { return Ok(None) };
        let replaced = found.metadata.get(REPLACES).and_then(|generation| generation.parse().ok());
        match replaced {
            _ if self.json.describe(&found)?.generation == before => Ok(None),
            // Written where nothing was any more.
            Some(0) => Ok(Some(())),
            Some(generation) if generation == before => Ok(None),
            _ => Err(Failed::superseded()),
        }
    }

    fn describe(&self, object: &model::Object) -> ObjectMeta {
        let updated = object.update_time.and_then(|time| Timestamp::new(time.seconds(), time.nanos()).ok());
        // Told by the store just now, and finer than the `Date` of its answers.
        if let Some(updated) = updated {
            self.clock.observe(updated);
        }
        ObjectMeta {
            key: object.name.clone(),
            generation: object.generation.cast_unsigned(),
            bytes: object.size.cast_unsigned(),
            age: updated.map(|updated| self.clock.since(updated)).unwrap_or_default(),
        }
    }
}

#[async_trait]
impl ObjectStore for CloudStorage {
    async fn get(&self, key: &str) -> Result<Object, Error> {
        check_key(key)?;
        let action = Action::Reading;
        let read = retry(&self.budget, action.call(), || within(DOCUMENT_TIMEOUT, self.read_once(key))).await;
        match read.map_err(|failed| failed.into_error(action, key))? {
            Some(object) => Ok(object),
            None => Err(Error::Rejected {
                key: key.to_owned(),
                reason: format!("a document has at most {MAX_DOCUMENT_BYTES} bytes, and it has more"),
            }),
        }
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        check_key(key)?;
        let action = Action::Inspecting;
        retry(&self.budget, action.call(), || async { self.json.describe(&self.json.head(key).await?) })
            .await
            .map_err(|failed| failed.into_error(action, key))
    }

    async fn put(&self, key: &str, content: Bytes, precondition: Precondition) -> Result<Generation, Error> {
        check_key(key)?;
        self.write(key, &content, precondition).await.map(|written| written.generation)
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, Error> {
        check_key(key)?;
        Ok(Box::new(CloudUpload::new(self.clone(), key, Precondition::Absent)))
    }

    async fn delete(&self, key: &str, precondition: Precondition) -> Result<(), Error> {
        check_key(key)?;
        let action = Action::Deleting(precondition);
        let once = || self.json.delete(key, precondition);
        retry_checked(&self.budget, action.call(), once, || self.is_gone(key, precondition))
            .await
            .map_err(|failed| failed.into_error(action, key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, Error> {
        let action = Action::Listing;
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = retry(&self.budget, action.call(), || self.json.page(prefix, token.as_deref()))
                .await
                .map_err(|failed| failed.into_error(action, prefix))?;
            for item in &page.items {
                let object = self.json.describe(item).map_err(|failed| failed.into_error(action, prefix))?;
                // A bucket can hold what is no key of this project: consoles make objects whose name ends in a slash.
                if check_key(&object.key).is_ok() {
                    objects.push(object);
                }
            }
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        objects.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(objects)
    }

    fn local_path(&self, _key: &str) -> Option<std::path::PathBuf> {
        None
    }
}

/// A mark that no other write has.
fn new_mark() -> String {
    Uuid::now_v7().simple().to_string()
}

fn metadata(mark: &str, precondition: Precondition) -> Vec<(&'static str, String)> {
    let replaces = if_generation_match(precondition).map(|generation| (REPLACES, generation.to_string()));
    [(WRITE, mark.to_owned())].into_iter().chain(replaces).collect()
}

fn is_too_large(bytes: impl TryInto<u64>) -> bool {
    bytes.try_into().is_ok_and(|bytes| bytes > MAX_DOCUMENT_BYTES)
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(Failed::unanswered(Failure::NO_ANSWER, format!("no answer within {} s", limit.as_secs()))),
    }
}
