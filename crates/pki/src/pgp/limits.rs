//! Tests: what a key ring may cost. The keys are made here, with Ed25519, because no tool makes
//! such ones.

use ed25519_dalek::{Signer, SigningKey};

use super::budget::{Budget, MAX_PACKETS};
use super::error::Error;
use super::keyring::Entity;
use super::packet;
use super::reader::{self, MAX_SUBKEYS, MAX_USER_IDS};
use super::signature_packet::SignaturePacket;
use super::verify::MAX_SIGNATURES;
use crate::work::Work;

const CREATED: u32 = 1_577_836_800;
const OID: [u8; 10] = [9, 0x2b, 6, 1, 4, 1, 0xda, 0x47, 15, 1];

/// A key of version 4.
struct Smith(SigningKey);

impl Smith {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    /// The contents of its packet.
    fn contents(&self) -> Vec<u8> {
        let point = [&[0x40][..], self.0.verifying_key().as_bytes()].concat();
        [
            &[4][..],
            &CREATED.to_be_bytes(),
            &[22],
            &OID,
            &integer(&point),
        ]
        .concat()
    }

    fn to_be_hashed(&self) -> Vec<u8> {
        let contents = self.contents();
        [
            &[0x99][..],
            &(contents.len() as u16).to_be_bytes(),
            &contents,
        ]
        .concat()
    }

    fn packet(&self, tag: u8) -> Vec<u8> {
        written(tag, &self.contents())
    }

    /// The contents of a signature over `data`.
    fn sign(&self, kind: u8, data: &[u8], subpackets: &[u8]) -> Vec<u8> {
        let fingerprint = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
            &self.to_be_hashed(),
        );
        let hashed = [
            &subpacket(2, &CREATED.to_be_bytes())[..],
            &subpacket(33, &[&[4][..], fingerprint.as_ref()].concat()),
            subpackets,
        ]
        .concat();
        let fields = [
            &[4, kind, 22, 8][..],
            &(hashed.len() as u16).to_be_bytes(),
            &hashed,
        ]
        .concat();
        let trailer = [&[4, 0xff][..], &(fields.len() as u32).to_be_bytes()].concat();
        let digest = crate::digest::sha256(&[data, &fields, &trailer].concat());
        let signature = self.0.sign(&digest).to_bytes();
        [
            &fields[..],
            &[0, 0],
            &digest[..2],
            &integer(&signature[..32]),
            &integer(&signature[32..]),
        ]
        .concat()
    }

    fn user_id(&self, text: &[u8]) -> Vec<u8> {
        [written(packet::USER_ID, text), self.certification(text)].concat()
    }

    fn certification(&self, text: &[u8]) -> Vec<u8> {
        let data = [
            &self.to_be_hashed()[..],
            &[0xb4],
            &(text.len() as u32).to_be_bytes(),
            text,
        ]
        .concat();
        written(packet::SIGNATURE, &self.sign(0x13, &data, &[]))
    }

    fn subkey(&self, subkey: &Self) -> Vec<u8> {
        let data = [self.to_be_hashed(), subkey.to_be_hashed()].concat();
        [
            subkey.packet(packet::PUBLIC_SUBKEY),
            written(packet::SIGNATURE, &self.sign(0x18, &data, &[])),
        ]
        .concat()
    }

    /// The key with one user ID.
    fn alone(&self) -> Vec<u8> {
        [self.packet(packet::PUBLIC_KEY), self.user_id(b"x")].concat()
    }
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    let bits = bytes.len() * 8
        - bytes
            .first()
            .map_or(0, |first| first.leading_zeros() as usize);
    [&(bits as u16).to_be_bytes()[..], bytes].concat()
}

fn subpacket(kind: u8, contents: &[u8]) -> Vec<u8> {
    [&[contents.len() as u8 + 1, kind][..], contents].concat()
}

fn written(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet::write(tag, contents, &mut bytes);
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Entity>, Error> {
    let mut entities = Vec::new();
    reader::read(
        bytes,
        &mut Budget::of_one_key(usize::MAX, &mut Work::of_request(bytes.len())),
        &mut entities,
    )
    .map(|()| entities)
}

fn limit(bytes: &[u8]) -> Option<&'static str> {
    match read(bytes) {
        Err(Error::TooMany { what, .. }) => Some(what),
        _ => None,
    }
}

#[test]
fn user_ids_are_counted() {
    let smith = Smith::new(1);
    let with = |count: usize| {
        let user_ids = (0..count).flat_map(|number| smith.user_id(number.to_string().as_bytes()));
        smith
            .packet(packet::PUBLIC_KEY)
            .into_iter()
            .chain(user_ids)
            .collect::<Vec<u8>>()
    };
    assert_eq!(
        read(&with(MAX_USER_IDS)).unwrap()[0].user_ids.len(),
        MAX_USER_IDS
    );
    assert_eq!(limit(&with(MAX_USER_IDS + 1)), Some("user IDs"));
}

#[test]
fn subkeys_are_counted() {
    let smith = Smith::new(1);
    let with = |count: usize| [smith.alone(), smith.subkey(&Smith::new(2)).repeat(count)].concat();
    assert_eq!(
        read(&with(MAX_SUBKEYS)).unwrap()[0].subkeys.len(),
        MAX_SUBKEYS
    );
    assert_eq!(limit(&with(MAX_SUBKEYS + 1)), Some("subkeys"));
}

/// Over all keys of one submission, before they are checked.
#[test]
fn checks_are_counted() {
    let alone = Smith::new(1).alone();
    assert_eq!(read(&alone.repeat(100)).unwrap().len(), 100);
    let mut work = Work::of_request(0);
    let outcome = reader::read(
        &alone.repeat(1_000),
        &mut Budget::of_one_key(usize::MAX, &mut work),
        &mut Vec::new(),
    );
    assert!(matches!(outcome, Err(Error::TooCostly(_))), "{outcome:?}");
    assert!(work.is_exhausted() && work.spent() <= work.limit());
}

/// Whether they are self-signatures, revocations of the key or revocations of a subkey.
#[test]
fn signatures_are_not_checked_if_the_key_is_too_long_with_them() {
    let (smith, subkey) = (Smith::new(1), Smith::new(2));
    let both = [smith.to_be_hashed(), subkey.to_be_hashed()].concat();
    let revocation = |kind, data: &[u8]| written(packet::SIGNATURE, &smith.sign(kind, data, &[]));
    let (packet, user_id) = (smith.packet(packet::PUBLIC_KEY), smith.user_id(b"x"));
    let of_user_id = smith.certification(b"x").repeat(250);
    let of_key = revocation(0x20, &smith.to_be_hashed()).repeat(250);
    let bound = smith.subkey(&subkey);
    let of_subkey = revocation(0x28, &both).repeat(250);
    for key in [
        [packet.clone(), user_id.clone(), of_user_id],
        [packet.clone(), of_key, user_id.clone()],
        [smith.alone(), bound, of_subkey],
    ] {
        let key = key.concat();
        let read = |most| {
            let mut work = Work::of_accepted();
            let mut budget = Budget::of_one_key(most, &mut work);
            let outcome = reader::read(&key, &mut budget, &mut Vec::new());
            (outcome, work.spent())
        };
        let (outcome, spent) = read(2_000);
        assert_eq!(outcome, Err(Error::TooLong));
        assert!(spent < 2_000_000, "{spent}");
        assert_eq!(read(key.len()).0, Ok(()));
    }
}

#[test]
fn packets_are_counted() {
    let with = |count: usize| {
        [
            Smith::new(1).alone(),
            written(packet::TRUST, &[]).repeat(count),
        ]
        .concat()
    };
    assert!(read(&with(MAX_PACKETS - 3)).is_ok());
    assert_eq!(limit(&with(MAX_PACKETS - 2)), Some("packets"));
}

#[test]
fn signatures_of_a_message_are_counted() {
    let (smith, other) = (Smith::new(1), Smith::new(2));
    let entities = read(&smith.alone()).unwrap();
    let with = |count: usize| {
        let others = written(packet::SIGNATURE, &other.sign(0, b"message", &[])).repeat(count);
        [
            others,
            written(packet::SIGNATURE, &smith.sign(0, b"message", &[])),
        ]
        .concat()
    };
    let verify = |count| {
        super::verify::detached(
            &entities,
            &with(count),
            &[b"mess", b"age"],
            &mut Work::of_request(0),
        )
    };
    assert_eq!(verify(MAX_SIGNATURES - 1), Ok(()));
    assert_eq!(
        verify(MAX_SIGNATURES),
        Err(Error::TooMany {
            what: "signatures",
            limit: MAX_SIGNATURES
        })
    );
}

#[test]
fn signatures_nested_three_deep_are_refused() {
    let smith = Smith::new(1);
    let inner = smith.sign(0x19, b"", &[]);
    let middle = smith.sign(0x19, b"", &subpacket(32, &inner));
    let outer = |embedded: &[u8]| {
        SignaturePacket::of_key(&smith.sign(0x18, b"", &long_subpacket(32, embedded)))
    };
    assert!(outer(&inner).is_ok());
    assert!(matches!(outer(&middle), Err(Error::Structure(_))));
}

fn long_subpacket(kind: u8, contents: &[u8]) -> Vec<u8> {
    [
        &[255][..],
        &(contents.len() as u32 + 1).to_be_bytes(),
        &[kind],
        contents,
    ]
    .concat()
}

#[test]
fn a_key_that_breaks_the_rules_is_passed_over() {
    let (smith, other) = (Smith::new(1), Smith::new(2));
    let forged = [
        smith.packet(packet::PUBLIC_KEY),
        written(packet::USER_ID, b"y"),
        smith.certification(b"x"),
    ]
    .concat();
    assert_eq!(
        read(&[forged.clone(), other.alone()].concat())
            .unwrap()
            .len(),
        1
    );
    assert!(matches!(read(&forged), Err(Error::Structure(_))));
    assert!(
        matches!(
            read(&smith.packet(packet::PUBLIC_KEY)),
            Err(Error::Structure(_))
        ),
        "no user ID"
    );
    // A user ID that only another key certifies does not count.
    let foreign = [
        smith.alone(),
        written(packet::USER_ID, b"z"),
        other.certification(b"z"),
    ]
    .concat();
    assert_eq!(read(&foreign).unwrap()[0].user_ids.len(), 1);
}

/// RFC 9580 section 5.2.3.24.
#[test]
fn unknown_critical_notations_are_refused() {
    let smith = Smith::new(1);
    let entities = read(&smith.alone()).unwrap();
    let notation = [&[0x80, 0, 0, 0, 0, 1, 0, 1][..], b"nv"].concat();
    let verify = |kind| {
        let packet = written(
            packet::SIGNATURE,
            &smith.sign(0, b"m", &subpacket(kind, &notation)),
        );
        super::verify::detached(&entities, &packet, &[b"m"], &mut Work::of_request(0))
    };
    assert_eq!(verify(20), Ok(()));
    assert_eq!(
        verify(20 | 0x80),
        Err(Error::Signature("unknown critical notation"))
    );
}
