//! One entry of a real Rekor v1.5.4 from end to end; all keys in it are throw-away.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tlog::{
    Checkpoint, Hash, LeafIndex, NoteKey, TreeSize, VerifyingKey, leaf_hash, sha256,
    verify_inclusion,
};

const LOG_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEisP+Rk0z9p6/xp6HShiPXmkTzoSi
xcbrEDa/Sv9cx1ygnvtrhjjPvspttfviJvrqQj+RG/Jew1aL0GjnzKonJw==
-----END PUBLIC KEY-----
";
const LOG_ID: &str = "0df0d7025d929558efb8aa0df9fd6c705cfd8daf12101705e8cf0ae7ba7d5b12";
const BODY: &str = r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"4ac5941ce272e4f72eda5412c9da0ba9a4a3a6645a33ac77a634f4b025381058"}},"signature":{"content":"MEYCIQC4alY8bLylTVWIBJuzNx33XrpxX9s3CD4SUo7gmh2dEAIhAI7F1lzRfMt0wVyE/7ANMkHJTRTJ5xs4vG4696z77kmW","publicKey":{"content":"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFUnh3K2RZeEpCQ2hidW41VEVZN1E5U1N0NndkWAowbHZTK09ldzEyMzZjVXpkVWc5NnlvcUxrWHJNTi9VZDZQREp1K090aFlPQzV3TGNKYUV0Q2Zlb1dBPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="}}}}"#;
const LEAF_HASH: &str = "23ae971ecc69bafcf73a83228c2164318a804f1fca96d8d5537f166fc398ec1a";
const ROOT: &str = "2712b58331848a5d8debb88e5a524fb2a965b39221fa04f67d28615ceeb7d486";
const PROOF: [&str; 5] = [
    "fda44ced2e63e32bcb370e53f0d15c71782f458be453f09ef001f70080c71544",
    "4028d0faab0aaa7ced74d1128a01e0af816cedcd195604b32f697f0c7cf953e8",
    "6ca1037462b0b56c47c9c03db1f6b6cf90dd04a94a903ab29ec7253bf5cf12e4",
    "b210470619a98adb6e63f24a71ee1121080dcd6d4175adc3cc83dc9b65e19714",
    "e2bf396b5b01ef67f33b8d6e7655dc63dc01b00499e84ce30dd3cfe18b9c9a8c",
];
const LEAF_INDEX: LeafIndex = LeafIndex(55);
const TREE_SIZE: TreeSize = TreeSize(56);
const CHECKPOINT: &str = "rekor.example.test - 4112233445566778899
56
JxK1gzGEil2N67iOWlJPsqlls5Ih+gT2fShhXO631IY=

— rekor.example.test DfDXAjBFAiAbpx1Rx3+SHCi/5u/OdRCckupmdo79wKMndl7IdFB51gIhAIbX5ER09e9am1WlQPEeU4oqdF+7Id4zOUlu44rDaojV
";
/// Signed over the canonical JSON of body, time, log ID and log index.
const ENTRY_TIMESTAMP: &str = "MEUCIDJdSGzB1V8kUix9Vzo3EvHDAIB0WSvIa/t96aFJmo7TAiEApP0Jun2Dd6E2CzzidGDE5/yAPlIo/C+HUbkc4+BJNPE=";
const ENTRY_TIMESTAMP_PAYLOAD_HASH: &str =
    "0eb3182ea056e7a54eefc961e3f1450b3e9960628fcc8787094b9f493b69ba80";

#[test]
fn the_public_key_is_read_and_written_as_rekor_does() {
    let key = log_key();
    assert_eq!(key.to_pem(), LOG_PEM);
    assert_eq!(key.log_id(), hash(LOG_ID));
    let name = note_key();
    assert_eq!(name.key_id(), [0x0d, 0xf0, 0xd7, 0x02]);
    assert_eq!(name.key_hash(), key.log_id());
}

#[test]
fn the_checkpoint_verifies() {
    let checkpoint = Checkpoint::open(
        CHECKPOINT,
        "rekor.example.test - 4112233445566778899",
        &[note_key()],
    );
    let expected = Checkpoint::new(
        "rekor.example.test - 4112233445566778899",
        TREE_SIZE,
        hash(ROOT),
    );
    assert_eq!(checkpoint, Ok(expected));
}

#[test]
fn the_entry_is_included() {
    let leaf = leaf_hash(BODY.as_bytes());
    assert_eq!(leaf, hash(LEAF_HASH));
    let proof = PROOF.map(hash);
    assert_eq!(
        verify_inclusion(&leaf, LEAF_INDEX, TREE_SIZE, &hash(ROOT), &proof),
        Ok(())
    );
}

#[test]
fn the_entry_timestamp_verifies() {
    let body = STANDARD.encode(BODY);
    let payload = format!(
        r#"{{"body":"{body}","integratedTime":1795384279,"logID":"{LOG_ID}","logIndex":58}}"#
    );
    assert_eq!(
        sha256(payload.as_bytes()),
        hash(ENTRY_TIMESTAMP_PAYLOAD_HASH)
    );
    let signature = STANDARD.decode(ENTRY_TIMESTAMP).expect("base64");
    assert_eq!(log_key().verify(payload.as_bytes(), &signature), Ok(()));
}

fn log_key() -> VerifyingKey {
    let base64: String = LOG_PEM
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    VerifyingKey::from_spki(&STANDARD.decode(base64).expect("base64")).expect("P-256 key")
}

fn note_key() -> NoteKey {
    NoteKey::new("rekor.example.test", log_key()).expect("key name")
}

fn hash(hex: &str) -> Hash {
    Hash::try_from(hex::decode(hex).expect("hex").as_slice()).expect("32 bytes")
}
