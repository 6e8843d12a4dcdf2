//! The recordings as they lie on disk.

use std::collections::BTreeMap;
use std::fs;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use ledger::TreeId;
use serde_json::Value;

use crate::golden::{self, Folder};
use crate::support::TestLog;

/// The recorded tree, that of which two shards were recorded among them.
pub(crate) const TREE_HEX: &str = "3d6c04139650b0df";
pub(crate) const TREE_DECIMAL: &str = "4425917015971115231";
/// The recorded active tree of two shards.
pub(crate) const ACTIVE_HEX: &str = "5f8c05d0de6f9ad5";
const ACTIVE_DECIMAL: &str = "6884884324985838293";
/// The trees of the newest recordings, and what is put in their place.
const NEWEST_TREES: [(&str, &str); 6] = [
    ("38f256d0bc080600", TREE_HEX),
    ("4103437664995771904", TREE_DECIMAL),
    ("5d586301186ea1e8", TREE_HEX),
    ("6726234899833856488", TREE_DECIMAL),
    ("145ff68256587176", ACTIVE_HEX),
    ("1468163043200889206", ACTIVE_DECIMAL),
];
/// The recorded size at the end.
const FINAL_SIZE: &str = "lastSize=96";

/// A recorded server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Rekor v1.5.4, of 2026-11-22.
    Old,
    /// Rekor v1.6.1, of 2026-11-29: the same requests, and new ones on the same log.
    Newest,
}

impl Peer {
    /// As docs/API.md calls its folders, in the order in which they were recorded.
    pub(crate) fn folders_in_order(self) -> &'static [&'static str] {
        match self {
            Self::Old => &["v1/"],
            Self::Newest => &["v1/", "new/v1/", "new/v1b/", "new/v1x/"],
        }
    }

    /// Its folders, and how docs/API.md calls them.
    fn folders(self) -> &'static [Folder] {
        match self {
            Self::Old => &[("v1/own", "v1/"), ("v1/upstream", "v1/")],
            Self::Newest => &[
                ("newest/v1/own", "v1/"),
                ("newest/v1/upstream", "v1/"),
                ("newest/new/v1", "new/v1/"),
                ("newest/new/v1b", "new/v1b/"),
                ("newest/new/v1x", "new/v1x/"),
            ],
        }
    }
}

/// All recordings of one server.
pub(crate) struct Recordings {
    pub(crate) cases: Vec<Case>,
    /// The entries of the recorded log by log index.
    pub(crate) entries: BTreeMap<u64, Entry>,
}

/// An entry that some answer showed.
pub(crate) struct Entry {
    pub(crate) id: String,
    /// Where it was seen first, as docs/API.md calls the folder.
    pub(crate) folder: &'static str,
    pub(crate) body: String,
}

/// One request and its recorded answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Name in docs/API.md.
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// A body that is no text.
    pub(crate) binary_body: Option<Vec<u8>>,
    pub(crate) expected: Expected,
    pub(crate) entry_id: Option<String>,
    pub(crate) canonical_body: Option<String>,
    pub(crate) index_queries: Vec<Case>,
    pub(crate) get_entry: Option<Expected>,
}

/// A recorded answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Expected {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("recorded JSON")
    }
}

impl Recordings {
    /// None where they are absent.
    pub(crate) fn load(peer: Peer) -> Option<Self> {
        let mut cases = Vec::new();
        let mut entries = BTreeMap::new();
        for (folder, prefix) in golden::folders(peer.folders())? {
            for file in fs::read_dir(folder).expect("a folder") {
                let path = file.expect("an entry").path();
                let mut text = fs::read_to_string(&path).expect("readable");
                if peer == Peer::Newest {
                    text = NEWEST_TREES
                        .iter()
                        .fold(text, |text, (theirs, ours)| text.replace(theirs, ours));
                }
                let value: Value = serde_json::from_str(&text).expect("JSON");
                collect_entries(&value, prefix, &mut entries);
                let stem = path.file_stem().expect("a name").to_string_lossy();
                cases.push(Case {
                    id: format!("{prefix}{stem}"),
                    ..case(&value)
                });
            }
        }
        cases.sort_by(|a, b| a.id.cmp(&b.id));
        Some(Self { cases, entries })
    }

    pub(crate) fn named(&self, name: &str) -> &Case {
        self.cases
            .iter()
            .find(|case| case.name == name)
            .expect("a recording of that name")
    }
}

impl Case {
    /// The request, for the tree and size of our log.
    pub(crate) fn request(&self, log: &TestLog) -> Request<Body> {
        let size = format!("lastSize={}", log.v1().head().size);
        let target = self.target.replace(FINAL_SIZE, &size);
        let of_tree = Self {
            target,
            ..self.clone()
        };
        of_tree.request_to(|text| in_tree(text, log.v1().tree().id))
    }

    /// The request in our words.
    pub(crate) fn request_to(&self, ours: impl Fn(&str) -> String) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(ours(&self.target));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = self
            .binary_body
            .clone()
            .unwrap_or_else(|| ours(&self.body).into_bytes());
        if self.method == "POST" {
            request = request.header("content-length", body.len());
        }
        request.body(Body::from(body)).expect("a request")
    }
}

/// The text with our tree in place of the recorded one.
pub(crate) fn in_tree(text: &str, tree: TreeId) -> String {
    text.replace(TREE_HEX, &format!("{:016x}", tree.0))
        .replace(TREE_DECIMAL, &tree.to_string())
}

/// The leaf bytes of the one entry of an answer.
pub(crate) fn leaf_bytes(answer: &str) -> Option<String> {
    let value: Value = serde_json::from_str(answer).ok()?;
    let body = value.as_object()?.values().next()?["body"]
        .as_str()?
        .to_owned();
    String::from_utf8(STANDARD.decode(body).ok()?).ok()
}

fn case(value: &Value) -> Case {
    let request = &value["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let optional = |name: &str| value[name].as_str().map(str::to_owned);
    let queries = value["index_queries"].as_array().into_iter().flatten();
    Case {
        name: text(&value["name"]),
        id: String::new(),
        method: text(&request["method"]),
        target: text(&request["path"]),
        headers: pairs(&request["headers"]),
        body: text(&request["body"]),
        binary_body: request["body_base64"]
            .as_str()
            .map(|base64| STANDARD.decode(base64).expect("base64")),
        expected: expected(&value["response"]),
        entry_id: optional("entry_id"),
        canonical_body: optional("canonical_body"),
        index_queries: queries.map(case).collect(),
        get_entry: value
            .get("get_entry")
            .filter(|answer| answer.is_object())
            .map(expected),
    }
}

fn expected(value: &Value) -> Expected {
    let status = value["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .expect("a status");
    let headers = pairs(&value["headers"])
        .into_iter()
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    Expected {
        status,
        headers,
        body: value["body"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Headers; of several values the first.
fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| {
        value
            .as_str()
            .or_else(|| value[0].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn collect_entries(value: &Value, folder: &'static str, entries: &mut BTreeMap<u64, Entry>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let (true, Some(body)) = (name.starts_with(TREE_HEX), value["body"].as_str()) {
                    let body = STANDARD.decode(body).expect("base64");
                    let body = String::from_utf8(body).expect("UTF-8");
                    let log_index = value["logIndex"].as_u64().expect("a log index");
                    entries.entry(log_index).or_insert(Entry {
                        id: name.clone(),
                        folder,
                        body,
                    });
                }
                collect_entries(value, folder, entries);
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_entries(value, folder, entries)),
        _ => {}
    }
}
