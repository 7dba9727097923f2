//! Uploads of every kind: taken in whole, checked, and passed on as one request.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::conditions::Conditions;
use super::resumable::{Piece, Session};
use super::{Object, Parameters, Storage, checksum, malformed};
use crate::proxy::{json_response, status};
use crate::refusal::Refusal;

impl Storage {
    pub(crate) async fn upload(
        &self,
        bucket: &str,
        parameters: &Parameters,
        request: Request<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(malformed)?;
        if let Some(id) = parameters.get("upload_id") {
            return self.resume(bucket, id, &parts.method, &parts.headers, &body).await;
        }
        let kind = parameters.get("uploadType").map(String::as_str);
        match kind {
            Some("resumable") => self.begin(bucket, parameters, &parts.headers, &body).await,
            Some("multipart") => {
                let (metadata, content) = split(&parts.headers, &body)?;
                self.write(bucket, named(metadata, parameters), &Conditions::of(parameters)?, &content).await
            }
            Some("media") => {
                let mut metadata = named(json!({}), parameters);
                if let Some(kind) = text(&parts.headers, "content-type") {
                    metadata["contentType"] = json!(kind);
                }
                remember_hash(&mut metadata, &parts.headers);
                self.write(bucket, metadata, &Conditions::of(parameters)?, &body).await
            }
            _ => Err(Refusal::invalid("uploadType is not media, multipart or resumable")),
        }
    }

    /// Opens a session, under an address of its own.
    async fn begin(
        &self,
        bucket: &str,
        parameters: &Parameters,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Body>, Refusal> {
        let metadata = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).map_err(malformed)? };
        let mut metadata = named(metadata, parameters);
        if let Some(kind) = text(headers, "x-upload-content-type").filter(|_| metadata.get("contentType").is_none()) {
            metadata["contentType"] = json!(kind);
        }
        let conditions = Conditions::of(parameters)?;
        let session = Session { metadata, conditions, content: Vec::new(), done: None };
        let id = uuid::Uuid::now_v7().simple().to_string();
        self.sessions.lock().await.insert(id.clone(), Arc::new(Mutex::new(session)));
        let location = format!(
            "http://127.0.0.1:{}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={id}",
            self.port
        );
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(header::LOCATION, location.parse().map_err(malformed)?);
        Ok(response)
    }

    async fn resume(
        &self,
        bucket: &str,
        id: &str,
        method: &Method,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Body>, Refusal> {
        let session = self.sessions.lock().await.get(id).cloned();
        let session = session.ok_or_else(|| Refusal::not_found("upload"))?;
        if *method == Method::DELETE {
            self.sessions.lock().await.remove(id);
            // https://docs.cloud.google.com/storage/docs/performing-resumable-uploads#cancel-upload
            return Ok(status(StatusCode::from_u16(499).unwrap_or(StatusCode::NO_CONTENT)));
        }
        let mut session = session.lock().await;
        if let Some((status, body)) = &session.done {
            return Ok(response(*status, body.clone()));
        }
        let piece = Piece::of(headers, body.len())?;
        if !session.take(&piece, body)? {
            return Ok(session.progress());
        }
        let mut metadata = session.metadata.clone();
        remember_hash(&mut metadata, headers);
        let answer = self.write(bucket, metadata, &session.conditions, &session.content).await;
        let (parts, body) = answer.unwrap_or_else(|refusal| refusal.response()).into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(malformed)?;
        // Whether it worked or not, the session is over.
        if parts.status != StatusCode::SERVICE_UNAVAILABLE {
            session.done = Some((parts.status, body.clone()));
            session.content = Vec::new();
        }
        Ok(response(parts.status, body))
    }

    /// Makes an object, if the precondition holds and the checksum is right.
    async fn write(
        &self,
        bucket: &str,
        metadata: Value,
        conditions: &Conditions,
        content: &[u8],
    ) -> Result<Response<Body>, Refusal> {
        let name = metadata["name"].as_str().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(Refusal::invalid("Required parameter: name"));
        }
        if let Some(said) = metadata["crc32c"].as_str() {
            let found = checksum::crc32c(content);
            if said != found {
                return Err(Refusal::invalid(format!(
                    "Provided CRC32C {said:?} doesn't match calculated CRC32C {found:?}."
                )));
            }
        }
        let object = Object { bucket: bucket.to_owned(), name };
        let _changing = self.objects.write().await;
        if !conditions.is_empty() {
            conditions.check(self.generation(&object).await?)?;
        }
        let kind = metadata["contentType"].as_str().unwrap_or("application/octet-stream");
        // New for each, so that no content can hold it.
        let boundary = uuid::Uuid::now_v7().simple();
        let mut body = format!(
            "--{boundary}\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/upload/storage/v1/b/{bucket}/o?uploadType=multipart"))
            .header(header::CONTENT_TYPE, format!("multipart/related; boundary={boundary}"))
            .body(Body::from(body))
            .map_err(malformed)?;
        self.forward(request).await
    }
}

fn response(status: StatusCode, body: Bytes) -> Response<Body> {
    if let Ok(value) = serde_json::from_slice::<Value>(&body) {
        return json_response(status, &value);
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
}

/// The metadata with the name, which may be a parameter.
fn named(mut metadata: Value, parameters: &Parameters) -> Value {
    if let Some(name) = parameters.get("name") {
        metadata["name"] = json!(name);
    }
    metadata
}

/// `x-goog-hash: crc32c=..,md5=..` says what the metadata may say too.
fn remember_hash(metadata: &mut Value, headers: &HeaderMap) {
    let hashes = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let crc32c = hashes.flat_map(|hashes| hashes.split(',')).find_map(|hash| hash.trim().strip_prefix("crc32c="));
    if let Some(crc32c) = crc32c {
        metadata["crc32c"] = json!(crc32c);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Metadata and content of a `multipart/related` body.
fn split(headers: &HeaderMap, body: &[u8]) -> Result<(Value, Vec<u8>), Refusal> {
    let wrong = || Refusal::invalid("the body is not multipart/related with a JSON part and the content");
    let kind = text(headers, "content-type").unwrap_or_default();
    let boundary = kind.split(';').find_map(|part| part.trim().strip_prefix("boundary=")).ok_or_else(wrong)?;
    let opening = format!("--{}", boundary.trim_matches(['"', '\'']));
    let separator = format!("\r\n{opening}");
    let start = find(body, opening.as_bytes()).ok_or_else(wrong)? + opening.len();
    let first_end = start + find(&body[start..], separator.as_bytes()).ok_or_else(wrong)?;
    let second = first_end + separator.len();
    // The content may hold anything, so its end is the last separator.
    let second_end = rfind(body, separator.as_bytes()).filter(|end| *end >= second).ok_or_else(wrong)?;
    let part = |from: usize, to: usize| {
        let part = &body[from..to];
        let head = find(part, b"\r\n\r\n")?;
        Some((&part[..head], &part[head + 4..]))
    };
    let (_, metadata) = part(start, first_end).ok_or_else(wrong)?;
    let (content_head, content) = part(second, second_end).ok_or_else(wrong)?;
    let mut metadata: Value = serde_json::from_slice(metadata).map_err(|_| wrong())?;
    let head = String::from_utf8_lossy(content_head).to_ascii_lowercase();
    let kind = head.lines().find_map(|line| line.trim().strip_prefix("content-type:").map(str::trim));
    if let Some(kind) = kind.filter(|_| metadata.get("contentType").is_none()) {
        metadata["contentType"] = json!(kind);
    }
    Ok((metadata, content.to_vec()))
}

fn find(body: &[u8], wanted: &[u8]) -> Option<usize> {
    body.windows(wanted.len()).position(|window| window == wanted)
}

fn rfind(body: &[u8], wanted: &[u8]) -> Option<usize> {
    body.windows(wanted.len()).rposition(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_come_out_as_they_went_in() {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_TYPE, "multipart/related; boundary=\"x\"".parse().unwrap())]);
        let body = b"--x\r\nContent-Type: application/json\r\n\r\n{\"name\":\"a\"}\r\n--x\r\nContent-Type: text/plain\r\n\r\nA\r\n\r\n\0B\r\n--x--\r\n";
        let (metadata, content) = split(&headers, body).unwrap();
        assert_eq!(metadata, json!({"name": "a", "contentType": "text/plain"}));
        assert_eq!(content, b"A\r\n\r\n\0B");
    }

    #[test]
    fn what_has_no_two_parts_is_refused() {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, "multipart/related; boundary=x".parse().unwrap())]);
        for body in ["", "--x\r\n\r\n{}\r\n--x--", "{}"] {
            assert!(split(&headers, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn the_hash_is_found_in_the_header() {
        let headers =
            HeaderMap::from_iter([("x-goog-hash".parse().unwrap(), "md5=abc, crc32c=KpSy6Q==".parse().unwrap())]);
        let mut metadata = json!({});
        remember_hash(&mut metadata, &headers);
        assert_eq!(metadata["crc32c"], "KpSy6Q==");
    }
}
