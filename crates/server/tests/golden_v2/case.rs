//! The recordings as they lie on disk.

use std::fs;
use std::path::Path;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::Value;

use crate::support::NAME;

/// Where the recordings are, seen from this crate.
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden/v2");

/// Servers of which there are recordings: the source after v2.3.0, v2.2.1, one with an ECDSA key, one with a witness; with the
/// size of the tree that was read.
pub(crate) const FOLDERS: [Folder; 4] = [
    Folder { name: "", size: 322 },
    Folder { name: "v2.2.1", size: 48 },
    Folder { name: "ecdsa-signer", size: 1 },
    Folder { name: "witnessed", size: 322 },
];

/// Recordings of one server.
#[derive(Clone, Copy)]
pub(crate) struct Folder {
    pub(crate) name: &'static str,
    pub(crate) size: u64,
}

/// A request and what was answered to it; several answers where it was sent several times at once.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) folder: &'static str,
    pub(crate) name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub(crate) expected: Vec<Expected>,
    pub(crate) canonicalized_body: Option<String>,
}

/// A recorded answer.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) log_index: bool,
    pub(crate) body: String,
    /// Of a body that is no text, in bytes.
    pub(crate) length: usize,
}

impl Expected {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("recorded JSON")
    }
}

impl Case {
    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.target).header("host", NAME);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if self.method == "POST" {
            request = request.header("content-length", self.body.len());
        }
        request.body(Body::from(self.body.clone())).expect("a request")
    }

    /// Whether the server was started read-only.
    pub(crate) fn is_of_a_frozen_log(&self) -> bool {
        self.name.starts_with("readonly-")
    }

    /// Whether nginx answered, and not Rekor: its headers and bodies are its own.
    pub(crate) fn is_of_a_file_server(&self) -> bool {
        self.name.starts_with("read-")
    }

    pub(crate) fn is_of_a_tile(&self) -> bool {
        self.name.starts_with("read-tile-")
    }
}

/// All of them, each folder in the order of the recorded log indexes, duplicates after what they repeat. None, and a word about
/// it, where they are absent.
#[expect(clippy::print_stdout, reason = "a test that is passed over says so")]
pub(crate) fn load() -> Option<Vec<Case>> {
    if !Path::new(RECORDINGS).is_dir() {
        println!("the recordings of Rekor v2 are not here: passed over");
        return None;
    }
    let mut cases = Vec::new();
    for folder in FOLDERS {
        for file in fs::read_dir(Path::new(RECORDINGS).join(folder.name)).expect("a folder") {
            let path = file.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "json") {
                cases.push(case(
                    folder.name,
                    &serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON"),
                ));
            }
        }
    }
    cases.sort_by_key(|case| (case.folder, case.expected[0].status == 409, case.name.clone()));
    Some(cases)
}

fn case(folder: &'static str, value: &Value) -> Case {
    let request = &value["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let answers = match value["responses"].as_array() {
        Some(answers) => answers.clone(),
        None => vec![value["response"].clone()],
    };
    let mut expected: Vec<Expected> = answers.iter().map(expected).collect();
    expected.sort_by_key(|answer| answer.status);
    Case {
        folder,
        name: text(&value["name"]),
        method: text(&request["method"]),
        target: text(&request["path"]),
        headers: pairs(&request["headers"]),
        body: body(request),
        expected,
        canonicalized_body: value["canonicalized_body"].as_str().map(str::to_owned),
    }
}

/// Of a large body only the beginning of its digest and the length were kept: made whole in some way.
fn body(request: &Value) -> Vec<u8> {
    if let Some(base64) = request["body_base64"].as_str() {
        return STANDARD.decode(base64).expect("base64");
    }
    if let (Some(head), Some(length)) = (request["body_head"].as_str(), request["body_len"].as_u64()) {
        const END: &str =
            r#"","signature":{"content":"AAAA","verifier":{"publicKey":{"rawBytes":"AAAA"},"keyDetails":5}}}}"#;
        let mut body = head.as_bytes().to_vec();
        body.resize(usize::try_from(length).expect("fits") - END.len(), b'A');
        let digest = body.len() - head.rfind('"').expect("the digest's quote") - 1;
        body.truncate(body.len() - digest % 4);
        body.extend_from_slice(END.as_bytes());
        body.resize(usize::try_from(length).expect("fits"), b' ');
        return body;
    }
    request["body"].as_str().unwrap_or_default().as_bytes().to_vec()
}

fn expected(value: &Value) -> Expected {
    let status = value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
    let headers = pairs(&value["headers"]);
    let content_type = headers.iter().find(|(name, _)| name == "Content-Type").map(|(_, value)| value.clone());
    Expected {
        status,
        // Of those that raced only the bodies were recorded.
        content_type: content_type.unwrap_or_else(|| "application/json".to_owned()),
        log_index: status == 409,
        body: value["body"].as_str().unwrap_or_default().to_owned(),
        length: value["body_base64"].as_str().map_or(0, |base64| STANDARD.decode(base64).expect("base64").len()),
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().or_else(|| value[0].as_str()).unwrap_or_default().to_owned();
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        Value::Array(pairs) => pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        _ => Vec::new(),
    }
}

/// Without the index that a duplicate has.
pub(crate) fn masked(body: &str) -> String {
    body.split_once("with index ").map_or(body, |(before, _)| before).to_owned()
}

/// The names of all members, in order.
pub(crate) fn shape(body: &str) -> Vec<String> {
    body.split('"')
        .zip(body.split('"').skip(1))
        .filter(|(_, after)| after.starts_with(':'))
        .map(|(name, _)| name.to_owned())
        .collect()
}
