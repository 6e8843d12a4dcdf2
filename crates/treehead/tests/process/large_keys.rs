//! Entries whose index keys no database index could hold, in the midst of others.

use std::thread;

use p256::pkcs8::EncodePrivateKey;
use rcgen::{CertificateParams, KeyPair, SanType};

use crate::entries::{self, Author};
use crate::http;
use crate::postgres::Storage;
use crate::program::Server;

const WRITERS: usize = 8;
const ENTRIES_EACH: usize = 5;

#[test]
fn fail_nobody_elses_round() {
    for storage in [Some(Storage::sqlite()), Storage::postgres()]
        .into_iter()
        .flatten()
    {
        let server = Server::start(&mut storage.serve());
        thread::scope(|scope| {
            for number in 0..WRITERS {
                let api = server.api;
                scope.spawn(move || {
                    let author = Author::new(&format!("ordinary {number}"));
                    for entry in 0..ENTRIES_EACH {
                        let logged = entries::log(api, &author.sign(&format!("entry {entry}")));
                        entries::assert_logged(api, &author, &logged);
                    }
                });
            }
            for email in [
                format!("{}@example.com", "a".repeat(10_000)),
                "a\0b@example.com".to_owned(),
            ] {
                let api = server.api;
                scope.spawn(move || {
                    let author = Author::new(&email);
                    for entry in 0..ENTRIES_EACH {
                        let proposal = author
                            .sign_with(&format!("large {entry}"), &certificate(&author, &email));
                        let answer = http::post(api, "/api/v1/log/entries", &proposal.json);
                        assert_eq!(answer.status, 201, "{answer:?}");
                    }
                });
            }
        });
        server.stop();
        storage.assert_in_order();
    }
}

/// A certificate over the author's key for this address.
pub(crate) fn certificate(author: &Author, email: &str) -> String {
    let der = author.key().to_pkcs8_der().unwrap();
    let key = KeyPair::try_from(der.as_bytes()).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::Rfc822Name(email.try_into().unwrap())];
    params.self_signed(&key).unwrap().pem()
}
