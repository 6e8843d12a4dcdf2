use client::{Answer, History, ReadError, SignedHead, TiledLog, VerifyError};
use tlog::{LeafIndex, TreeSize};

use crate::server::{ORIGIN, Server, URL, leaf, leaf_hashes, now, signed, tiled, trusted};

fn log(server: &Server) -> TiledLog<&Server> {
    TiledLog::new(URL, trusted(), server)
}

#[test]
fn entries_are_proved_from_tiles() {
    for size in [1, 2, 255, 256, 257, 600] {
        let server = tiled("", "leaf", size);
        let head = now(log(&server).head()).unwrap();
        assert_eq!(
            (head.origin(), head.size()),
            (ORIGIN, TreeSize(size as u64))
        );
        for index in [0, 1, 255, 256, 599]
            .into_iter()
            .filter(|index| *index < size)
        {
            let entry = now(log(&server).entry_at(index as u64, head.clone())).unwrap();
            assert_eq!(entry.body, leaf("leaf", index));
            assert_eq!(entry.inclusion.leaf_index, LeafIndex(index as u64));
        }
        let absent = now(log(&server).entry_at(size as u64, head.clone()));
        assert!(matches!(absent, Err(ReadError::Absent(_))));
    }
}

#[test]
fn tiles_are_found_where_rekor_has_them() {
    let server = tiled("/api/v2", "leaf", 300);
    let head = now(log(&server).head()).unwrap();
    now(log(&server).entry_at(299, head)).unwrap();
}

#[test]
fn a_full_tile_stands_for_a_partial_one() {
    // The log grew to a full tile and dropped the partial ones.
    let (small, mut server) = (tiled("", "leaf", 100), tiled("", "leaf", 256));
    let old = small.answers["/checkpoint"].clone();
    server.answers.insert("/checkpoint".to_owned(), old);
    let head = now(log(&server).head()).unwrap();
    assert_eq!(head.size(), TreeSize(100));
    let entry = now(log(&server).entry_at(99, head)).unwrap();
    assert_eq!(entry.body, leaf("leaf", 99));
}

#[test]
fn whatever_is_changed_in_an_answer_is_found() {
    let size = 300;
    let honest = tiled("", "leaf", size);
    for (path, answer) in &honest.answers {
        for position in [0, answer.body.len() / 2, answer.body.len() - 1] {
            let copy = || Server {
                answers: honest.answers.clone(),
                ..Server::default()
            };
            let mut server = copy();
            let body = &mut server.answers.get_mut(path).unwrap().body;
            body[position] ^= 1;
            let read = now(log(&server).head());
            let read = read.and_then(|head| now(log(&server).entry_at(299, head)));
            // It is refused, or it is in a part that this entry does not need.
            if let Ok(entry) = read {
                assert_eq!(entry.body, leaf("leaf", 299), "{path}");
            }
            let mut cut = copy();
            cut.answers.get_mut(path).unwrap().body.truncate(position);
            let read = now(log(&cut).head());
            let read = read.and_then(|head| now(log(&cut).entry_at(299, head)));
            if let Ok(entry) = read {
                assert_eq!(entry.body, leaf("leaf", 299), "{path}");
            }
        }
    }
    // An entry that contradicts its tile.
    let mut server = tiled("", "leaf", size);
    let other = tiled("", "lead", size).answers["/tile/entries/001.p/44"].clone();
    server
        .answers
        .insert("/tile/entries/001.p/44".to_owned(), other);
    let head = now(log(&server).head()).unwrap();
    let error = now(log(&server).entry_at(299, head)).unwrap_err();
    assert!(
        error.to_string().contains("/tile/entries/001.p/44"),
        "{error}"
    );
}

fn history(seen: &Server, shown: &Server) -> Result<History, ReadError> {
    let seen = now(log(seen).head()).unwrap();
    let head = now(log(shown).head()).unwrap();
    now(log(shown).compare(&seen, &head))
}

#[test]
fn a_head_continues_the_one_before_or_it_is_an_alarm() {
    let server = |size| tiled("", "leaf", size);
    assert_eq!(history(&server(7), &server(7)).unwrap(), History::Same);
    for (first, second) in [(1, 2), (7, 8), (8, 300), (255, 600), (256, 257)] {
        let extends = history(&server(first), &server(second)).unwrap();
        assert!(matches!(extends, History::Extends(_)), "{first} {second}");
        // A fork of the same size, and one that grew.
        for size in [first, second] {
            let error = history(&server(first), &tiled("", "fork", size)).unwrap_err();
            assert!(matches!(error, ReadError::History(_)), "{error}");
        }
        // A log that lost its entries.
        let error = history(&server(second), &server(first)).unwrap_err();
        assert!(error.to_string().contains("went back"), "{error}");
    }
    // A server that lags: it shows an older head, and still has the later tiles.
    let mut lagging = server(600);
    let old = server(300).answers["/checkpoint"].clone();
    lagging.answers.insert("/checkpoint".to_owned(), old);
    let older = history(&server(600), &lagging).unwrap();
    assert!(matches!(older, History::Older(_)));
}

#[test]
fn the_earlier_root_follows_from_the_tiles() {
    let server = tiled("", "leaf", 600);
    let head = now(log(&server).head()).unwrap();
    for first in [1, 2, 255, 256, 300, 600] {
        let want = tiled("", "leaf", first as usize);
        let want = *now(log(&want).head()).unwrap().root();
        let (size, given) = (TreeSize(first), Some(want));
        let proof = now(log(&server).consistency(size, None, head.clone())).unwrap();
        assert_eq!(proof.first_root, want);
        now(log(&server).consistency(size, given, head.clone())).unwrap();
        let wrong = Some(tlog::EMPTY_ROOT);
        now(log(&server).consistency(size, wrong, head.clone())).unwrap_err();
    }
}

#[test]
fn an_untrusted_key_is_named() {
    let server = tiled("", "leaf", 1);
    let log = TiledLog::new(URL, Vec::new(), &server);
    let error = now(log.head()).unwrap_err();
    let is_untrusted = |error: &ReadError| {
        matches!(
            error,
            ReadError::Answer {
                source: VerifyError::UntrustedKey { .. },
                ..
            }
        )
    };
    assert!(is_untrusted(&error), "{error}");
    assert!(
        error.to_string().contains("signed by log.example+"),
        "{error}"
    );
}

#[test]
fn a_refusal_says_what_the_server_says() {
    let refuse = |status, body: &str| {
        let mut server = Server::default();
        for path in ["/checkpoint", "/api/v2/checkpoint"] {
            let body = body.as_bytes().to_vec();
            server
                .answers
                .insert(path.to_owned(), Answer { status, body });
        }
        now(log(&server).head()).unwrap_err().to_string()
    };
    assert!(refuse(503, r#"{"code":14,"message":"wait\na while"}"#).ends_with("503: wait a while"));
    assert!(refuse(301, "").contains("redirect"));
    assert!(refuse(500, &"x".repeat(1_000)).len() < 400);
    let absent = now(log(&Server::default()).head()).unwrap_err();
    assert!(matches!(absent, ReadError::Absent(_)));
}

#[test]
fn only_treehead_finds_entries_otherwise() {
    let mut server = tiled("", "leaf", 1);
    let hash = leaf_hashes("leaf", 1)[0];
    let path = format!("/api/v2/log/entries?leafHash={hash}");
    let answer = Answer {
        status: 405,
        body: Vec::new(),
    };
    server.answers.insert(path, answer);
    let error = now(log(&server).entry_of(&hash)).unwrap_err();
    assert!(matches!(error, ReadError::Unsupported(_)), "{error}");
    let error = now(log(&server).search(&hash, 1)).unwrap_err();
    assert!(matches!(error, ReadError::Unsupported(_)), "{error}");
}

#[test]
fn heads_of_another_signer_are_not_opened() {
    let hashes = leaf_hashes("leaf", 1);
    let note = signed(ORIGIN, "other.example", &hashes);
    assert!(SignedHead::open(&trusted(), &note).is_err());
    let note = signed("log.example - 7a", "log.example", &hashes);
    assert!(SignedHead::open(&trusted(), &note).is_err());
    let note = signed("log.example - 7", "log.example", &hashes);
    let head = SignedHead::open(&trusted(), &note).unwrap();
    assert_eq!(head.tree_id(), Some("7"));
}
