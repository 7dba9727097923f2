//! The rules of Cloud Storage.

use serde_json::{Value, json};

use crate::support::{Answer, Client, cloud};

async fn bucket(client: &Client, name: &str) {
    client.send("POST", "/storage/v1/b?project=emulated", Some(&json!({"name": name})), &[]).await.ok();
}

async fn media(client: &Client, bucket: &str, name: &str, parameters: &str, content: &str) -> Answer {
    let path = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}{parameters}");
    client.send_bytes("POST", &path, content.as_bytes(), &[("content-type", "text/plain")]).await
}

async fn content(client: &Client, bucket: &str, name: &str) -> Value {
    client.send("GET", &format!("/storage/v1/b/{bucket}/o/{name}?alt=media"), None, &[]).await.ok()
}

fn generation(object: &Value) -> &str {
    object["generation"].as_str().unwrap()
}

/// The path of the session that an answer opened.
async fn session(client: &Client, bucket: &str, name: &str, parameters: &str) -> String {
    let path = format!("/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={name}{parameters}");
    let location = client.location("POST", &path).await;
    assert!(location.starts_with(&format!("{}/upload/", client.base)), "{location}");
    location[client.base.len()..].to_owned()
}

#[tokio::test]
async fn an_upload_with_a_precondition_needs_it_to_hold() {
    let client = cloud!().storage();
    bucket(&client, "conditions").await;
    let first = media(&client, "conditions", "a", "&ifGenerationMatch=0", "1").await.ok();
    media(&client, "conditions", "a", "&ifGenerationMatch=0", "2").await.refused(412, "conditionNotMet");
    let next = format!("&ifGenerationMatch={}", generation(&first));
    media(&client, "conditions", "a", &next, "3").await.ok();
    media(&client, "conditions", "a", &next, "4").await.refused(412, "conditionNotMet");
    assert_eq!(content(&client, "conditions", "a").await, json!(3));
}

#[tokio::test]
async fn of_many_creators_one_succeeds() {
    let client = cloud!().storage();
    bucket(&client, "creators").await;
    let writes: Vec<_> = (0..10)
        .map(|value| {
            let client = client.clone();
            tokio::spawn(async move {
                media(&client, "creators", "a", "&ifGenerationMatch=0", &value.to_string()).await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for write in writes {
        statuses.push(write.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, [412; 9].as_slice()));
}

#[tokio::test]
async fn deletions_and_reads_need_their_preconditions() {
    let client = cloud!().storage();
    bucket(&client, "guarded").await;
    let object = media(&client, "guarded", "a", "", "1").await.ok();
    let path = |parameters: &str| format!("/storage/v1/b/guarded/o/a?{parameters}");
    let is = generation(&object);
    client.send("GET", &path("ifGenerationMatch=1"), None, &[]).await.refused(412, "conditionNotMet");
    client.send("GET", &path("alt=media&ifGenerationMatch=1"), None, &[]).await.refused(412, "conditionNotMet");
    assert_eq!(client.send("GET", &path(&format!("ifGenerationNotMatch={is}")), None, &[]).await.status, 304);
    client.send("GET", &path(&format!("ifGenerationMatch={is}")), None, &[]).await.ok();
    client.send("DELETE", &path("ifGenerationMatch=1"), None, &[]).await.refused(412, "conditionNotMet");
    client.send("DELETE", &path("generation=1"), None, &[]).await.refused(404, "notFound");
    client.send("DELETE", &path(&format!("ifGenerationMatch={is}")), None, &[]).await.ok();
    client.send("GET", &path("ifGenerationMatch=1"), None, &[]).await.refused(404, "notFound");
}

#[tokio::test]
async fn a_resumable_upload_takes_each_byte_once() {
    let client = cloud!().storage();
    bucket(&client, "pieces").await;
    let path = session(&client, "pieces", "a", "").await;
    let put = async |range: &str, bytes: &str| {
        client.send_bytes("PUT", &path, bytes.as_bytes(), &[("content-range", range)]).await
    };
    assert_eq!(put("bytes 0-3/*", "abcd").await.status, 308);
    assert_eq!(put("bytes 0-3/*", "abcd").await.status, 308);
    assert_eq!(put("bytes */*", "").await.status, 308);
    let object = put("bytes 4-5/6", "ef").await.ok();
    assert_eq!((&object["name"], &object["size"]), (&json!("a"), &json!("6")));
    assert_eq!(put("bytes 4-5/6", "ef").await.ok(), object, "a lost answer is given again");
    assert_eq!(put("bytes */*", "").await.ok(), object);
    assert_eq!(content(&client, "pieces", "a").await, json!("abcdef"));
}

#[tokio::test]
async fn a_resumable_upload_is_checked_when_it_ends() {
    let client = cloud!().storage();
    bucket(&client, "late").await;
    let path = session(&client, "late", "a", "&ifGenerationMatch=0").await;
    media(&client, "late", "a", "", "faster").await.ok();
    client.send_bytes("PUT", &path, b"slower", &[]).await.refused(412, "conditionNotMet");
    assert_eq!(content(&client, "late", "a").await, json!("faster"));
}

#[tokio::test]
async fn a_wrong_checksum_writes_nothing() {
    let client = cloud!().storage();
    bucket(&client, "checked").await;
    let path = "/upload/storage/v1/b/checked/o?uploadType=media&name=a";
    client.send_bytes("POST", path, b"one", &[("x-goog-hash", "crc32c=AAAAAA==")]).await.refused(400, "invalid");
    assert_eq!(client.send("GET", "/storage/v1/b/checked/o/a", None, &[]).await.status, 404);
    client.send_bytes("POST", path, b"one", &[("x-goog-hash", "crc32c=KpSy6Q==")]).await.ok();
    let multipart = "/upload/storage/v1/b/checked/o?uploadType=multipart";
    let body = |crc32c: &str| {
        format!(
            "--x\r\nContent-Type: application/json\r\n\r\n{{\"name\":\"b\",\"crc32c\":\"{crc32c}\"}}\r\n--x\r\nContent-Type: text/plain\r\n\r\none\r\n--x--\r\n"
        )
    };
    let kind = [("content-type", "multipart/related; boundary=x")];
    client.send_bytes("POST", multipart, body("AAAAAA==").as_bytes(), &kind).await.refused(400, "invalid");
    let object = client.send_bytes("POST", multipart, body("KpSy6Q==").as_bytes(), &kind).await.ok();
    assert_eq!(object["contentType"], "text/plain");
}

#[tokio::test]
async fn names_with_slashes_and_signs_stay_as_they_are() {
    let client = cloud!().storage();
    bucket(&client, "names").await;
    media(&client, "names", "lake%2Fday%3D1%2Fa%20b.parquet", "", "x").await.ok();
    let list = client.send("GET", "/storage/v1/b/names/o?prefix=lake/", None, &[]).await.ok();
    assert_eq!(list["items"][0]["name"], "lake/day=1/a b.parquet");
    assert_eq!(content(&client, "names", "lake%2Fday%3D1%2Fa%20b.parquet").await, json!("x"));
}
