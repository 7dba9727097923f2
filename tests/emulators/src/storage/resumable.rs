//! Resumable uploads, kept here until they are complete.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode, header};
use serde_json::Value;

use super::conditions::Conditions;
use crate::refusal::Refusal;

/// One upload.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) metadata: Value,
    pub(crate) conditions: Conditions,
    pub(crate) content: Vec<u8>,
    /// The answer to the last piece, given again to whoever did not get it.
    pub(crate) done: Option<(StatusCode, Bytes)>,
}

/// What a request to a session brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where its first byte belongs; nothing for a question of how much is there.
    pub(crate) start: Option<usize>,
    /// The length of the whole, once it is known.
    pub(crate) total: Option<usize>,
}

impl Piece {
    /// Reads `Content-Range: bytes FIRST-LAST/TOTAL`, where `*` stands for what is not known or not there.
    pub(crate) fn of(headers: &HeaderMap, length: usize) -> Result<Self, Refusal> {
        let Some(range) = headers.get(header::CONTENT_RANGE) else {
            return Ok(Self { start: Some(0), total: Some(length) });
        };
        let text = range.to_str().unwrap_or_default();
        let wrong = || Refusal::invalid(format!("Content-Range is {text:?}"));
        let (bytes, total) = text.strip_prefix("bytes ").and_then(|text| text.split_once('/')).ok_or_else(wrong)?;
        let total = if total == "*" { None } else { Some(total.parse().map_err(|_| wrong())?) };
        if bytes == "*" {
            return Ok(Self { start: None, total });
        }
        let (first, last) = bytes.split_once('-').ok_or_else(wrong)?;
        let (first, last): (usize, usize) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if last + 1 != first + length {
            return Err(Refusal::invalid(format!("Content-Range is {text:?} but {length} bytes came")));
        }
        Ok(Self { start: Some(first), total })
    }
}

impl Session {
    /// Takes a piece and says whether the upload is now complete. Bytes that are there already are passed over.
    pub(crate) fn take(&mut self, piece: &Piece, bytes: &[u8]) -> Result<bool, Refusal> {
        if let Some(start) = piece.start {
            let held = self.content.len();
            if start > held {
                return Err(Refusal::invalid(format!(
                    "the upload has {held} bytes, and the next piece starts at {start}"
                )));
            }
            self.content.extend_from_slice(bytes.get(held - start..).unwrap_or_default());
        }
        Ok(piece.total == Some(self.content.len()))
    }

    /// Says how much is there.
    pub(crate) fn progress(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        if let Some(last) = self.content.len().checked_sub(1)
            && let Ok(range) = format!("bytes=0-{last}").parse()
        {
            response.headers_mut().insert(header::RANGE, range);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(range: &str, length: usize) -> Result<Piece, Refusal> {
        Piece::of(&HeaderMap::from_iter([(header::CONTENT_RANGE, range.parse().unwrap())]), length)
    }

    fn session() -> Session {
        Session { metadata: Value::Null, conditions: Conditions::default(), content: Vec::new(), done: None }
    }

    #[test]
    fn a_piece_sent_again_is_taken_once() {
        let mut session = session();
        assert!(!session.take(&piece("bytes 0-2/*", 3).unwrap(), b"abc").unwrap());
        assert!(!session.take(&piece("bytes 0-2/*", 3).unwrap(), b"abc").unwrap());
        assert!(!session.take(&piece("bytes 2-4/*", 3).unwrap(), b"cde").unwrap());
        assert_eq!(session.progress().headers()["range"], "bytes=0-4");
        assert!(session.take(&piece("bytes 5-5/6", 1).unwrap(), b"f").unwrap());
        assert_eq!(session.content, b"abcdef");
    }

    #[test]
    fn a_question_changes_nothing() {
        let mut session = session();
        assert!(!session.take(&piece("bytes */*", 0).unwrap(), b"").unwrap());
        assert!(session.progress().headers().get("range").is_none());
        assert!(session.take(&piece("bytes */0", 0).unwrap(), b"").unwrap());
    }

    #[test]
    fn gaps_and_wrong_lengths_are_refused() {
        assert!(session().take(&piece("bytes 1-1/2", 1).unwrap(), b"b").is_err());
        assert!(piece("bytes 0-3/4", 3).is_err());
        assert!(piece("0-3/4", 4).is_err());
    }
}
