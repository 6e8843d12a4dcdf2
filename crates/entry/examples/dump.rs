use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, Write};
fn main() {
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::new(out.lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (kind, b64) = line.split_once(' ').unwrap_or((&line, ""));
        let raw = STANDARD.decode(b64).unwrap();
        let json = match kind {
            "entry" => match entry::ProposedEntry::from_json(&raw).map_err(|e| ("parse", e)).and_then(|e| {
                let p = entry::Policy::default();
                let _ = &p;
                e.verify(&p).map_err(|e| ("create", e))
            }) {
                Ok(e) => {
                    serde_json::json!({"stage":"ok","body":String::from_utf8_lossy(e.leaf_bytes()),"keys":e.index_keys()})
                }
                Err((s, e)) => serde_json::json!({"stage":s,"error":e.to_string(),"v":format!("{e:?}")}),
            },
            _ => {
                let leaf = serde_json::json!({"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"00".repeat(32)}},"signature":{"content":"AA==","publicKey":{"content":STANDARD.encode(&raw)}}}}).to_string();
                match entry::index_keys_of_leaf(leaf.as_bytes()) {
                    Ok(Some(keys)) => serde_json::json!({"stage":"ok","keys":keys}),
                    Ok(None) => serde_json::json!({"stage":"none"}),
                    Err(e) => serde_json::json!({"stage":"parse","error":e.to_string()}),
                }
            }
        };
        writeln!(out, "{json}").unwrap();
    }
}
