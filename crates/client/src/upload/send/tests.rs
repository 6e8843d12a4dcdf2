use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use entry::UnixSeconds;
use pki::digest::Digest;

use super::*;
use crate::fetch::Answer;
use crate::sign::PrivateKey;

/// A server that answers every request alike, and keeps what it was asked.
#[derive(Clone)]
struct Always {
    status: u16,
    body: &'static str,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fetch for Always {
    async fn fetch(&self, ask: &Ask) -> std::result::Result<Answer, FetchError> {
        self.asked.lock().unwrap().push(ask.url.clone());
        Ok(Answer {
            status: self.status,
            body: self.body.into(),
        })
    }
}

impl Submit for Always {
    async fn submit(&self, ask: &Ask) -> std::result::Result<Reply, FetchError> {
        self.asked.lock().unwrap().push(ask.url.clone());
        if self.status == 0 {
            let (url, cause) = (ask.url.clone(), "refused".to_owned());
            return Err(FetchError::Unreachable { url, cause });
        }
        Ok(Reply {
            status: self.status,
            body: self.body.into(),
            location: None,
            retry_after: Some(7),
            log_index: None,
        })
    }
}

fn uploader(status: u16, body: &'static str) -> Uploader<Always> {
    let asked = Arc::default();
    Uploader::new(
        "http://log.example/",
        Vec::new(),
        Always {
            status,
            body,
            asked,
        },
    )
}

fn proposal(api: Api) -> Proposal {
    let key = PrivateKey::read(include_bytes!("../../sign/p256.pem")).unwrap();
    let digest = Digest::sha256(b"artifact");
    let signature = key.sign_digest(&digest).unwrap();
    Proposal::hashedrekord(api, &digest, &signature, key.signer(), UnixSeconds(0)).unwrap()
}

/// The futures here wait for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn answers_that_may_change_are_tried_again() {
    for api in [Api::V1, Api::V2] {
        for status in [408, 429, 500, 502, 503, 504] {
            let sent = ready(uploader(status, r#"{"message":"busy"}"#).send(&proposal(api)));
            let Ok(Sent::Later { why, after }) = sent else {
                panic!("{status}: {sent:?}");
            };
            assert_eq!(after, Some(7));
            assert!(why.ends_with(&format!("answers {status}: busy")), "{why}");
        }
        let sent = ready(uploader(0, "").send(&proposal(api)));
        assert!(
            matches!(sent, Ok(Sent::Later { after: None, .. })),
            "{sent:?}"
        );
    }
}

#[test]
fn refusals_are_what_the_log_says() {
    for (status, body) in [
        (400, r#"{"code":400,"message":"no\nkey"}"#),
        (404, "no key"),
        (501, "no  key"),
    ] {
        let sent = ready(uploader(status, body).send(&proposal(Api::V1)));
        let Ok(Sent::Refused {
            status: said,
            message,
        }) = sent
        else {
            panic!("{status}: {sent:?}");
        };
        assert_eq!((said, message.as_str()), (status, "no key"));
    }
}

#[test]
fn what_does_not_verify_is_not_believed() {
    for status in [200, 201] {
        for body in ["", "{}", r#"{"a":{"body":""}}"#] {
            let sent = ready(uploader(status, body).send(&proposal(Api::V1)));
            assert!(matches!(sent, Ok(Sent::Unverified(_))), "{sent:?}");
        }
    }
}

#[test]
fn a_duplicate_is_looked_up_by_its_leaf_hash_where_it_is_not_named() {
    let (uploader, proposal) = (uploader(409, r#"{"message":"there"}"#), proposal(Api::V1));
    let sent = ready(uploader.send(&proposal));
    assert!(matches!(sent, Ok(Sent::Later { .. })), "{sent:?}");
    let asked = uploader.transport.asked.lock().unwrap().clone();
    let path = format!(
        "http://log.example/api/v1/log/entries/{}",
        proposal.leaf_hash()
    );
    assert_eq!(
        asked,
        ["http://log.example/api/v1/log/entries".to_owned(), path]
    );
}

#[test]
fn a_batch_is_sent_only_where_there_is_a_route() {
    let proposal = proposal(Api::V1);
    let proposals = [&proposal, &proposal];
    for status in [400, 404, 405, 413, 501] {
        let sent = ready(uploader(status, "").send_batch(&proposals));
        assert!(matches!(sent, Ok(None)), "{status}: {sent:?}");
    }
    for (status, body) in [(503, ""), (200, "{}"), (200, r#"{"results":[]}"#)] {
        let sent = ready(uploader(status, body).send_batch(&proposals))
            .unwrap()
            .unwrap();
        assert!(
            sent.iter().all(|sent| matches!(sent, Sent::Later { .. })),
            "{sent:?}"
        );
    }
    let body = r#"{"results":[{"status":400,"error":{"message":"a"}},{"status":503,"error":{"message":"b"},"retryAfter":3}]}"#;
    let sent = ready(uploader(200, body).send_batch(&proposals))
        .unwrap()
        .unwrap();
    assert!(matches!(&sent[0], Sent::Refused { status: 400, message } if message == "a"));
    assert!(matches!(&sent[1], Sent::Later { after: Some(3), .. }));
}
