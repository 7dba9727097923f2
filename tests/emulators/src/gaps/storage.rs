//! Probes of the Cloud Storage emulator.

use axum::body::Body;
use axum::http::{Method, Request, header};

use super::Bare;
use crate::error::Result;

pub(super) async fn media_uploads_ignore_preconditions(bare: &Bare) -> Result<bool> {
    let before = bare.object("gap-media").await?;
    let path = "/upload/storage/v1/b/gap-media/o?uploadType=media&name=o&ifGenerationMatch=0";
    bare.storage(Method::POST, path, "new").await?;
    Ok(bare.generation("gap-media").await?.as_deref() != Some(&before))
}

pub(super) async fn resumable_uploads_ignore_preconditions(bare: &Bare) -> Result<bool> {
    let before = bare.object("gap-resumable").await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/upload/storage/v1/b/gap-resumable/o?uploadType=resumable&name=o&ifGenerationMatch=0")
        .body(Body::from("{}"))
        .unwrap_or_default();
    let response = bare.storage.send(request).await?;
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let path = location.and_then(|location| location.find("/upload").map(|at| location[at..].to_owned()));
    bare.storage(Method::PUT, &path.unwrap_or_default(), "new").await?;
    Ok(bare.generation("gap-resumable").await?.as_deref() != Some(&before))
}

pub(super) async fn deletions_ignore_preconditions(bare: &Bare) -> Result<bool> {
    bare.object("gap-delete").await?;
    bare.storage(Method::DELETE, "/storage/v1/b/gap-delete/o/o?ifGenerationMatch=1", "").await?;
    Ok(bare.generation("gap-delete").await?.is_none())
}

pub(super) async fn reads_ignore_preconditions(bare: &Bare) -> Result<bool> {
    bare.object("gap-read").await?;
    Ok(bare.storage(Method::GET, "/storage/v1/b/gap-read/o/o?ifGenerationMatch=1", "").await?.0 == 200)
}

pub(super) async fn checksums_are_not_checked(bare: &Bare) -> Result<bool> {
    bare.object("gap-checksum").await?;
    let body = "--x\r\nContent-Type: application/json\r\n\r\n{\"name\":\"c\",\"crc32c\":\"AAAAAA==\"}\r\n--x\r\n\
                Content-Type: text/plain\r\n\r\nnew\r\n--x--\r\n";
    let request = Request::builder()
        .method(Method::POST)
        .uri("/upload/storage/v1/b/gap-checksum/o?uploadType=multipart")
        .header(header::CONTENT_TYPE, "multipart/related; boundary=x")
        .body(Body::from(body))
        .unwrap_or_default();
    Ok(bare.storage.send(request).await?.status().is_success())
}
