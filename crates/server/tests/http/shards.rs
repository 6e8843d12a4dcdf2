//! Rekor v2 on a log of several trees: each is a log of its own, under a host name of its own.

use axum::body::Body;
use http::Request;
use ledger::Head;

use crate::proposal::Signer;
use crate::support::{Answer, NAME, TestLog};
use crate::v2::{open_checkpoint, verify_in};

const V2: &str = "/api/v2/log/entries";
const FROZEN: &str = "This log has been frozen, please switch to the latest log.\n";

/// The hosts that mean the first tree, the second and, like any other name, the third and active
/// one.
const HOSTS: [&[&str]; 3] = [
    &[NAME, "Rekor-Lab:3000"],
    &["two.example", "two.example:443"],
    &["three.example", "elsewhere.example", "[::1]:80"],
];

async fn send(log: &TestLog, method: &str, host: &str, target: &str, body: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", host);
    let request = request
        .header("content-length", body.len())
        .header("content-type", "application/json");
    log.send(
        request
            .body(Body::from(body.to_owned()))
            .expect("a request"),
    )
    .await
}

async fn get(log: &TestLog, host: &str, target: &str) -> Answer {
    send(log, "GET", host, target, "").await
}

/// A v2 log of three trees of two, three and four entries.
async fn three_trees() -> TestLog {
    let log = TestLog::start().await;
    let signer = Signer::new();
    for (size, next) in [
        (2_u8, Some("two.example")),
        (3, Some("three.example")),
        (4, None),
    ] {
        for number in 0..size {
            let answer = log.post(V2, &signer.proposal_v2(&[size, number])).await;
            assert_eq!(answer.status, 201, "{}", answer.body);
        }
        if let Some(origin) = next {
            log.rotate_v2(origin).await;
        }
    }
    log
}

fn oldest_first(log: &TestLog) -> Vec<std::sync::Arc<Head>> {
    let shards = log.v2().shards();
    shards
        .frozen()
        .iter()
        .chain([shards.active()])
        .cloned()
        .collect()
}

#[tokio::test]
async fn each_tree_is_read_under_its_own_host() {
    let log = three_trees().await;
    for (head, hosts) in oldest_first(&log).iter().zip(HOSTS) {
        let size = head.size.0;
        for host in hosts {
            for path in ["/checkpoint", "/api/v2/checkpoint"] {
                let note = get(&log, host, path).await.body;
                assert_eq!(note, head.checkpoint);
                let checkpoint = open_checkpoint(&head.tree, &note);
                assert_eq!((checkpoint.size, checkpoint.root), (head.size, head.root));
            }
            let mut leaf_hashes = Vec::new();
            for index in 0..size {
                let entry = get(&log, host, &format!("{V2}/{index}")).await.json();
                assert_eq!(entry["logIndex"], index.to_string(), "counted in its tree");
                verify_in(&head.tree, &entry);
                leaf_hashes.push(crate::v2::leaf_hash(&entry));
                let same = get(
                    &log,
                    host,
                    &format!("{V2}?leafHash={}", leaf_hashes[index as usize]),
                )
                .await;
                assert_eq!(same.json(), entry);
            }
            assert_eq!(get(&log, host, &format!("{V2}/{size}")).await.status, 404);
            let tile = get(&log, host, &format!("/tile/0/000.p/{size}")).await;
            assert_eq!(
                tile.bytes,
                leaf_hashes
                    .iter()
                    .flat_map(|hash| hash.0)
                    .collect::<Vec<u8>>()
            );
            let is_named = !["elsewhere.example", "[::1]:80"].contains(host);
            let lifetime = if is_named {
                "private, max-age=3600, immutable"
            } else {
                "no-cache"
            };
            assert_eq!(
                tile.header("cache-control"),
                lifetime,
                "{host}: the next tree has another tile there"
            );
            let bundle = get(&log, host, &format!("/api/v2/tile/entries/000.p/{size}"))
                .await
                .bytes;
            let bundled = crate::v2::entries(&bundle);
            assert_eq!(
                bundled
                    .iter()
                    .map(|entry| tlog::leaf_hash(entry))
                    .collect::<Vec<_>>(),
                leaf_hashes
            );
            assert_eq!(
                get(&log, host, &format!("/tile/0/000.p/{}", size + 1))
                    .await
                    .status,
                404
            );
            let consistency = format!("/api/v2/log/proof/consistency?first=1&last={size}");
            assert_eq!(get(&log, host, &consistency).await.status, 200);
            let beyond = format!("/api/v2/log/proof/consistency?first=1&last={}", size + 1);
            assert_eq!(get(&log, host, &beyond).await.status, 400);
            let under_no_name = log.get(&format!("{V2}?leafHash={}", leaf_hashes[0])).await;
            assert_eq!(
                under_no_name.json()["canonicalizedBody"],
                get(&log, host, &format!("{V2}/0")).await.json()["canonicalizedBody"],
                "a leaf hash is looked for in all trees"
            );
        }
    }
}

#[tokio::test]
async fn a_frozen_tree_says_so_to_those_who_write_under_its_host() {
    let log = three_trees().await;
    let proposal = Signer::new().proposal_v2(b"x");
    for host in [HOSTS[0], HOSTS[1]].concat() {
        for body in [&proposal, ""] {
            let answer = send(&log, "POST", host, V2, body).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (405, FROZEN),
                "{host}"
            );
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        }
    }
    for host in HOSTS[2] {
        let answer = send(&log, "POST", host, V2, &proposal).await;
        assert_eq!(answer.status, 201, "{host}: {}", answer.body);
        assert_eq!(answer.json()["logIndex"], "4");
        verify_in(&log.v2().tree(), &answer.json());
    }
    let by_v1 = send(
        &log,
        "POST",
        NAME,
        "/api/v1/log/entries",
        &Signer::new().proposal(b"y"),
    )
    .await;
    assert_eq!(by_v1.status, 201, "the v1 log was not rotated");
}
