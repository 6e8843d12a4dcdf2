//! The server of a log: paths below one URL, and what its answers mean.

use serde::Deserialize;

use crate::error::VerifyError;
use crate::fetch::{Ask, Fetch, FetchError};

/// Longest part of a refusal that is shown.
const MAX_MESSAGE: usize = 300;

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The server refuses the request.
    #[error("{url} answers {status}: {message}")]
    Refused {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the server says, in one line.
        message: String,
    },
    /// The log does not have what was asked for.
    #[error("{0}")]
    Absent(String),
    /// The log has no such operation.
    #[error("{0}")]
    Unsupported(String),
    /// The answer does not verify.
    #[error("the answer of {url} does not verify: {source}")]
    Answer {
        /// The URL.
        url: String,
        /// The fault.
        source: VerifyError,
    },
    /// A head does not continue an earlier one.
    #[error(transparent)]
    History(Box<HistoryError>),
}

/// Why a head does not continue an earlier one. This is what a log must never do.
#[derive(Debug, thiserror::Error)]
#[error(
    "{origin} showed size {first} with root {first_root} and now size {second} with root {second_root}: {fault}"
)]
pub struct HistoryError {
    /// The origin of both heads.
    pub origin: String,
    /// The size of the earlier head.
    pub first: tlog::TreeSize,
    /// Its root.
    pub first_root: tlog::Hash,
    /// The size of the head that the log shows now.
    pub second: tlog::TreeSize,
    /// Its root.
    pub second_root: tlog::Hash,
    /// What is wrong between the two.
    pub fault: Fault,
}

/// What is wrong between two heads of one tree.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Two roots of one size. Both heads together prove that the log forked.
    #[error("two roots of one size, so the log forked")]
    TwoRoots,
    /// The tree is smaller than before, and the log proves nothing up to the head that it showed
    /// before.
    #[error("the log went back")]
    WentBack,
    /// The proof that the log offers does not lead from the smaller tree to the larger one.
    #[error("no proof leads from one to the other ({error})")]
    NotProved {
        /// The hashes of the offered proof.
        hashes: Vec<tlog::Hash>,
        /// The root of the smaller tree by the tiles of the larger one, where the log has tiles.
        first_root: Option<tlog::Hash>,
        /// Why the proof is not accepted.
        error: VerifyError,
    },
}

/// The result of reading a log.
pub type ReadResult<T> = Result<T, ReadError>;

/// A server.
#[derive(Clone, Debug)]
pub(crate) struct Site<F> {
    base: String,
    fetch: F,
}

impl<F: Fetch> Site<F> {
    /// `base` is the URL of the log, with or without a slash at its end.
    pub(crate) fn new(base: &str, fetch: F) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            fetch,
        }
    }

    /// Returns the URL of a path, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Returns the body at a path, or `None` if the server has none there.
    pub(crate) async fn get(&self, path: &str, limit: usize) -> ReadResult<Option<Vec<u8>>> {
        self.ask(path, None, limit).await
    }

    /// Returns the body at a path. `absent` says what is missing if there is none.
    pub(crate) async fn expect(
        &self,
        path: &str,
        limit: usize,
        absent: &str,
    ) -> ReadResult<Vec<u8>> {
        let absent = || ReadError::Absent(format!("{} has no {absent}", self.base));
        self.get(path, limit).await?.ok_or_else(absent)
    }

    /// Sends JSON and returns the answer, or `None` for 404.
    pub(crate) async fn post(
        &self,
        path: &str,
        json: String,
        limit: usize,
    ) -> ReadResult<Option<Vec<u8>>> {
        self.ask(path, Some(json), limit).await
    }

    async fn ask(
        &self,
        path: &str,
        json: Option<String>,
        limit: usize,
    ) -> ReadResult<Option<Vec<u8>>> {
        let ask = Ask {
            url: self.url(path),
            json,
            limit,
        };
        let answer = self.fetch.fetch(&ask).await?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            status => Err(ReadError::Refused {
                url: ask.url,
                status,
                message: message(status, &answer.body),
            }),
        }
    }

    /// Names the URL of an answer that does not verify.
    pub(crate) fn wrong(&self, path: &str) -> impl Fn(VerifyError) -> ReadError {
        let url = self.url(path);
        move |source| ReadError::Answer {
            url: url.clone(),
            source,
        }
    }
}

/// Returns the reason in a refusal: the message of Rekor's JSON, or the beginning of the text.
pub(crate) fn message(status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    if (300..400).contains(&status) {
        return "a redirect; give the URL that it leads to".to_owned();
    }
    let text = match serde_json::from_slice(body) {
        Ok(Refusal { message }) => message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let shown = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shown.chars().take(MAX_MESSAGE).collect()
}
