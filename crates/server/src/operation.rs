//! The operations of Rekor's v1 API and the two beyond it, a search and a batch of writes, and what is the same for all of them: negotiation, no-cache headers, Rekor's metrics.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, EXPIRES, HeaderName, PRAGMA};
use http::{HeaderValue, Method, StatusCode};
use tokio::time::{Instant, timeout};

use crate::app::App;
use crate::body::{has_body, patience};
use crate::errors::ApiError;
use crate::metrics::Refused;
use crate::negotiation;

/// An operation. Its names are those of Rekor's own specification, where it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    GetLogInfo,
    GetPublicKey,
    GetLogProof,
    CreateLogEntry,
    GetLogEntryByIndex,
    GetLogEntryByUuid,
    SearchLogQuery,
    SearchIndex,
    /// Ours.
    SearchEntries,
    /// Ours.
    CreateLogEntries,
}

/// The operations that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations(Vec<Operation>);

/// A name that is not one of an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an operation; known are {known}", known = Operation::ALL.map(Operation::id).join(", "))]
pub struct UnknownOperation(String);

impl Operations {
    /// Those with these names: Rekor's `operationId`s, `searchEntries` and `createLogEntries`. All others are answered with 501.
    pub fn from_names<Name: AsRef<str>>(names: impl IntoIterator<Item = Name>) -> Result<Self, UnknownOperation> {
        let named = names.into_iter().map(|name| {
            let name = name.as_ref();
            let named = Operation::ALL.into_iter().find(|operation| operation.id() == name);
            named.ok_or_else(|| UnknownOperation(name.to_owned()))
        });
        named.collect::<Result<_, _>>().map(Self)
    }
}

impl Default for Operations {
    /// All of them.
    fn default() -> Self {
        Self(Operation::ALL.to_vec())
    }
}

/// The media type that was negotiated for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerType(pub(crate) &'static str);

/// The route template of an answer, for metrics and the access log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route(pub(crate) &'static str);

const NO_CACHE: [(HeaderName, HeaderValue); 4] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, no-transform, must-revalidate, private, max-age=0")),
    (EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT")),
    (PRAGMA, HeaderValue::from_static("no-cache")),
    (HeaderName::from_static("x-accel-expires"), HeaderValue::from_static("0")),
];

impl Operation {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::GetLogInfo,
        Self::GetPublicKey,
        Self::GetLogProof,
        Self::CreateLogEntry,
        Self::GetLogEntryByIndex,
        Self::GetLogEntryByUuid,
        Self::SearchLogQuery,
        Self::SearchIndex,
        Self::SearchEntries,
        Self::CreateLogEntries,
    ];

    /// Route template.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::GetLogInfo => "/api/v1/log",
            Self::GetPublicKey => "/api/v1/log/publicKey",
            Self::GetLogProof => "/api/v1/log/proof",
            Self::CreateLogEntry | Self::GetLogEntryByIndex => "/api/v1/log/entries",
            Self::GetLogEntryByUuid => "/api/v1/log/entries/{entryUUID}",
            Self::SearchLogQuery => "/api/v1/log/entries/retrieve",
            Self::SearchIndex => "/api/v1/index/retrieve",
            Self::SearchEntries => "/api/v1/index/search",
            Self::CreateLogEntries => "/api/v1/log/entries/batch",
        }
    }

    /// Method.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::CreateLogEntry | Self::SearchLogQuery | Self::SearchIndex | Self::CreateLogEntries => Method::POST,
            _ => Method::GET,
        }
    }

    /// Rekor's `operationId`.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::GetLogInfo => "getLogInfo",
            Self::GetPublicKey => "getPublicKey",
            Self::GetLogProof => "getLogProof",
            Self::CreateLogEntry => "createLogEntry",
            Self::GetLogEntryByIndex => "getLogEntryByIndex",
            Self::GetLogEntryByUuid => "getLogEntryByUUID",
            Self::SearchLogQuery => "searchLogQuery",
            Self::SearchIndex => "searchIndex",
            Self::SearchEntries => "searchEntries",
            Self::CreateLogEntries => "createLogEntries",
        }
    }

    /// What Rekor calls it where it is not enabled.
    fn title(self) -> &'static str {
        match self {
            Self::GetLogInfo => "Get Log Info",
            Self::GetPublicKey => "Get Public Key",
            Self::GetLogProof => "Get Log Proof",
            Self::CreateLogEntry => "Create Entry",
            Self::GetLogEntryByIndex => "Get Log Entry by Index",
            Self::GetLogEntryByUuid => "Get Log Entry by UUID",
            Self::SearchLogQuery => "Search Log Query",
            Self::SearchIndex => "Search Index",
            Self::SearchEntries => "Search Entries",
            Self::CreateLogEntries => "Create Entries",
        }
    }

    /// The media types it answers with, the preferred one first.
    fn produces(self) -> &'static [&'static str] {
        match self {
            Self::GetPublicKey => &["application/x-pem-file", "application/json"],
            _ => &["application/json"],
        }
    }

    /// Whether its answers, errors included, forbid every cache.
    fn forbids_caching(self) -> bool {
        self.method() == Method::GET
    }
}

/// Runs one operation: everything that Rekor's framework does once a route matched.
pub(crate) async fn operate(
    State((app, operation)): State<(Arc<App>, Operation)>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let agreed = agree(operation, &request).and_then(|answer_type| {
        let message = || format!("{} API not enabled in this Rekor instance", operation.title());
        let is_enabled = app.operations.0.contains(&operation);
        is_enabled.then_some(answer_type).ok_or_else(|| ApiError::handler(StatusCode::NOT_IMPLEMENTED, message()))
    });
    let mut response = match agreed {
        Err(error) => error.into_response(),
        Ok(answer_type) => {
            request.extensions_mut().insert(answer_type);
            timeout(patience(&request), next.run(request)).await.unwrap_or_else(|_| {
                tracing::warn!(operation = operation.id(), "a request took too long");
                ApiError::handler(StatusCode::GATEWAY_TIMEOUT, "Gateway Timeout")
                    .because(Refused::Timeout)
                    .into_response()
            })
        }
    };
    if operation.forbids_caching() {
        response.headers_mut().extend(NO_CACHE);
    }
    response.extensions_mut().insert(Route(operation.path()));
    app.metrics.api_answer(operation.path(), &operation.method(), response.status(), started.elapsed());
    response
}

/// The type of the request's body, then that of the answer. With a body the request's own type, JSON, is the fallback.
fn agree(operation: Operation, request: &Request) -> Result<AnswerType, ApiError> {
    let headers = request.headers();
    let fallback = if has_body(request) {
        negotiation::check_content_type(headers)?;
        Some("application/json")
    } else {
        None
    };
    match (negotiation::negotiate(headers, operation.produces()), fallback) {
        (Ok(agreed), _) | (Err(_), Some(agreed)) => Ok(AnswerType(agreed)),
        (Err(error), None) => Err(error),
    }
}
