//! Tests: numbers that no tool makes. Whoever submits a key chooses them, and the crates that
//! compute with them have panicked on less.

use super::key_packet::KeyPacket;
use super::packet;
use super::signature_packet::{DSA, ECDSA, ED448, ED25519, EDDSA_LEGACY, RSA, SignaturePacket};
use crate::work::Work;

const CREATED: [u8; 4] = [0x5e, 0x0b, 0xe1, 0];

/// A number as it is written, of so many bytes, whatever they are.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let bits = u16::try_from(bytes.len() * 8).unwrap();
    [&bits.to_be_bytes()[..], bytes].concat()
}

fn filled(length: usize, first: u8, last: u8) -> Vec<u8> {
    let mut bytes = vec![0x5a; length];
    bytes[0] = first;
    bytes[length - 1] = last;
    bytes
}

fn key(algorithm: u8, material: &[u8]) -> Option<KeyPacket> {
    let contents = [&[4][..], &CREATED, &[algorithm], material].concat();
    KeyPacket::parse(packet::PUBLIC_KEY, &contents).ok()
}

fn signature(algorithm: u8, hash: u8, numbers: &[u8]) -> SignaturePacket {
    let fields = [
        &[4, 0, algorithm, hash, 0, 6, 5, 2][..],
        &CREATED,
        &[0, 0, 0, 0],
        numbers,
    ]
    .concat();
    SignaturePacket::of_message(&fields).unwrap()
}

/// Numbers for signatures of an algorithm.
fn numbers(algorithm: u8) -> Vec<Vec<u8>> {
    let one: Vec<Vec<u8>> = [
        vec![],
        vec![0],
        vec![1],
        vec![0; 32],
        vec![0xff; 32],
        vec![0xff; 33],
        vec![0xff; 66],
        vec![0xff; 67],
        vec![0xff; 128],
        vec![1; 129],
        vec![1; 1025],
        vec![1; 8191],
    ]
    .iter()
    .map(|bytes| integer(bytes))
    .collect();
    match algorithm {
        RSA => one,
        ED25519 => vec![vec![0; 64], vec![0xff; 64]],
        ED448 => vec![vec![0; 114], vec![0xff; 114]],
        _ => one
            .iter()
            .flat_map(|r| one.iter().map(move |s| [&r[..], s].concat()))
            .collect(),
    }
}

/// Every pair of key and signature, with hashes of several lengths: nothing verifies, nothing
/// panics.
fn check(algorithm: u8, materials: impl IntoIterator<Item = Vec<u8>>) {
    for material in materials {
        let Some(key) = key(algorithm, &material) else {
            continue;
        };
        for numbers in numbers(algorithm) {
            for hash in [2, 8, 10, 14] {
                let signature = signature(algorithm, hash, &numbers);
                let digest = signature
                    .digest(&[b"message"], &mut Work::of_accepted())
                    .unwrap();
                assert!(
                    key.verify_digest(&signature, &digest, &mut Work::of_accepted())
                        .is_err(),
                    "{algorithm} {material:x?} {numbers:x?}"
                );
            }
        }
    }
}

#[test]
fn rsa() {
    let moduli = [
        vec![0; 128],
        filled(128, 0, 1),
        filled(128, 0x80, 0),
        filled(128, 0x80, 1),
        vec![0xff; 128],
        filled(1024, 0xff, 1),
        filled(1024, 0xff, 2),
        [vec![0; 127], vec![1]].concat(),
        [vec![0; 127], vec![3]].concat(),
    ];
    let exponents = [vec![], vec![0], vec![1], vec![2], vec![3], vec![0xff; 3]];
    check(
        RSA,
        moduli
            .iter()
            .flat_map(|n| exponents.iter().map(|e| [integer(n), integer(e)].concat())),
    );
}

#[test]
fn dsa() {
    let numbers = [
        vec![],
        vec![0],
        vec![1],
        vec![2],
        filled(32, 0x80, 1),
        filled(128, 0x80, 1),
        filled(128, 0x80, 2),
    ];
    let pairs = numbers.iter().flat_map(|p| {
        numbers
            .iter()
            .map(move |q| [integer(p), integer(q)].concat())
    });
    let generators = [vec![], vec![1], filled(128, 0x40, 1)];
    check(
        DSA,
        pairs.flat_map(|pair| {
            generators
                .each_ref()
                .map(|g| [&pair[..], &integer(g), &integer(&filled(128, 0x40, 1))].concat())
        }),
    );
}

#[test]
fn curves() {
    let nist: [&[u8]; 4] = [
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        &[0x2b, 0x81, 4, 0, 0x22],
        &[0x2b, 0x81, 4, 0, 0x23],
        &[0x2b, 0x81, 4, 0, 0x0a],
    ];
    let points = [
        vec![],
        vec![0],
        vec![4],
        vec![4; 65],
        vec![4; 97],
        vec![4; 133],
        [vec![4], vec![0; 64]].concat(),
        [vec![4], vec![0xff; 64]].concat(),
        vec![2; 33],
        vec![0; 65],
    ];
    let material =
        |oid: &[u8], point: &[u8]| [&[oid.len() as u8][..], oid, &integer(point)].concat();
    check(
        ECDSA,
        nist.iter()
            .flat_map(|oid| points.iter().map(|point| material(oid, point))),
    );
    let ed25519: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 15, 1];
    let points = [
        vec![0x40],
        vec![0x40; 32],
        [vec![0x40], vec![0xff; 32]].concat(),
        vec![0x40; 34],
        vec![0x40; 8000],
    ];
    check(
        EDDSA_LEGACY,
        points.iter().map(|point| material(ed25519, point)),
    );
    // Not keys of small order: for those every other signature of zeros verifies, as it does with
    // Go. They are nobody's.
    check(ED25519, [vec![0xff; 32]]);
    check(ED448, [vec![0xff; 57]]);
}
