//! Single entries: accepting one, showing one.

use std::sync::Arc;

use axum::extract::{OriginalUri, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use entry::{ProposedEntry, Refusal};
use http::header::{ETAG, HeaderValue, LOCATION};
use http::{StatusCode, Uri};
use ledger::{
    AppendError, Appended, Head, InclusionProof, Log, LoggedEntry, ReadError, Shards, TreeId,
};
use tlog::Hash;

use super::errors::{ApiError, Validation};
use super::json::BodyName;
use super::location::location;
use super::parameters;
use super::wire::{LogEntry, created_within, json, json_within, most_bytes};
use crate::answer::{self, room};
use crate::app::App;
use crate::attestations::Attestations;
use crate::entry_id::{EntryId, PATTERN, entry_id};
use crate::failure::{NoLog, append_failure, invalid_entry};
use crate::lookup::Place;
use crate::receipt::{self, EntryForm};
use crate::settings::OnDuplicate;
use crate::{intake, lookup, query};

/// The name of the body in messages.
const PROPOSED_ENTRY: BodyName = BodyName("proposedEntry");

/// Why an entry was not accepted.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// The ledger has no v1 log, or the body was not received.
    Body(ApiError),
    /// It is not an entry that this log accepts.
    Refused(Refusal),
    /// It is in the log already.
    Duplicate { entry_id: String, location: String },
    /// The log did not append it.
    Append(AppendError),
    /// It was appended, but its proof could not be made.
    Read(ReadError),
}

impl CreateError {
    /// Returns the error, and the location of the entry if it is in the log already.
    pub(crate) fn into_parts(self) -> (ApiError, Option<String>) {
        match self {
            Self::Body(error) => (error, None),
            Self::Refused(refusal) => (refusal_on_create(refusal), None),
            Self::Duplicate { entry_id, location } => {
                let message = format!(
                    "an equivalent entry already exists in the transparency log with UUID {entry_id}"
                );
                (
                    ApiError::handler(StatusCode::CONFLICT, message),
                    Some(location),
                )
            }
            Self::Append(error) => (ApiError::by_handler(append_failure(error)), None),
            Self::Read(error) => (error.into(), None),
        }
    }
}

impl IntoResponse for CreateError {
    fn into_response(self) -> Response {
        let (error, location) = self.into_parts();
        let mut response = error.into_response();
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

impl From<NoLog> for CreateError {
    fn from(error: NoLog) -> Self {
        Self::Body(error.into())
    }
}

impl From<Refusal> for CreateError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<AppendError> for CreateError {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl From<ReadError> for CreateError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<ApiError> for CreateError {
    fn from(error: ApiError) -> Self {
        Self::Body(error)
    }
}

/// `POST /api/v1/log/entries`.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Result<Response, CreateError> {
    let log = app.v1()?;
    let (head, body) = request.into_parts();
    let body = app.bodies.read(&head, body).await?;
    if body.bytes().trim_ascii().is_empty() {
        let message = "proposedEntry in body is required";
        return Err(ApiError::validation(Validation::Required, message).into());
    }
    let verify = intake::verification(&app, log);
    let verified = app
        .verifier
        .run(body, ProposedEntry::from_json, verify)
        .await??;
    let appended = log.append(intake::new_entry(&app, verified)?).await;
    let appended = intake::shown(&app, appended).await?;
    let entry = conflict_or_entry(&app, appended, &uri)?;
    created(&app, log, &uri, &entry).await
}

/// Returns the entry to answer with, and counts it if it is new. The entry's location is below
/// `uri`.
///
/// # Errors
///
/// The entry was in the log already, and this log answers that with a conflict.
pub(crate) fn conflict_or_entry(
    app: &App,
    appended: Appended,
    uri: &Uri,
) -> Result<LoggedEntry, CreateError> {
    match appended {
        Appended::Duplicate(entry) if app.duplicates.v1 == OnDuplicate::Conflict => {
            let entry_id = entry_id(entry.tree, &entry.leaf_hash);
            Err(CreateError::Duplicate {
                location: location(uri, &entry_id),
                entry_id,
            })
        }
        Appended::Duplicate(entry) => Ok(entry),
        Appended::Sequenced(entry) => {
            app.metrics.new_entry();
            Ok(entry)
        }
    }
}

/// Returns an entry as it is shown, with its proof in `head`.
pub(crate) async fn shown(
    log: &Log,
    head: &Arc<Head>,
    entry: &LoggedEntry,
    attestations: Attestations,
) -> Result<LogEntry, ReadError> {
    let proof = log
        .inclusion_proof(head, entry.leaf_index, &entry.leaf_hash)
        .await?;
    with_proof(log, entry, &proof, attestations)
}

fn with_proof(
    log: &Log,
    entry: &LoggedEntry,
    proof: &InclusionProof,
    attestations: Attestations,
) -> Result<LogEntry, ReadError> {
    let timestamp = log.signed_entry_timestamp(entry)?;
    Ok(LogEntry::new(entry, &timestamp, proof, attestations))
}

/// `GET /api/v1/log/entries?logIndex=`.
pub(crate) async fn by_index(
    State(app): State<Arc<App>>,
    form: EntryForm,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let log_index = parameters::required_integer(query.as_deref(), "logIndex", 0)?.unsigned_abs();
    let log = app.v1()?;
    let look = async |shards: Shards| place_at(&shards, log_index);
    let place = lookup::find(log, look).await?;
    show(&app, log, place, form).await
}

/// `GET /api/v1/log/entries/{entryUUID}`.
pub(crate) async fn by_uuid(
    State(app): State<Arc<App>>,
    form: EntryForm,
    uri: Uri,
) -> Result<Response, ApiError> {
    // The route has the ID in its last segment. Decoding is lenient, because a character that is
    // not a hex digit fails the pattern.
    let segment = uri.path().rsplit('/').next().unwrap_or_default();
    let text = query::decode(segment);
    let id = EntryId::parse(&text).ok_or_else(|| {
        ApiError::validation(
            Validation::Pattern,
            format!("entryUUID in path should match '{PATTERN}'"),
        )
    })?;
    let named = match id.tree {
        None => None,
        Some(prefix) => Some(prefix.tree_id().ok_or_else(|| {
            ApiError::handler(
                StatusCode::BAD_REQUEST,
                format!("validation error: {}", prefix.fault(&text)),
            )
        })?),
    };
    let log = app.v1()?;
    let look = |shards| place_of_hash(log, shards, named, id.leaf_hash);
    let place = lookup::find(log, look).await?;
    show(&app, log, place, form).await
}

async fn created(
    app: &App,
    log: &Log,
    uri: &Uri,
    logged: &LoggedEntry,
) -> Result<Response, CreateError> {
    let proof = intake::prove(log, logged).await?;
    let shown = || with_proof(log, logged, &proof, Attestations::NONE);
    let (entry, mut response) = if logged.body.len() > ledger::MAX_BUNDLED_LEAF_BYTES as usize {
        // Slow readers could hold one on each connection, and of usual size they may.
        let room = room(app, most_bytes(logged, &proof.head)).await?;
        let entry = shown()?;
        let response = created_within(room, &entry);
        (entry, response)
    } else {
        let entry = shown()?;
        let response = json(StatusCode::CREATED, &entry);
        (entry, response)
    };
    // Clients use it as the key of the answer, so it is without the quotes that a conditional
    // request would need.
    if let Ok(etag) = HeaderValue::from_str(entry.id()) {
        response.headers_mut().insert(ETAG, etag);
    }
    set_location(&mut response, &location(uri, entry.id()));
    Ok(response)
}

fn place_at(shards: &Shards, log_index: u64) -> Result<Option<Place>, ReadError> {
    let Some((head, leaf_index)) = shards.find(log_index) else {
        shards.check_index(log_index)?;
        return Ok(None);
    };
    Ok(lookup::place_at(head, leaf_index))
}

/// Looks in the named tree, or else in the active one and then in the others, oldest first.
async fn place_of_hash(
    log: &Log,
    shards: Shards,
    named: Option<TreeId>,
    leaf_hash: Hash,
) -> Result<Option<Place>, ReadError> {
    for head in shards
        .active_first()
        .filter(|head| named.is_none_or(|named| named == head.tree.id))
    {
        let found = lookup::place_of_hash(log, head, leaf_hash).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    named.map_or(Ok(()), |tree| shards.check_tree(tree))?;
    Ok(None)
}

/// Shows an entry. If the log does not have it, the answer is 404 without a body and without a
/// content type.
async fn show(
    app: &App,
    log: &Log,
    place: Option<Place>,
    form: EntryForm,
) -> Result<Response, ApiError> {
    let Some(place) = place else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let (room, entry) = answer::entry::<ApiError>(app, log, &place).await?;
    if form == EntryForm::Receipt {
        return Ok(receipt::show(log, &place, &entry).await?);
    }
    let entry = shown(log, &place.head, &entry, app.attestations).await?;
    Ok(json_within(room, &entry))
}

fn set_location(response: &mut Response, location: &str) {
    // A request target is visible ASCII, and so is the location made from it. Any other byte would
    // only lose the header.
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
}

fn refusal_on_create(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Json(reason) => PROPOSED_ENTRY.refuse(reason),
        Refusal::Required(field) => {
            ApiError::validation(Validation::Required, format!("{field} in body is required"))
        }
        Refusal::Pattern(message) => ApiError::validation(Validation::Pattern, message),
        refusal @ Refusal::UnknownKind(_) => {
            ApiError::framework(StatusCode::UNPROCESSABLE_ENTITY, refusal.to_string())
        }
        Refusal::Invalid(reason) => ApiError::by_handler(invalid_entry(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_rekors_status_and_form() {
        for (refusal, status, body) in [
            (
                Refusal::Required("kind"),
                422,
                "{\"code\":602,\"message\":\"kind in body is required\"}",
            ),
            (
                Refusal::Pattern("p".into()),
                422,
                "{\"code\":605,\"message\":\"p\"}",
            ),
            (
                Refusal::UnknownKind("bogus".into()),
                422,
                "{\"code\":422,\"message\":\"invalid kind value: \\\"bogus\\\"\"}",
            ),
            (
                Refusal::Invalid("r".into()),
                400,
                "{\"code\":400,\"message\":\"error processing entry: r\"}\n",
            ),
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
}
