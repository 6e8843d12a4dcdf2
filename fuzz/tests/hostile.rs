//! Inputs made to take much memory or time: what they may take is asserted where they are read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

const SIGNED: &str = include_str!("../seeds/helm/signed");

/// The refusal of a TUF entry of two such documents.
fn tuf(document: &str) -> String {
    let content = json!({"content": STANDARD.encode(document)});
    let body = json!({"apiVersion": "0.0.1", "kind": "tuf", "spec": {"metadata": content, "root": content}});
    treehead_fuzz::refusal(body.to_string().as_bytes()).expect("refused")
}

/// What is signed is repeated until the document has 1 MiB.
fn document(repeated: &str) -> String {
    let count = ((1 << 20) - 100) / (repeated.len() + 1);
    format!(
        "{{\"signed\":{{{}}},\"signatures\":[]}}",
        vec![repeated; count].join(",")
    )
}

#[test]
fn tuf_documents_of_many_small_objects_take_little_memory() {
    let nested = format!(
        "\"\":{}{}",
        "{\"\":".repeat(100),
        "0".to_owned() + &"}".repeat(100)
    );
    for repeated in [
        nested.as_str(),
        "\"\":{}",
        "\"\":0",
        "\"a\":{\"\":{}}",
        "\"a\":[{},{},{},{},{},{},{},{}]",
    ] {
        let refusal = tuf(&document(repeated));
        println!("{repeated:.20}: {refusal}");
    }
}

/// One that has as many members as one of its size may have, each on its own.
#[test]
fn tuf_documents_with_as_many_members_as_they_may_have_take_little_memory() {
    let count = (1 << 20) / 20;
    let members: Vec<String> = (0..count)
        .map(|number| format!("\"{number:012x}\":0"))
        .collect();
    let refusal = tuf(&format!(
        "{{\"signed\":{{{}}},\"signatures\":[]}}",
        members.join(",")
    ));
    assert!(!refusal.contains("members"), "{refusal}");
}

#[test]
fn yaml_of_provenance_takes_little_memory_and_time() {
    let signature = &SIGNED[SIGNED
        .find("-----BEGIN PGP SIGNATURE-----")
        .expect("signed")..];
    for token in [
        "- ",
        "- - ",
        "a: b\n",
        "a: {}\n",
        "? a\n",
        "&a ",
        "!a ",
        "*a ",
        "[]\n",
        "'a' ",
        "\"a\" ",
        "a\n",
        "#\n",
        "| a\n",
        "%a\n",
        "files: a\n",
        ": ",
        "[",
        "{",
        "],",
    ] {
        let yaml = token.repeat(16 * 1024 / token.len());
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\na: b\n\n...\n{yaml}\n{signature}"
        );
        let before = cpu_nanoseconds();
        treehead_fuzz::helm_provenance(text.as_bytes());
        let spent = cpu_nanoseconds() - before;
        // Debug builds are slower, and this machine does other things as well.
        assert!(spent < 10 * 20_000_000, "{token:?} took {spent} ns");
    }
}

/// Time on a core of the thread that asks.
fn cpu_nanoseconds() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// A generic tree of JSON takes a hundred times its text: what is asserted is not always true.
#[test]
#[should_panic(expected = "bytes of memory")]
fn a_tree_of_json_would_take_too_much() {
    let text = document("\"a\":{\"\":{}}").replace("\"a\"", "\"aaaaaaaaaaaaaa\"");
    let text = format!("[{}0]", "[{\"\":0}],".repeat(text.len() / 12));
    treehead_fuzz::assert_memory(text.as_bytes(), |text| {
        serde_json::from_slice::<serde_json::Value>(text).is_ok()
    });
}
