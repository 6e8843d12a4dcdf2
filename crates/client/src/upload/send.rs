//! Sends entries, and reads what the log makes of them.

use serde_json::value::RawValue;

use super::answer::{self, BatchResult, Promise};
use super::proposal::{Api, Proposal};
use crate::entry::Entry;
use crate::error::{Result, require};
use crate::fetch::{Ask, Fetch, FetchError, Reply, Submit};
use crate::key::LogKey;
use crate::site::{self, ReadError, ReadResult, Site};
use crate::tiled::TiledLog;
use crate::{v1, v2};

const ENTRIES_V1: &str = "/api/v1/log/entries";
const ENTRIES_V2: &str = "/api/v2/log/entries";
/// Only treehead has it.
const BATCH: &str = "/api/v1/log/entries/batch";
/// Largest answer with an entry: a leaf of 1 MiB in base64, a proof, a checkpoint.
const MAX_ENTRY: usize = 4 << 20;
/// Largest answer to a batch: a thousand entries of the usual size have 4 MB.
const MAX_BATCH_ANSWER: usize = 64 << 20;

/// A log to which entries are sent.
#[derive(Clone, Debug)]
pub struct Uploader<F> {
    url: String,
    site: Site<F>,
    tiles: TiledLog<F>,
    keys: Vec<LogKey>,
    transport: F,
}

/// What became of an entry.
#[derive(Debug)]
pub enum Sent {
    /// It is in the log, by a proof that was verified.
    Logged(Box<Logged>),
    /// It is not known to be in the log. Sending it again is safe: the log finds duplicates.
    Later {
        /// Why, for people.
        why: String,
        /// How long the log asks to wait, in seconds.
        after: Option<u64>,
    },
    /// The log refuses it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the log says, in one line.
        message: String,
    },
    /// The log says that it has the entry, but its answer does not verify, or is about another one.
    Unverified(ReadError),
}

/// An entry that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The entry, verified.
    pub entry: Entry,
    /// What a log of Rekor v1 signs of it.
    pub promise: Option<Promise>,
    /// Whether the log had it before.
    pub was_there: bool,
}

impl<F: Fetch + Submit + Clone> Uploader<F> {
    /// Sends to the log at a URL. Every answer is verified with one of `keys`.
    pub fn new(url: &str, keys: Vec<LogKey>, transport: F) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            site: Site::new(url, transport.clone()),
            tiles: TiledLog::new(url, keys.clone(), transport.clone()),
            keys,
            transport,
        }
    }

    /// Sends one entry.
    ///
    /// # Errors
    ///
    /// The URL is none, or no request can be sent from this machine.
    pub async fn send(&self, proposal: &Proposal) -> std::result::Result<Sent, FetchError> {
        let path = match proposal.api() {
            Api::V1 => ENTRIES_V1,
            Api::V2 => ENTRIES_V2,
        };
        let reply = match self
            .post(path, proposal.request().to_owned(), MAX_ENTRY)
            .await?
        {
            Ok(reply) => reply,
            Err(why) => return Ok(Sent::Later { why, after: None }),
        };
        Ok(self.judge(proposal, path, &reply).await)
    }

    /// Sends many entries in one request, if the log has a route for that. Returns an outcome for
    /// each, or `None` where the log has no such route or takes no batch of this size.
    ///
    /// # Errors
    ///
    /// As [`Uploader::send`].
    pub async fn send_batch(
        &self,
        proposals: &[&Proposal],
    ) -> std::result::Result<Option<Vec<Sent>>, FetchError> {
        let entries: Vec<&str> = proposals
            .iter()
            .map(|proposal| proposal.request())
            .collect();
        let body = format!("{{\"entries\":[{}]}}", entries.join(","));
        let later = |why: &str, after| {
            let why = why.to_owned();
            proposals
                .iter()
                .map(|_| Sent::Later {
                    why: why.clone(),
                    after,
                })
                .collect()
        };
        let reply = match self.post(BATCH, body, MAX_BATCH_ANSWER).await? {
            Ok(reply) => reply,
            Err(why) => return Ok(Some(later(&why, None))),
        };
        if reply.status != 200 {
            let why = format!("{} answers {}", self.site.url(BATCH), reply.status);
            return Ok(is_temporary(reply.status).then(|| later(&why, reply.retry_after)));
        }
        let results = match answer::results(&reply.body, proposals.len()) {
            Ok(results) => results,
            Err(error) => {
                let error = self.site.wrong(BATCH)(error);
                return Ok(Some(later(&error.to_string(), None)));
            }
        };
        let mut outcomes = Vec::new();
        for (proposal, result) in proposals.iter().zip(results) {
            let reply = reply_alone(result);
            outcomes.push(self.judge(proposal, BATCH, &reply).await);
        }
        Ok(Some(outcomes))
    }

    /// Posts JSON. The inner error says why there is no answer, although one may come later.
    async fn post(
        &self,
        path: &str,
        json: String,
        limit: usize,
    ) -> std::result::Result<std::result::Result<Reply, String>, FetchError> {
        let ask = Ask {
            url: self.site.url(path),
            json: Some(json),
            limit,
        };
        match self.transport.submit(&ask).await {
            Ok(reply) => Ok(Ok(reply)),
            Err(error @ (FetchError::Url(_) | FetchError::Roots(_))) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Judges the answer to one entry.
    async fn judge(&self, proposal: &Proposal, path: &str, reply: &Reply) -> Sent {
        let found = match reply.status {
            200 | 201 => self
                .open(proposal, &reply.body, false)
                .map_err(self.site.wrong(path)),
            409 if is_contradiction(&reply.body) => {
                let message = site::message(reply.status, &reply.body);
                return Sent::Refused {
                    status: reply.status,
                    message,
                };
            }
            409 => match proposal.api() {
                Api::V1 => self.find_v1(proposal, reply).await,
                Api::V2 => self.find_v2(proposal, reply).await,
            },
            status if is_temporary(status) => {
                let why = format!(
                    "{} answers {status}: {}",
                    self.url,
                    site::message(status, &reply.body)
                );
                return Sent::Later {
                    why,
                    after: reply.retry_after,
                };
            }
            status => {
                let message = site::message(status, &reply.body);
                return Sent::Refused { status, message };
            }
        };
        match found {
            Ok(logged) => Sent::Logged(Box::new(logged)),
            // The server that was asked may lag behind the one that found the duplicate.
            Err(
                error @ (ReadError::Absent(_) | ReadError::Fetch(_) | ReadError::Refused { .. }),
            ) => Sent::Later {
                why: error.to_string(),
                after: None,
            },
            Err(error) => Sent::Unverified(error),
        }
    }

    /// Reads an entry of the API of `proposal`, verifies it, and compares it with what was sent.
    fn open(&self, proposal: &Proposal, answer: &[u8], was_there: bool) -> Result<Logged> {
        let (entry, promise) = match proposal.api() {
            Api::V1 => {
                let entry = v1::open_entry(&self.keys, answer)?;
                (entry, Some(Promise::of(answer)?))
            }
            Api::V2 => (v2::open_entry(&self.keys, answer)?, None),
        };
        require(proposal.is(&entry), || {
            "it is about another entry than was sent".to_owned()
        })?;
        Ok(Logged {
            entry,
            promise,
            was_there,
        })
    }

    /// Fetches the entry that a log of Rekor v1 has already.
    async fn find_v1(&self, proposal: &Proposal, reply: &Reply) -> ReadResult<Logged> {
        let named = answer::entry_id(reply.location.as_deref(), &reply.body);
        let id = named.unwrap_or_else(|| proposal.leaf_hash().to_string());
        let path = format!("{ENTRIES_V1}/{id}");
        let absent = format!("entry {id}, which it calls a duplicate");
        let answer = self.site.expect(&path, MAX_ENTRY, &absent).await?;
        self.open(proposal, &answer, true)
            .map_err(self.site.wrong(&path))
    }

    /// Fetches the entry that a log of Rekor v2 has already: by its index from the tiles, or by its
    /// leaf hash where the log has that look-up.
    async fn find_v2(&self, proposal: &Proposal, reply: &Reply) -> ReadResult<Logged> {
        let wrong = self.site.wrong(ENTRIES_V2);
        let index = answer::log_index(reply.log_index.as_deref(), &reply.body);
        let by_index = match index {
            Some(index) => {
                let head = self.tiles.head().await?;
                self.tiles.entry_at(index, head).await
            }
            None => self.tiles.entry_of(&proposal.leaf_hash()).await,
        };
        let is_it = matches!(&by_index, Ok(entry) if proposal.is(entry));
        let entry = if is_it || index.is_none() {
            by_index?
        } else {
            // The index may be one of a tree that was frozen, or not be published yet.
            match self.tiles.entry_of(&proposal.leaf_hash()).await {
                Ok(entry) => entry,
                Err(_) => by_index?,
            }
        };
        let is_sent = require(proposal.is(&entry), || {
            "it is about another entry than was sent".to_owned()
        });
        is_sent.map_err(wrong)?;
        Ok(Logged {
            entry,
            promise: None,
            was_there: true,
        })
    }
}

/// Returns the answer that an entry of a batch would have got alone.
fn reply_alone(result: BatchResult<'_>) -> Reply {
    let body = result.entry.or(result.error).map(RawValue::get);
    Reply {
        status: result.status,
        body: body.unwrap_or_default().as_bytes().to_vec(),
        location: result.location,
        retry_after: result.retry_after,
        log_index: None,
    }
}

/// Returns whether a conflict is about another entry: a treehead with unique packages has an entry
/// that gives the package another digest.
fn is_contradiction(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("has another digest in the transparency log")
}

/// Returns whether the same request may be answered otherwise later. After 500, 502 and 504 the
/// entry may be in the log.
fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests;
