//! Single entries: taking one in, showing one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use entry::{ProposedEntry, Refusal, VerifiedEntry};
use http::header::{ALLOW, ETAG, HeaderValue, LOCATION};
use http::{StatusCode, Uri};
use ledger::store::Attestation;
use ledger::{AppendError, Appended, Head, LoggedEntry, NewEntry, ReadError, Shards, TreeId};
use tlog::Hash;

use super::entry_id::{EntryId, PATTERN, entry_id};
use super::errors::{ApiError, DATABASE_RETRY_SECONDS, Validation};
use super::json::BodyName;
use super::wire::{LogEntry, entry_bytes, json, json_within, room};
use crate::app::App;
use crate::attestations::Attestations;
use crate::metrics;
use crate::path::location;
use crate::query;
use crate::settings::OnDuplicate;
use host::Admitted;
use host::Share;

/// The name of the body in messages.
const PROPOSED_ENTRY: BodyName = BodyName("proposedEntry");

/// When to come back if the server is stopping: about as long as its restart takes.
const STOPPING_RETRY_SECONDS: u64 = 5;

/// When to come back to a log that cannot write until an operator acts.
const OPERATOR_RETRY_SECONDS: u64 = 60;

/// Why an entry was not taken in.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// This log takes entries by the other API.
    V2Only,
    /// The body did not arrive.
    Body(ApiError),
    /// It is not an entry that this log admits.
    Refused(Refusal),
    /// It is in the log already.
    Duplicate { entry_id: String, location: String },
    /// The log did not take it.
    Append(AppendError),
    /// It was taken, but its proof could not be made.
    Read(ReadError),
}

impl CreateError {
    /// What is said, and where the entry is if it is in the log already.
    pub(crate) fn into_parts(self) -> (ApiError, Option<String>) {
        match self {
            Self::V2Only => {
                let message = "this log takes entries by the Rekor v2 API only, POST /api/v2/log/entries";
                (ApiError::handler(StatusCode::METHOD_NOT_ALLOWED, message), None)
            }
            Self::Body(error) => (error, None),
            Self::Refused(refusal) => (refusal_on_create(refusal), None),
            Self::Duplicate { entry_id, location } => {
                let message =
                    format!("an equivalent entry already exists in the transparency log with UUID {entry_id}");
                (ApiError::handler(StatusCode::CONFLICT, message), Some(location))
            }
            Self::Append(error) => (ApiError::by_handler(append_failure(error)), None),
            Self::Read(error) => (error.into(), None),
        }
    }
}

impl IntoResponse for CreateError {
    fn into_response(self) -> Response {
        let (error, location) = self.into_parts();
        let is_not_allowed = error.status() == StatusCode::METHOD_NOT_ALLOWED;
        let mut response = error.into_response();
        if is_not_allowed {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        }
        if let Some(location) = location {
            set_location(&mut response, &location);
        }
        response
    }
}

impl From<host::Refusal> for CreateError {
    fn from(refusal: host::Refusal) -> Self {
        Self::Body(refusal.into())
    }
}

impl From<ApiError> for CreateError {
    fn from(error: ApiError) -> Self {
        Self::Body(error)
    }
}

/// Why an entry is not shown.
#[derive(Debug)]
pub(crate) enum GetError {
    /// A parameter does not bind.
    Parameter(ApiError),
    /// There is none: 404 without a body and without a content type.
    Absent,
    /// The database.
    Read(ReadError),
}

impl IntoResponse for GetError {
    fn into_response(self) -> Response {
        match self {
            Self::Parameter(error) => error.into_response(),
            Self::Absent => StatusCode::NOT_FOUND.into_response(),
            Self::Read(error) => ApiError::from(error).into_response(),
        }
    }
}

impl From<host::Refusal> for GetError {
    fn from(refusal: host::Refusal) -> Self {
        Self::Parameter(refusal.into())
    }
}

impl From<ApiError> for GetError {
    fn from(error: ApiError) -> Self {
        Self::Parameter(error)
    }
}

impl From<ReadError> for GetError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// `POST /api/v1/log/entries`.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Result<Response, CreateError> {
    let body = read_body(&app, request).await?;
    if body.bytes().trim_ascii().is_empty() {
        let message = "proposedEntry in body is required";
        return Err(ApiError::validation(Validation::Required, message).into());
    }
    let checked = app.verifier.run(body, ProposedEntry::from_json, verification(&app)).await?;
    let verified = checked.map_err(CreateError::Refused)?;
    let appended = append(&app, verified).await.map_err(CreateError::Append)?;
    let entry = admitted(&app, appended, &uri)?;
    created(&app, &uri, &entry).await.map_err(CreateError::Read)
}

/// The body of a request that brings entries, if this log takes them by this API.
pub(crate) async fn read_body(app: &App, request: Request) -> Result<Admitted, CreateError> {
    if !app.ledger.tree().apis.takes_v1() {
        return Err(CreateError::V2Only);
    }
    let (head, body) = request.into_parts();
    Ok(app.bodies.read(&head, body).await?)
}

/// The check of a proposed entry, by this log's policy, now.
pub(crate) fn verification(app: &App) -> impl FnOnce(ProposedEntry) -> Result<VerifiedEntry, Refusal> + use<> {
    let (policy, now) = (Arc::clone(&app.policy), app.now());
    let max_leaf_bytes = app.ledger.tree().max_leaf_bytes as usize;
    move |proposed| proposed.with_max_leaf_bytes(max_leaf_bytes).verify(&policy, now)
}

/// The entry to answer with; counts those that are new. `uri` is what the entry's location is below.
///
/// # Errors
///
/// It was in the log already, and this log answers that with a conflict.
pub(crate) fn admitted(app: &App, appended: Appended, uri: &Uri) -> Result<LoggedEntry, CreateError> {
    match appended {
        Appended::Duplicate(entry) if app.duplicates.v1 == OnDuplicate::Conflict => {
            let entry_id = entry_id(entry.tree, &entry.leaf_hash);
            Err(CreateError::Duplicate { location: location(uri, &entry_id), entry_id })
        }
        Appended::Duplicate(entry) => Ok(entry),
        Appended::Sequenced(entry) => {
            app.metrics.new_entry();
            Ok(entry)
        }
    }
}

/// An entry as it is shown, with its proof in `head`.
pub(crate) async fn shown(
    app: &App,
    head: &Arc<Head>,
    entry: &LoggedEntry,
    attestations: Attestations,
) -> Result<LogEntry, ReadError> {
    let proof = app.ledger.inclusion_proof(head, entry.leaf_index, &entry.leaf_hash).await?;
    let timestamp = app.ledger.signed_entry_timestamp(entry)?;
    Ok(LogEntry::new(entry, &timestamp, &proof, attestations))
}

/// `GET /api/v1/log/entries?logIndex=`.
pub(crate) async fn by_index(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, GetError> {
    let log_index = query::required_integer(query.as_deref(), "logIndex", 0)?.unsigned_abs();
    let room = room(&app, entry_bytes(&app)).await?;
    let known = app.ledger.shards();
    if let Some((head, entry)) = entry_at(&app, &known, log_index).await? {
        return show(&app, room, head, &entry).await;
    }
    let newest = app.ledger.newest_shards().await?;
    let (head, entry) = entry_at(&app, &newest, log_index).await?.ok_or(GetError::Absent)?;
    show(&app, room, head, &entry).await
}

/// `GET /api/v1/log/entries/{entryUUID}`.
pub(crate) async fn by_uuid(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, GetError> {
    // The route has the ID in its last segment; decoding is lenient, what is no hex digit then fails the pattern.
    let segment = uri.path().rsplit('/').next().unwrap_or_default();
    let text = query::decode(segment);
    let id = EntryId::parse(&text).ok_or_else(|| {
        ApiError::validation(Validation::Pattern, format!("entryUUID in path should match '{PATTERN}'"))
    })?;
    let named = match id.tree {
        None => None,
        Some(prefix) => Some(prefix.tree_id().ok_or_else(|| {
            ApiError::handler(StatusCode::BAD_REQUEST, format!("validation error: {}", prefix.fault(&text)))
        })?),
    };
    let room = room(&app, entry_bytes(&app)).await?;
    let known = app.ledger.shards();
    if let Some((head, entry)) = entry_with_hash(&app, &known, named, id.leaf_hash).await? {
        return show(&app, room, head, &entry).await;
    }
    let newest = app.ledger.newest_shards().await?;
    let (head, entry) = entry_with_hash(&app, &newest, named, id.leaf_hash).await?.ok_or(GetError::Absent)?;
    show(&app, room, head, &entry).await
}

/// Appends a verified entry.
pub(crate) async fn append(app: &App, verified: VerifiedEntry) -> Result<Appended, AppendError> {
    app.ledger.append(new_entry(app, verified)).await
}

/// The one way of a verified entry into the log.
pub(crate) fn new_entry(app: &App, verified: VerifiedEntry) -> NewEntry {
    let kind = verified.kind().to_owned();
    let (leaf_bytes, index_keys, attestation) = verified.into_parts();
    let attestation = attestation.filter(|data| app.attestations.takes(data));
    let attestation = attestation.map(|data| Attestation { digest: tlog::sha256(&data), data });
    NewEntry { leaf_bytes, kind, index_keys, attestation }
}

async fn created(app: &App, uri: &Uri, entry: &LoggedEntry) -> Result<Response, ReadError> {
    // An appended entry is below the published head of its tree, which need not be the active one any more.
    let head = app.ledger.head_of(entry.tree).unwrap_or_else(|| app.ledger.head());
    let entry = shown(app, &head, entry, Attestations::NONE).await?;
    let mut response = json(StatusCode::CREATED, &entry);
    // Clients use it as the key of the answer: without the quotes that a conditional request would need.
    if let Ok(etag) = HeaderValue::from_str(entry.id()) {
        response.headers_mut().insert(ETAG, etag);
    }
    set_location(&mut response, &location(uri, entry.id()));
    Ok(response)
}

async fn entry_at<'s>(
    app: &App,
    shards: &'s Shards,
    log_index: u64,
) -> Result<Option<(&'s Arc<Head>, LoggedEntry)>, ReadError> {
    let Some((head, leaf_index)) = shards.find(log_index) else { return Ok(None) };
    let entry = app.ledger.entries(head, &[leaf_index]).await?.pop();
    Ok(entry.map(|entry| (head, entry)))
}

/// In the tree that is named; else in the active one, then in the others, oldest first.
async fn entry_with_hash<'s>(
    app: &App,
    shards: &'s Shards,
    named: Option<TreeId>,
    leaf_hash: Hash,
) -> Result<Option<(&'s Arc<Head>, LoggedEntry)>, ReadError> {
    for head in shards.active_first().filter(|head| named.is_none_or(|named| named == head.tree.id)) {
        if let Some(found) = app.ledger.find_leaves(head, &[leaf_hash]).await?.first() {
            let entry = app.ledger.entries(head, &[found.leaf_index]).await?.pop();
            return Ok(entry.map(|entry| (head, entry)));
        }
    }
    Ok(None)
}

async fn show(app: &App, room: Share, head: &Arc<Head>, entry: &LoggedEntry) -> Result<Response, GetError> {
    Ok(json_within(room, &shown(app, head, entry, app.attestations).await?))
}

fn set_location(response: &mut Response, location: &str) {
    // A request target is visible ASCII, and so is what follows from it; a byte that is not would only lose the header.
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
}

fn refusal_on_create(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Json(reason) => PROPOSED_ENTRY.refuse(reason),
        Refusal::Required(field) => ApiError::validation(Validation::Required, format!("{field} in body is required")),
        Refusal::Pattern(message) => ApiError::validation(Validation::Pattern, message),
        refusal @ Refusal::UnknownKind(_) => ApiError::framework(StatusCode::UNPROCESSABLE_ENTITY, refusal.to_string()),
        Refusal::Invalid(reason) => ApiError::by_handler(invalid(reason)),
    }
}

pub(crate) fn append_failure(error: AppendError) -> host::Refusal {
    match &error {
        AppendError::LeafTooLarge { .. } | AppendError::Refused(_) => {
            tracing::info!(%error, "an entry was not appended")
        }
        AppendError::Busy { .. } | AppendError::Unpublished { .. } | AppendError::Stopping => {
            tracing::debug!(%error, "an entry was not appended");
        }
        AppendError::ReadOnly(_) | AppendError::Clock(_) | AppendError::Unavailable(_) => {
            tracing::error!(%error, "an entry was not appended");
        }
    }
    match error {
        // A third of the keys of people who sign one another's keys do not fit.
        AppendError::LeafTooLarge { .. } => invalid(format!(
            "{error}: most often because of the key, which should go without the signatures of others \
             (gpg --export --armor --export-options export-minimal) and without certificates that are not needed"
        )),
        AppendError::Refused(_) => invalid("the log's database cannot store it"),
        AppendError::Busy { retry_after } => {
            host::Refusal::unavailable(metrics::QUEUE, "the log is busy", whole_seconds(retry_after))
        }
        AppendError::Unpublished { retry_after } => {
            let message = "the log waits for its witnesses";
            host::Refusal::unavailable(metrics::WITNESSES, message, whole_seconds(retry_after))
        }
        AppendError::ReadOnly(_) => {
            host::Refusal::unavailable(metrics::READ_ONLY, "the log is read-only", OPERATOR_RETRY_SECONDS)
        }
        AppendError::Clock(_) => {
            host::Refusal::unavailable(metrics::CLOCK, "the log's clocks disagree", OPERATOR_RETRY_SECONDS)
        }
        AppendError::Unavailable(_) => {
            let message = "unexpected error communicating with transparency log";
            host::Refusal::unavailable(metrics::DATABASE, message, DATABASE_RETRY_SECONDS)
        }
        AppendError::Stopping => {
            host::Refusal::unavailable(metrics::STOPPING, "the server is stopping", STOPPING_RETRY_SECONDS)
        }
    }
}

fn whole_seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn invalid(reason: impl std::fmt::Display) -> host::Refusal {
    host::Refusal::new(StatusCode::BAD_REQUEST, format!("error processing entry: {reason}"))
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    fn append(error: AppendError) -> ApiError {
        ApiError::by_handler(append_failure(error))
    }

    #[test]
    fn refusals_have_rekors_status_and_form() {
        for (refusal, status, body) in [
            (Refusal::Required("kind"), 422, "{\"code\":602,\"message\":\"kind in body is required\"}"),
            (Refusal::Pattern("p".into()), 422, "{\"code\":605,\"message\":\"p\"}"),
            (
                Refusal::UnknownKind("bogus".into()),
                422,
                "{\"code\":422,\"message\":\"invalid kind value: \\\"bogus\\\"\"}",
            ),
            (Refusal::Invalid("r".into()), 400, "{\"code\":400,\"message\":\"error processing entry: r\"}\n"),
            (
                Refusal::Json("j".into()),
                400,
                "{\"code\":400,\"message\":\"parsing proposedEntry body from \\\"\\\" failed, because j\"}",
            ),
        ] {
            let error = refusal_on_create(refusal);
            assert_eq!(error.body(), body);
            assert_eq!(error.into_response().status(), status);
        }
    }

    #[test]
    fn a_log_that_cannot_write_says_503_and_when_to_come_back_but_not_why() {
        let why = "host=db.internal".to_owned();
        for (error, seconds) in [
            (AppendError::Busy { retry_after: Duration::from_millis(1001) }, "2"),
            (AppendError::Busy { retry_after: Duration::ZERO }, "1"),
            (AppendError::Unpublished { retry_after: Duration::from_secs(2) }, "2"),
            (AppendError::ReadOnly(why.clone()), "60"),
            (AppendError::Clock(why.clone()), "60"),
            (AppendError::Unavailable(why.clone()), "5"),
            (AppendError::Stopping, "5"),
        ] {
            let error = append(error);
            assert!(error.body().starts_with("{\"code\":503,\"message\":\"") && !error.body().contains("db.internal"));
            let response = error.into_response();
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()[RETRY_AFTER], seconds);
        }
    }

    #[test]
    fn a_leaf_that_is_too_large_is_the_clients_fault_and_names_both_sizes() {
        let error = append(AppendError::LeafTooLarge { got: 70_000, limit: 65_535 });
        assert!(error.body().contains("70000") && error.body().contains("65535"));
        assert!(error.body().contains("export-minimal"), "says what to do");
        assert_eq!(error.into_response().status(), 400);
        assert!(!append(AppendError::Refused("relation x".into())).body().contains("relation"));
    }
}
