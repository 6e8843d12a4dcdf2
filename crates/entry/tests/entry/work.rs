//! What hostile entries may cost: less than their length is worth, counted before it is spent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{Policy, ProposedEntry, Refusal, VerifiedEntry, Work, key_search_key};
use p521::ecdsa::signature::hazmat::PrehashSigner;
use p521::pkcs8::{EncodePublicKey, LineEnding};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};
use serde_json::{Value, json};

use crate::golden;
use crate::submission::{NOW, Submission};

pub(crate) const TOO_COSTLY: &str = "checking this takes longer than anything of its size may take";
/// What a debug build may take more than a release, on a machine that does other things as well.
const SLACK: u64 = 10;

/// Verifies, and checks that it cost no more than its length allows.
fn verify(body: &[u8]) -> (Result<VerifiedEntry, Refusal>, Work) {
    let before = cpu_nanoseconds();
    let (outcome, work) = ProposedEntry::from_json(body)
        .unwrap()
        .verify_counting(&Policy::default(), NOW);
    let spent = cpu_nanoseconds() - before;
    let (base, per_byte) = if outcome.is_ok() {
        (100_000_000, 100)
    } else {
        (20_000_000, 40)
    };
    assert!(
        spent <= SLACK * (base + per_byte * body.len() as u64),
        "{spent} ns for {} bytes",
        body.len()
    );
    assert!(work.spent() <= work.limit());
    (outcome, work)
}

fn assert_too_costly(body: &[u8]) {
    let (outcome, work) = verify(body);
    let refusal = outcome.err().expect("refused").to_string();
    assert!(refusal.starts_with(TOO_COSTLY), "{refusal}");
    assert!(work.is_exhausted());
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

/// A chain whose certificates have as many names and constraints as they have room for. The names
/// of none are excluded.
fn chain_with(
    name: fn(u32) -> SanType,
    excluded: fn(u32) -> GeneralSubtree,
    counts: [u32; 2],
) -> Vec<u8> {
    let [names, constraints] = counts;
    let params = |common_name: &str, is_leaf: bool| {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
        if is_leaf {
            params.subject_alt_names = (0..names).map(name).collect();
        } else {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let excluded_subtrees = (0..constraints).map(excluded).collect();
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![],
                excluded_subtrees,
            });
        }
        params
    };
    let (root, root_key) = (params("root", false), KeyPair::generate().unwrap());
    let mut pem = root.self_signed(&root_key).unwrap().pem();
    let mut issuer = (root, root_key);
    for number in 0..9 {
        let (params, key) = (
            params(&format!("{number}"), number == 8),
            KeyPair::generate().unwrap(),
        );
        let certificate = params
            .signed_by(&key, &Issuer::from_params(&issuer.0, &issuer.1))
            .unwrap();
        pem = certificate.pem() + &pem;
        issuer = (params, key);
    }
    // It is over the chain that the work is done, before the signature is looked at.
    Submission::new("sha256", &[7; 32], &[1; 64], &pem).json()
}

#[test]
fn comparisons_of_names_with_constraints_are_counted_before_they_are_made() {
    let dns = |number: u32| SanType::DnsName(format!("{number}.a").try_into().unwrap());
    let not_dns = |number: u32| GeneralSubtree::DnsName(format!("{number}.b"));
    assert_too_costly(&chain_with(dns, not_dns, [4_000, 4_000]));
    let mail = |number: u32| SanType::Rfc822Name(format!("{number}@a").try_into().unwrap());
    let not_mail = |number: u32| GeneralSubtree::Rfc822Name(format!("{number}@b"));
    assert_too_costly(&chain_with(mail, not_mail, [4_000, 4_000]));
    // What anybody has passes: what is wrong is the signature.
    let refusal = verify(&chain_with(dns, not_dns, [100, 100]))
        .0
        .err()
        .expect("refused")
        .to_string();
    assert!(refusal.starts_with("verifying signature: "), "{refusal}");
}

#[test]
fn recorded_hostile_entries_cost_no_more_than_their_length_is_worth() {
    for name in [
        "dos-jar-nc.json",
        "dos-nc-under64k.json",
        "dos-nc_names10000_constraints5000_ints0.json",
        "dos-nc_names12000_constraints5400_ints8.json",
        "dos-pgp_p521_x250.json",
    ] {
        let Some(file) = golden::path(&format!("costly/{name}")) else {
            continue;
        };
        let body = std::fs::read(file).unwrap();
        let (outcome, work) = verify(&body);
        println!(
            "{name}: {:?}, {} of {} ns",
            outcome.err().map(|e| e.to_string()),
            work.spent(),
            work.limit()
        );
    }
}

/// An envelope signed by these keys, and those that are to verify it.
fn dsse(signers: &[p521::ecdsa::SigningKey], verifiers: &[p521::ecdsa::SigningKey]) -> Vec<u8> {
    let payload = b"payload";
    let pae = format!("DSSEv1 1 t {} payload", payload.len());
    let digest = tlog::sha256(pae.as_bytes());
    let signatures: Vec<Value> = signers
        .iter()
        .map(|key| {
            let signature: p521::ecdsa::Signature = key.sign_prehash(&digest.0).unwrap();
            json!({"sig": STANDARD.encode(signature.to_der().as_bytes())})
        })
        .collect();
    let envelope =
        json!({"payloadType": "t", "payload": STANDARD.encode(payload), "signatures": signatures});
    let verifiers: Vec<String> = verifiers
        .iter()
        .map(|key| {
            STANDARD.encode(
                key.verifying_key()
                    .to_public_key_pem(LineEnding::LF)
                    .unwrap(),
            )
        })
        .collect();
    let spec =
        json!({"proposedContent": {"envelope": envelope.to_string(), "verifiers": verifiers}});
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        .to_string()
        .into_bytes()
}

fn p521_keys() -> Vec<p521::ecdsa::SigningKey> {
    let key = |number: u8| {
        p521::ecdsa::SigningKey::from_slice(&[&[0; 65][..], &[number]].concat()).unwrap()
    };
    (1..=32).map(key).collect()
}

#[test]
fn equal_keys_of_an_envelope_are_tried_once() {
    let keys = p521_keys();
    let last = vec![keys[31].clone(); 32];
    let (outcome, work) = verify(&dsse(&keys, &last));
    assert_eq!(
        outcome.err().unwrap().to_string(),
        "all signatures must have a key that verifies it"
    );
    assert!(work.spent() < 2_000_000, "{}", work.spent());
    // In the middle of the list, it is found after all before it.
    let middle = vec![keys[15].clone(); 32];
    let (outcome, _) = verify(&dsse(&keys, &middle));
    assert_eq!(
        outcome.err().unwrap().to_string(),
        "all signatures must have a key that verifies it"
    );
}

#[test]
fn as_many_signatures_as_an_envelope_may_have_are_verified_in_either_order() {
    let keys = p521_keys();
    let (in_order, _) = verify(&dsse(&keys, &keys));
    let mut reversed = keys.clone();
    reversed.reverse();
    let (in_reverse, _) = verify(&dsse(&keys, &reversed));
    assert!(in_order.is_ok() && in_reverse.is_ok());
}

#[test]
fn keys_of_an_envelope_in_the_worst_order_are_too_many() {
    let keys = p521_keys();
    let mut shuffled = keys.clone();
    shuffled.sort_by_key(|key| tlog::sha256(&key.to_bytes()).0);
    assert_too_costly(&dsse(&keys, &shuffled));
}

#[test]
fn a_search_by_a_costly_key_says_so() {
    let Some(file) = golden::path("costly/dos-pgp_p521_x250.json") else {
        return;
    };
    let body = std::fs::read(file).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let key = body["spec"]["signature"]["publicKey"]["content"]
        .as_str()
        .unwrap();
    let refusal = key_search_key("pgp", &STANDARD.decode(key).unwrap())
        .unwrap_err()
        .to_string();
    assert!(refusal.starts_with(TOO_COSTLY), "{refusal}");
}

/// Every key of Debian's developers, where the package debian-keyring is installed ($DEBIAN_KEYRING
/// names another place).
#[test]
fn keys_of_real_people_cost_less_than_they_may() {
    let place = std::env::var("DEBIAN_KEYRING")
        .unwrap_or("/usr/share/keyrings/debian-keyring.gpg".to_owned());
    let Ok(ring) = std::fs::read(&place) else {
        return println!("passed over: there is no {place}");
    };
    let keys = keys_of(&ring);
    assert!(keys.len() > 500, "{}", keys.len());
    let mut slowest = 0;
    for key in &keys {
        let before = cpu_nanoseconds();
        let searched = key_search_key("pgp", key).map_err(|refusal| refusal.to_string());
        slowest = slowest.max(cpu_nanoseconds() - before);
        assert!(
            !searched.is_err_and(|refusal| refusal.starts_with(TOO_COSTLY)),
            "{} bytes",
            key.len()
        );
    }
    println!("{} keys, the slowest took {slowest} ns", keys.len());
}

/// The keys of a ring: each begins with a packet of type 6.
fn keys_of(ring: &[u8]) -> Vec<&[u8]> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while let Some(&[first, rest @ ..]) = ring
        .get(at..)
        .filter(|rest| rest.len() > 5)
        .and_then(|r| r.first_chunk::<6>())
    {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | usize::from(*byte))
        };
        let (tag, length) = match (first & 0x40, first & 3, rest[0]) {
            (0, 0, length) => (first >> 2 & 15, 2 + usize::from(length)),
            (0, 1, _) => (first >> 2 & 15, 3 + number(&rest[..2])),
            (0, ..) => (first >> 2 & 15, 5 + number(&rest[..4])),
            (_, _, length @ ..192) => (first & 63, 2 + usize::from(length)),
            (_, _, length @ ..224) => (
                first & 63,
                3 + (usize::from(length) - 192) * 256 + usize::from(rest[1]) + 192,
            ),
            _ => (first & 63, 6 + number(&rest[1..5])),
        };
        if tag == 6 {
            starts.push(at);
        }
        at += length;
    }
    starts
        .iter()
        .zip(starts[1..].iter().chain([&ring.len()]))
        .map(|(from, to)| &ring[*from..*to])
        .collect()
}
