//! The recordings as they lie on disk.

use std::fs;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use serde_json::Value;

use crate::golden;
use crate::support::NAME;

/// Servers of which there are recordings, as they were sent the requests one after the other.
pub(crate) const PEERS: [Peer; 9] = [
    Peer {
        folder: "v2",
        prefix: "v2/",
        age: Age::Old,
        size: 322,
    },
    Peer {
        folder: "v2/v2.2.1",
        prefix: "v2.2.1/",
        age: Age::Old,
        size: 48,
    },
    Peer {
        folder: "v2/ecdsa-signer",
        prefix: "ecdsa-signer/",
        age: Age::Old,
        size: 1,
    },
    Peer {
        folder: "v2/witnessed",
        prefix: "witnessed/",
        age: Age::Old,
        size: 322,
    },
    Peer {
        folder: "newest/v2",
        prefix: "v2/",
        age: Age::Newest,
        size: 0,
    },
    Peer {
        folder: "newest/v2/v2.2.1",
        prefix: "v2.2.1/",
        age: Age::Newest,
        size: 0,
    },
    Peer {
        folder: "newest/v2/ecdsa-signer",
        prefix: "ecdsa-signer/",
        age: Age::Newest,
        size: 0,
    },
    Peer {
        folder: "newest/v2/witnessed",
        prefix: "witnessed/",
        age: Age::Newest,
        size: 0,
    },
    Peer {
        folder: "newest/new/v2",
        prefix: "new/v2/",
        age: Age::Newest,
        size: 0,
    },
];

/// Recordings of one server.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    /// Below the folder of all recordings.
    pub(crate) folder: &'static str,
    /// Before the names of its cases in docs/API.md.
    pub(crate) prefix: &'static str,
    pub(crate) age: Age,
    /// Of the tree that was read; 0 where none was.
    pub(crate) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Of 2026-11-22: the source after v2.3.0, v2.2.1, one with an ECDSA key, one with a witness.
    Old,
    /// Of 2026-11-29: v2.4.2. It was not read through a web server.
    Newest,
}

/// A request and what was answered to it; several answers where it was sent several times at once.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Name in docs/API.md.
    pub(crate) id: String,
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
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(&self.target)
            .header("host", NAME);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if self.method == "POST" {
            request = request.header("content-length", self.body.len());
        }
        request
            .body(Body::from(self.body.clone()))
            .expect("a request")
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

/// The recordings of one server in the order of their names, duplicates after what they repeat.
/// None where they are absent.
pub(crate) fn load(peer: Peer) -> Option<Vec<Case>> {
    let mut cases = Vec::new();
    for file in fs::read_dir(golden::path(peer.folder)?).expect("a folder") {
        let path = file.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            cases.push(case(
                peer.prefix,
                &serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON"),
            ));
        }
    }
    // The newest files were read where they lie: there were no answers to reads.
    cases.retain(|case: &Case| peer.age == Age::Old || !case.is_of_a_file_server());
    cases.sort_by_key(|case| (case.expected[0].status == 409, case.name.clone()));
    Some(cases)
}

fn case(prefix: &str, value: &Value) -> Case {
    let request = &value["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let answers = match value["responses"].as_array() {
        Some(answers) => answers.clone(),
        None => vec![value["response"].clone()],
    };
    let mut expected: Vec<Expected> = answers.iter().map(expected).collect();
    expected.sort_by_key(|answer| answer.status);
    let name = text(&value["name"]);
    Case {
        id: format!("{prefix}{name}"),
        name,
        method: text(&request["method"]),
        target: text(&request["path"]),
        headers: pairs(&request["headers"]),
        body: body(request),
        expected,
        canonicalized_body: value["canonicalized_body"].as_str().map(str::to_owned),
    }
}

/// Of a large body only the beginning of its digest and the length were kept: made whole in some
/// way.
fn body(request: &Value) -> Vec<u8> {
    if let Some(base64) = request["body_base64"].as_str() {
        return STANDARD.decode(base64).expect("base64");
    }
    if let (Some(head), Some(length)) =
        (request["body_head"].as_str(), request["body_len"].as_u64())
    {
        const END: &str = r#"","signature":{"content":"AAAA","verifier":{"publicKey":{"rawBytes":"AAAA"},"keyDetails":5}}}}"#;
        let mut body = head.as_bytes().to_vec();
        body.resize(usize::try_from(length).expect("fits") - END.len(), b'A');
        let digest = body.len() - head.rfind('"').expect("the digest's quote") - 1;
        body.truncate(body.len() - digest % 4);
        body.extend_from_slice(END.as_bytes());
        body.resize(usize::try_from(length).expect("fits"), b' ');
        return body;
    }
    request["body"]
        .as_str()
        .unwrap_or_default()
        .as_bytes()
        .to_vec()
}

fn expected(value: &Value) -> Expected {
    let status = value["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .expect("a status");
    let headers = pairs(&value["headers"]);
    let content_type = headers
        .iter()
        .find(|(name, _)| name == "Content-Type")
        .map(|(_, value)| value.clone());
    Expected {
        status,
        // Of those that raced only the bodies were recorded.
        content_type: content_type.unwrap_or_else(|| "application/json".to_owned()),
        log_index: status == 409,
        body: value["body"].as_str().unwrap_or_default().to_owned(),
        length: value["body_base64"]
            .as_str()
            .map_or(0, |base64| STANDARD.decode(base64).expect("base64").len()),
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| {
        value
            .as_str()
            .or_else(|| value[0].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect(),
        _ => Vec::new(),
    }
}

/// Without the index that a duplicate has.
pub(crate) fn masked(body: &str) -> String {
    body.split_once("with index ")
        .map_or(body, |(before, _)| before)
        .to_owned()
}

/// The names of all members, in order.
pub(crate) fn shape(body: &str) -> Vec<String> {
    body.split('"')
        .zip(body.split('"').skip(1))
        .filter(|(_, after)| after.starts_with(':'))
        .map(|(name, _)| name.to_owned())
        .collect()
}
