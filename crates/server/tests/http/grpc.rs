//! gRPC over HTTP/2 without TLS, on the port of the API.

use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use sigstore_protobuf_specs::dev::sigstore::rekor::v1::TransparencyLogEntry;
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::CreateEntryRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::listening::{Served, serve};
use crate::proposal::Signer;
use crate::support::{TestLog, rotate};

const SOON: Duration = Duration::from_secs(60);
const SERVICE: &str = "dev.sigstore.rekor.v2.Rekor";
pub(crate) const CREATE_ENTRY: &str = "/dev.sigstore.rekor.v2.Rekor/CreateEntry";

type Http2 = Client<HttpConnector, Body>;

fn client() -> Http2 {
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

fn origin(served: &Served) -> http::Uri {
    format!("http://{}", served.address).parse().expect("a URI")
}

async fn create(
    served: &Served,
    client: Http2,
    request: CreateEntryRequest,
) -> Result<TransparencyLogEntry, Status> {
    create_at(origin(served), client, request).await
}

async fn create_at(
    origin: http::Uri,
    client: Http2,
    request: CreateEntryRequest,
) -> Result<TransparencyLogEntry, Status> {
    let mut grpc = Grpc::with_origin(client, origin);
    grpc.ready().await.expect("a connection");
    let path = format!("/{SERVICE}/CreateEntry").parse().expect("a path");
    let codec = ProstCodec::<CreateEntryRequest, TransparencyLogEntry>::default();
    Ok(grpc
        .unary(Request::new(request), path, codec)
        .await?
        .into_inner())
}

/// The body of a request: one message in its frame.
pub(crate) fn frame(json: &str) -> Vec<u8> {
    let message: CreateEntryRequest = serde_json::from_str(json).expect("a request");
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("small");
    [&[0], &length.to_be_bytes()[..], &message].concat()
}

fn request(artifact: &[u8]) -> CreateEntryRequest {
    serde_json::from_str(&Signer::new().proposal_v2(artifact)).expect("a request")
}

#[tokio::test]
async fn an_entry_comes_in_and_its_duplicate_is_the_same() {
    let served = serve(|_| {}).await;
    let (client, request) = (client(), request(b"x"));
    let entry = create(&served, client.clone(), request.clone())
        .await
        .expect("taken in");
    let proof = entry.inclusion_proof.clone().expect("a proof");
    let leaf_hash = tlog::leaf_hash(&entry.canonicalized_body);
    assert_eq!(
        (entry.log_index, proof.tree_size, &proof.root_hash[..]),
        (0, 1, &leaf_hash.0[..])
    );
    assert_eq!(
        proof.checkpoint.expect("a checkpoint").envelope,
        served.v2().head().checkpoint
    );
    assert_eq!(
        (entry.integrated_time, &entry.inclusion_promise),
        (0, &None)
    );
    assert_eq!(
        create(&served, client, request)
            .await
            .expect("the stored entry"),
        entry
    );
}

#[tokio::test]
async fn errors_have_their_codes() {
    let served = serve(|settings| {
        settings.duplicates.v2 = server::OnDuplicate::Conflict;
        settings.limits.body_bytes = 4096;
    })
    .await;
    let client = client();
    let good = request(b"x");
    create(&served, client.clone(), good.clone())
        .await
        .expect("taken in");
    let duplicate = create(&served, client.clone(), good)
        .await
        .expect_err("a duplicate");
    assert_eq!(duplicate.code(), Code::AlreadyExists);
    assert_eq!(
        duplicate.metadata().get("x-log-index").expect("the index"),
        "0"
    );
    let empty = create(&served, client.clone(), CreateEntryRequest::default())
        .await
        .expect_err("nothing");
    assert_eq!(empty.code(), Code::InvalidArgument);
    let large = serde_json::from_value(
        serde_json::json!({"hashedRekordRequestV002": {"digest": "A".repeat(8192), "signature": null}}),
    );
    let large = create(&served, client.clone(), large.expect("a request"))
        .await
        .expect_err("too large");
    assert_eq!(large.code(), Code::ResourceExhausted);
    let mut grpc = Grpc::with_origin(client, origin(&served));
    grpc.ready().await.expect("a connection");
    let path = format!("/{SERVICE}/GetCheckpoint").parse().expect("a path");
    let codec = ProstCodec::<CreateEntryRequest, TransparencyLogEntry>::default();
    let unknown = grpc
        .unary(Request::new(CreateEntryRequest::default()), path, codec)
        .await
        .expect_err("unknown");
    assert_eq!(unknown.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_read_only_server_refuses_over_http_2_and_http_1() {
    let served = serve(|settings| settings.read_only = true).await;
    let refused = create(&served, client(), request(b"x"))
        .await
        .expect_err("it only reads");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unimplemented, "log frozen")
    );

    let body = frame(&Signer::new().proposal_v2(b"x"));
    let head = format!(
        "POST {CREATE_ENTRY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/grpc\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(served.address)
        .await
        .expect("it listens");
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .await
        .expect("open");
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("grpc-status: 12"),
        "{answer}"
    );
    assert_eq!(served.v2().head().size.0, 0);
}

#[tokio::test]
async fn no_service_waits_for_ever_for_a_request() {
    let log = TestLog::start().await;
    tokio::time::pause();
    for path in [
        format!("/{SERVICE}/CreateEntry"),
        "/grpc.health.v1.Health/Check".to_owned(),
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned(),
    ] {
        let silent = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let request = http::Request::post(&path).header("content-type", "application/grpc");
        let request = request
            .body(axum::body::Body::from_stream(silent))
            .expect("a request");
        let answer = timeout(Duration::from_secs(600), log.send(request)).await;
        assert_eq!(answer.map(|answer| answer.status), Ok(200), "{path}");
    }
}

#[tokio::test]
async fn each_tree_is_written_to_under_its_own_host() {
    let served = serve(|_| {}).await;
    rotate(served.v2(), served.folder.path(), Some("localhost")).await;
    let named = format!("http://localhost:{}", served.address.port())
        .parse::<http::Uri>()
        .expect("a URI");
    let (client, request) = (client(), request(b"x"));
    let entry = create_at(named.clone(), client.clone(), request.clone())
        .await
        .expect("it is active");
    assert_eq!(
        entry.log_id.expect("an ID").key_id,
        served.v2().tree().log_id.0
    );

    rotate(served.v2(), served.folder.path(), Some("three.example")).await;
    let refused = create_at(named, client.clone(), request.clone())
        .await
        .expect_err("it is frozen");
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unimplemented, "log frozen")
    );
    let entry = create(&served, client, request)
        .await
        .expect("under another name the active tree is meant");
    assert_eq!(
        (entry.log_index, entry.log_id.expect("an ID").key_id),
        (0, served.v2().tree().log_id.0.to_vec())
    );
}

#[tokio::test]
async fn health_and_reflection() {
    let served = serve(|_| {}).await;
    let mut health = HealthClient::with_origin(client(), origin(&served));
    for (service, expected) in [("", Ok(1)), (SERVICE, Ok(1)), ("x", Err(Code::NotFound))] {
        let answer = health
            .check(HealthCheckRequest {
                service: service.to_owned(),
            })
            .await;
        assert_eq!(
            answer
                .map(|answer| answer.into_inner().status)
                .map_err(|status| status.code()),
            expected
        );
    }
    let mut reflection = ServerReflectionClient::with_origin(client(), origin(&served));
    let ask = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let questions = vec![
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
    ];
    let questions = Request::new(futures_util::stream::iter(questions));
    let mut answers = reflection
        .server_reflection_info(questions)
        .await
        .expect("an answer")
        .into_inner();
    let mut next = async || {
        answers
            .message()
            .await
            .expect("in order")
            .expect("an answer")
            .message_response
    };
    let Some(MessageResponse::ListServicesResponse(services)) = next().await else {
        panic!("no list")
    };
    assert!(
        services
            .service
            .iter()
            .any(|service| service.name == SERVICE),
        "{services:?}"
    );
    assert!(matches!(
        next().await,
        Some(MessageResponse::FileDescriptorResponse(_))
    ));
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_lets_requests_finish() {
    let served = serve(|_| {}).await;
    let client = client();
    create(&served, client.clone(), request(b"x"))
        .await
        .expect("taken in");
    served.stop.send(()).expect("it runs");
    // The connection is still in the client's pool; the server does not wait for it.
    timeout(SOON, served.done)
        .await
        .expect("in time")
        .expect("no panic")
        .expect("nothing was cut off");
    drop(client);
}

#[tokio::test]
async fn http_1_and_http_2_are_told_apart_however_the_bytes_arrive() {
    let served = serve(|_| {}).await;
    let mut stream = TcpStream::connect(served.address)
        .await
        .expect("it listens");
    // As much as HTTP/2 begins with, and then something else.
    stream.write_all(b"PR").await.expect("open");
    stream.flush().await.expect("open");
    stream
        .write_all(b"OPFIND / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .expect("open");
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200 "),
        "the home page: {answer}"
    );
}
