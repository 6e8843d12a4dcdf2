//! Rekor v2 over gRPC: `dev.sigstore.rekor.v2.Rekor/CreateEntry`, with the health and reflection
//! services.
//!
//! The one method is unary, so its body is one frame: a flag, a length, a message. It is read here
//! within the limits of all request bodies, and not by tonic, which does not know them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, map_request};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use entry::ProposedEntry;
use futures_util::StreamExt as _;
use host::limits::BODY_TIMEOUT;
use host::{FRAME_HEADER_BYTES, patience_with};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::ReflectMessage as _;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use sigstore_protobuf_specs::dev::sigstore::rekor::v1::TransparencyLogEntry;
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::CreateEntryRequest;
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::admitted;
use super::entries::accept;
use super::error::Error;
use super::shard::Shard;
use super::wire::log_entry;
use crate::app::App;
use crate::health;
use crate::limits::MAX_SERVICE_MESSAGE_BYTES;
use crate::operation::Operation;

const SERVICE: &str = "dev.sigstore.rekor.v2.Rekor";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Whether a request is one of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(GRPC.as_bytes()))
}

/// Returns the services. Other methods are `Unimplemented`.
pub(super) fn routes(app: &Arc<App>) -> Router {
    let mut services = tonic::service::Routes::builder();
    let health = HealthServer::new(Readiness(Arc::clone(app)));
    services.add_service(health.max_decoding_message_size(MAX_SERVICE_MESSAGE_BYTES));
    match tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(descriptors())
        .build_v1()
    {
        Ok(reflection) => {
            services.add_service(reflection.max_decoding_message_size(MAX_SERVICE_MESSAGE_BYTES));
        }
        Err(error) => tracing::error!(%error, "no gRPC reflection"),
    }
    let mut router = services
        .routes()
        .into_axum_router()
        .layer(map_request(with_end));
    if let Some(path) = Operation::CreateEntry.grpc() {
        router = router.route(
            path,
            axum::routing::post(create_entry).with_state(Arc::clone(app)),
        );
    }
    router.layer(from_fn(name_route))
}

/// tonic waits for a request as long as its client likes, so the wait is bounded here.
async fn with_end(request: Request) -> Request {
    request.map(|body| Body::from_stream(body.into_data_stream().take_until(sleep(BODY_TIMEOUT))))
}

async fn name_route(request: Request, next: Next) -> Response {
    let route = Operation::grpc_route(request.uri().path());
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// The health service, which answers as `/readyz` does.
struct Readiness(Arc<App>);

#[tonic::async_trait]
impl Health for Readiness {
    type WatchStream = Empty;

    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        if !matches!(request.into_inner().service.as_str(), "" | SERVICE) {
            return Err(Status::not_found("unknown service"));
        }
        let status = match health::check(&self.0).await {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        let status = status.into();
        Ok(tonic::Response::new(HealthCheckResponse { status }))
    }

    /// Refused: each check looks anew, and nothing tells of a change.
    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("the health is checked, not watched"))
    }
}

/// The watch stream that is never made.
type Empty = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;

async fn create_entry(State(app): State<Arc<App>>, request: Request) -> Response {
    match answer(&app, request).await {
        Ok(entry) => framed(&entry),
        Err(error) => error.into_grpc_response(),
    }
}

async fn answer(app: &App, request: Request) -> Result<TransparencyLogEntry, Error> {
    if let Err(error) = admitted(app, Operation::CreateEntry, request.headers()) {
        app.bodies.discard(request).await;
        return Err(error);
    }
    let log = app.v2()?;
    let (head, body) = request.into_parts();
    if Shard::of(&head).is_frozen(log) {
        return Err(Error::frozen());
    }
    let body = app.bodies.read_frame(&head, body).await?;
    // Reading has bounds of its own, and returned the size of the body.
    let patience = patience_with(Some(body.bytes().len() as u64));
    let (entry, proof) = timeout(patience, accept(app, log, body, from_frame))
        .await
        .map_err(|_| Error::timeout())??;
    Ok(log_entry(&entry, &proof))
}

/// The request in its frame.
fn from_frame(frame: &[u8]) -> Result<ProposedEntry, entry::Refusal> {
    match frame.split_at_checked(FRAME_HEADER_BYTES) {
        Some(([0, ..], message)) => ProposedEntry::from_v2_protobuf(message),
        _ => Err(entry::Refusal::Invalid(
            "a message that is compressed or cut off".to_owned(),
        )),
    }
}

/// An answer of one message and the status OK.
fn framed(entry: &TransparencyLogEntry) -> Response {
    let length = entry.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_HEADER_BYTES + length);
    frame.put_u8(0);
    // An answer has a few hundred kilobytes at most.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(&entry.encode_to_vec());
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::<Bytes>::new(frame.freeze()).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// Returns the generated messages and the one service, which is written by hand.
fn descriptors() -> FileDescriptorSet {
    let request = CreateEntryRequest::default().descriptor();
    let answer = TransparencyLogEntry::default().descriptor();
    let (package, name) = SERVICE.rsplit_once('.').unwrap_or_default();
    let service = ServiceDescriptorProto {
        name: Some(name.to_owned()),
        method: vec![MethodDescriptorProto {
            name: Some("CreateEntry".to_owned()),
            input_type: Some(format!(".{}", request.full_name())),
            output_type: Some(format!(".{}", answer.full_name())),
            ..MethodDescriptorProto::default()
        }],
        ..ServiceDescriptorProto::default()
    };
    let file = FileDescriptorProto {
        name: Some("rekor/v2/rekor_service.proto".to_owned()),
        package: Some(package.to_owned()),
        dependency: vec![
            request.parent_file().name().to_owned(),
            answer.parent_file().name().to_owned(),
        ],
        service: vec![service],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    let messages = request.parent_pool().file_descriptor_protos().cloned();
    FileDescriptorSet {
        file: messages.chain([file]).collect(),
    }
}
