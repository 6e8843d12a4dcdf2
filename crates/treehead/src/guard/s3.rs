//! An object in an S3-compatible store as a place of the guard.
//!
//! Several servers may keep one object. Each write names the object that it replaces (`If-Match`), or
//! that there is none (`If-None-Match`). If another server was faster, its heads are read, the newest
//! of both are kept, and nothing is written if ours are none of them. So no write lowers a head.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use ledger::guard::{GuardedHeads, Place, PlaceError};
use ledger::{Clock, SystemClock};
use tokio::runtime::{Builder, Runtime};

mod credentials;
mod object_url;
mod signature;

pub(crate) use object_url::ObjectUrl;

use super::http::client;
use crate::http_client::{Answer, HttpClient};
use credentials::Credentials;

/// Writes of other servers that one write meets at most. Each of them is a newer object, so whoever
/// meets that many has slow links, and is tried again later.
const MAX_CONFLICTS: usize = 8;

/// A guard in an object. Any number of servers may keep it.
pub(super) struct S3Place {
    url: ObjectUrl,
    client: HttpClient,
    /// The thread of the place waits for its requests on a runtime of its own, and makes it.
    runtime: Option<Runtime>,
    credentials: FindCredentials,
    stored: Stored,
}

/// Finds the credentials of a request, which may be others than those of the last one.
type FindCredentials = fn() -> Result<Credentials, String>;

/// The object in the store, as far as this server knows.
enum Stored {
    Unknown,
    Absent,
    Object {
        etag: HeaderValue,
        heads: Arc<GuardedHeads>,
    },
}

/// The outcome of a write.
enum Put {
    Done,
    /// The object is another one than we knew.
    Conflict,
}

impl S3Place {
    pub(super) fn new(url: ObjectUrl) -> Result<Self, PlaceError> {
        Self::with_credentials(url, Credentials::find)
    }

    fn with_credentials(url: ObjectUrl, credentials: FindCredentials) -> Result<Self, PlaceError> {
        let failed = |error: String| PlaceError(format!("{url}: {error}"));
        // Said at the start, not at the first head.
        credentials().map_err(failed)?;
        let client = client(&url.address()).map_err(failed)?;
        Ok(Self {
            url,
            client,
            runtime: None,
            credentials,
            stored: Stored::Unknown,
        })
    }

    /// Reads the object.
    fn get(&mut self) -> Result<(), PlaceError> {
        self.stored = Stored::Unknown;
        let answer = self.send(Method::GET, None, Bytes::new())?;
        self.stored = match answer.status {
            StatusCode::OK => Stored::Object {
                etag: etag(&answer)?,
                heads: Arc::new(
                    GuardedHeads::decode(&answer.body)
                        .map_err(|fault| PlaceError(fault.to_string()))?,
                ),
            },
            // A bucket that is absent has the same status, and may have been named wrongly.
            StatusCode::NOT_FOUND if code(&answer) == Some("NoSuchKey") => Stored::Absent,
            _ => return Err(refused("read", &answer)),
        };
        Ok(())
    }

    /// Writes the object, if it is still the one that we know.
    ///
    /// Dies here: the object has the new heads or those of before. Nothing states the new ones yet.
    fn put(&mut self, heads: Arc<GuardedHeads>) -> Result<Put, PlaceError> {
        let condition = match &self.stored {
            Stored::Object { etag, .. } => (IF_MATCH, etag.clone()),
            Stored::Absent | Stored::Unknown => (IF_NONE_MATCH, HeaderValue::from_static("*")),
        };
        // Without an answer, nobody knows which object there is.
        self.stored = Stored::Unknown;
        let body = Bytes::from(heads.encode());
        let answer = self.send(Method::PUT, Some(condition), body)?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => {
                let etag = etag(&answer)?;
                self.stored = Stored::Object { etag, heads };
                Ok(Put::Done)
            }
            // 409 while another write runs, 404 if the object was removed.
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(Put::Conflict),
            StatusCode::NOT_FOUND if code(&answer) == Some("NoSuchKey") => Ok(Put::Conflict),
            StatusCode::NOT_IMPLEMENTED => Err(PlaceError(
                "the store has no conditional writes (If-Match), which the guard needs".to_owned(),
            )),
            _ => Err(refused("written", &answer)),
        }
    }

    fn send(
        &mut self,
        method: Method,
        condition: Option<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, PlaceError> {
        let credentials = (self.credentials)().map_err(PlaceError)?;
        let request = Request::builder().method(method).uri(self.url.address());
        let request = request.body(Full::new(body.clone()));
        let mut request = request.map_err(|error| PlaceError(error.to_string()))?;
        request.headers_mut().extend(condition);
        let now_millis = SystemClock.unix_millis();
        signature::sign(
            &mut request,
            &body,
            &credentials,
            self.url.region(),
            now_millis,
        )
        .map_err(PlaceError)?;
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => {
                let made = Builder::new_current_thread().enable_all().build();
                made.map_err(|error| PlaceError(error.to_string()))?
            }
        };
        let sent = runtime.block_on(self.client.send(request));
        self.runtime = Some(runtime);
        sent.map_err(PlaceError)
    }
}

impl Place for S3Place {
    fn label(&self) -> String {
        self.url.to_string()
    }

    fn read(&mut self) -> Result<Option<GuardedHeads>, PlaceError> {
        self.get()?;
        Ok(match &self.stored {
            Stored::Object { heads, .. } => Some(GuardedHeads::clone(heads)),
            Stored::Absent | Stored::Unknown => None,
        })
    }

    fn write(&mut self, heads: &GuardedHeads) -> Result<(), PlaceError> {
        for _ in 0..MAX_CONFLICTS {
            if matches!(self.stored, Stored::Unknown) {
                self.get()?;
            }
            let newest = match &self.stored {
                Stored::Object { heads: stored, .. } => newest_of(stored, heads)?,
                Stored::Absent | Stored::Unknown => Some(heads.clone()),
            };
            let Some(newest) = newest else {
                return Ok(());
            };
            if matches!(self.put(Arc::new(newest))?, Put::Done) {
                return Ok(());
            }
        }
        Err(PlaceError(format!(
            "other servers wrote it {MAX_CONFLICTS} times meanwhile"
        )))
    }
}

/// Returns the stored heads with ours in the place of older ones, or `None` if no stored one is
/// older.
fn newest_of(
    stored: &GuardedHeads,
    ours: &GuardedHeads,
) -> Result<Option<GuardedHeads>, PlaceError> {
    if stored.ledger != ours.ledger {
        return Err(PlaceError(format!(
            "it keeps the heads of another ledger, {}",
            stored.ledger
        )));
    }
    let mut newest = stored.clone();
    for head in &ours.heads {
        let mut of_log = stored.heads.iter().filter(|old| old.api == head.api);
        if of_log.clone().any(|old| old.contradicts(head)) {
            return Err(PlaceError(format!(
                "it has another head of the {} log of size {}: another server forked the log",
                head.api,
                head.size()
            )));
        }
        if of_log.all(|old| head.is_newer_than(old)) {
            newest.note(head.clone());
        }
    }
    Ok((newest != *stored).then_some(newest))
}

fn etag(answer: &Answer) -> Result<HeaderValue, PlaceError> {
    let etag = answer.headers.get(ETAG).cloned();
    etag.ok_or_else(|| PlaceError("the store answers without an ETag".to_owned()))
}

/// Returns the code of an error, such as `NoSuchKey`.
fn code(answer: &Answer) -> Option<&str> {
    let body = str::from_utf8(&answer.body).ok()?;
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then_some(code)
}

fn refused(doing: &str, answer: &Answer) -> PlaceError {
    let status = answer.status;
    PlaceError(match code(answer) {
        Some(code) => format!("it cannot be {doing}: {status}, {code}"),
        None => format!("it cannot be {doing}: {status}"),
    })
}

#[cfg(test)]
mod tests;
