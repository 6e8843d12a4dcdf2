//! The PKI format `tuf`: documents of The Update Framework
//! (<https://theupdateframework.github.io/specification>), whose keys are a root document and whose
//! signatures are any other.
//!
//! Verified by hand: crates for TUF are clients that fetch a repository. The rules are those of
//! go-tuf, which Rekor uses.

mod canonical;
mod key;
mod time;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::error::{Error, quoted};
use crate::format;
use crate::go_json::{self, Value};
use crate::jcs;
use crate::time::UnixSeconds;
use crate::work::Work;
use key::RoleKey;
use time::Timestamp;

/// Bytes of one document. Leaf bytes of 65,535 hold two of some 24,000, and those of 1 MiB, the
/// most that any log takes, two of 390,000 without white space.
const MAX_BYTES: usize = 1024 * 1024;
/// Signatures of one document; those of Ed25519 hash it once each. Roots in use have about five.
const MAX_SIGNATURES: usize = 64;
/// Keys of a root, each of which is parsed.
const MAX_KEYS: usize = 256;
/// Roles of a root, and keys that one names.
const MAX_ROLES: usize = 256;

/// A document: parsed, nothing verified.
pub struct Document {
    signatures: Vec<Signature>,
    /// The signed part in its canonical form. None if it has no such form, so that no signature
    /// verifies.
    message: Option<Vec<u8>>,
    canonical: Vec<u8>,
    /// Its role.
    kind: String,
    version: i64,
    expires: Timestamp,
}

struct Signature {
    key_id: String,
    bytes: Vec<u8>,
}

impl Document {
    /// Parses JSON. What the document says is read from its canonical form, as everyone reads it
    /// who finds the entry: of names that differ in case the last one counts, and numbers have 64
    /// bits of floating point, so that another form may say something else.
    pub fn parse(json: &[u8], work: &mut Work) -> Result<Self, Error> {
        Self::read(canonical_form(json, work)?, work)
    }

    /// The role that it names as its own.
    pub fn role(&self) -> &str {
        &self.kind
    }

    /// Returns the version that it names.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Its canonical form: RFC 8785 of `signatures` and `signed`, without other members.
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    fn read(canonical: Vec<u8>, work: &mut Work) -> Result<Self, Error> {
        let (signed, signatures) = parts(&canonical)?;
        let [kind, version, expires] =
            go_json::members(signed.get(), ["_type", "version", "expires"])?;
        let kind = kind.text()?.into_owned();
        let version = version.scalar()?;
        let expires = Timestamp::parse(&expires.text()?)?;
        let signatures = read_signatures(&signatures)?;
        let message = canonical::signed_form(signed, work)?;
        Ok(Self {
            signatures,
            message,
            canonical,
            kind,
            version,
            expires,
        })
    }

    fn check_not_expired(&self, now: UnixSeconds) -> Result<(), Error> {
        match self.expires.is_after(now) {
            true => Ok(()),
            false => Err(Error::Invalid(format!("expired at {}", self.expires))),
        }
    }
}

/// A root: a document signed by the keys that it gives itself.
pub struct Root {
    document: Document,
    spec_version: String,
    keys: BTreeMap<String, RoleKey>,
    roles: BTreeMap<String, Role>,
}

struct Role {
    key_ids: BTreeSet<String>,
    threshold: i64,
}

impl Root {
    /// The version of the specification that it names.
    pub fn spec_version(&self) -> &str {
        &self.spec_version
    }

    /// Checks that the root holds at `now`, and that its keys signed the document for the role that
    /// it names, which holds then, too.
    pub fn verify(
        &self,
        document: &Document,
        now: UnixSeconds,
        work: &mut Work,
    ) -> Result<(), Error> {
        self.document.check_not_expired(now)?;
        self.check(document, &document.kind, work)?;
        document.check_not_expired(now)
    }

    /// Signatures, type and version (specification section 5.3 and following), but not expiry.
    fn check(&self, document: &Document, role: &str, work: &mut Work) -> Result<(), Error> {
        self.check_signatures(document, role, work)?;
        let wanted = match role {
            "root" | "targets" | "snapshot" | "timestamp" => role,
            // Delegated roles sign targets.
            _ => "targets",
        };
        if !document.kind.eq_ignore_ascii_case(wanted) {
            return Err(invalid("tuf: meta file has wrong type"));
        }
        match document.version {
            0.. => Ok(()),
            version => Err(Error::Invalid(format!(
                "version {version} is lower than current version 0"
            ))),
        }
    }

    /// Whether as many keys of the role as it needs signed the document. A key counts once, by
    /// whatever IDs.
    fn check_signatures(
        &self,
        document: &Document,
        name: &str,
        work: &mut Work,
    ) -> Result<(), Error> {
        if document.signatures.is_empty() {
            return Err(invalid("tuf: data has no signatures"));
        }
        let role = self
            .roles
            .get(name)
            .ok_or_else(|| Error::Invalid(format!("tuf: unknown role {:?}", quoted(name))))?;
        let mut verified: BTreeSet<&[u8]> = BTreeSet::new();
        if let Some(message) = &document.message {
            work.take_hashing(message.len())?;
            let digest = Digest::sha256(message);
            for signature in document
                .signatures
                .iter()
                .filter(|signature| role.key_ids.contains(&signature.key_id))
            {
                let Some(key) = self.keys.get(&signature.key_id) else {
                    continue;
                };
                if !verified.contains(key.bytes())
                    && key.verifies(message, &digest, &signature.bytes, work)
                {
                    verified.insert(key.bytes());
                }
            }
        }
        match i64::try_from(verified.len()).is_ok_and(|verified| verified >= role.threshold) {
            true => Ok(()),
            false => Err(invalid("tuf: valid signatures did not meet threshold")),
        }
    }
}

impl format::Key for Root {
    /// Parses a root and checks that it signed itself; not whether it has expired, so that it can
    /// be searched by for ever.
    fn parse(json: &[u8], work: &mut Work) -> Result<Self, Error> {
        let canonical = canonical_form(json, work)?;
        let (signed, _) = parts(&canonical)?;
        let [spec_version, keys, roles, consistent_snapshot] = go_json::members(
            signed.get(),
            ["spec_version", "keys", "roles", "consistent_snapshot"],
        )?;
        // It matters to clients of a repository only, but whoever reads the root with Go needs it
        // to be one.
        consistent_snapshot.scalar::<bool>()?;
        let root = Self {
            spec_version: spec_version.text()?.into_owned(),
            keys: read_keys(&keys)?,
            roles: read_roles(&roles)?,
            document: Document::read(canonical, work)?,
        };
        root.check(&root.document, "root", work)?;
        Ok(root)
    }

    fn canonical(&self) -> &[u8] {
        &self.document.canonical
    }

    fn subjects(&self) -> &[String] {
        &[]
    }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid(reason.to_owned())
}

/// RFC 8785 of `signatures` and `signed` of a document that is not too large, without other
/// members.
fn canonical_form(json: &[u8], work: &mut Work) -> Result<Vec<u8>, Error> {
    if json.len() > MAX_BYTES {
        return Err(Error::Invalid(format!(
            "a TUF document of {} bytes is too large, the limit is {MAX_BYTES}",
            json.len()
        )));
    }
    let (signed, signatures) = parts(json)?;
    // What is wrong with what is signed is said first.
    let signed = canonical::rfc8785(signed, work)?;
    let mut whole = br#"{"signatures":["#.to_vec();
    whole.reserve_exact(signed.len());
    for (position, Signature { key_id, bytes }) in
        read_signatures(&signatures)?.into_iter().enumerate()
    {
        if position > 0 {
            whole.push(b',');
        }
        let signature = format!(
            r#"{{"keyid":{},"sig":"{}"}}"#,
            jcs::string(&key_id),
            hex::encode(bytes)
        );
        whole.extend_from_slice(signature.as_bytes());
    }
    whole.extend_from_slice(br#"],"signed":"#);
    whole.extend_from_slice(&signed);
    whole.push(b'}');
    Ok(whole)
}

/// The members `signed` and `signatures` of a document.
fn parts(json: &[u8]) -> Result<(&RawValue, Value<'_>), Error> {
    let text = std::str::from_utf8(json).map_err(Error::invalid)?;
    let [signed, signatures] = go_json::members(text, ["signed", "signatures"])?;
    // Go's words for a member that is not there.
    let signed = signed
        .last()
        .ok_or_else(|| invalid("unexpected end of JSON input"))?;
    Ok((signed, signatures))
}

fn read_signatures(list: &Value<'_>) -> Result<Vec<Signature>, Error> {
    let mut signatures = Vec::new();
    list.each_element(|element| {
        if signatures.len() == MAX_SIGNATURES {
            return Err(Error::Invalid(format!(
                "a TUF document has more than {MAX_SIGNATURES} signatures, the limit"
            )));
        }
        let [key_id, sig] = element.members(["keyid", "sig"])?;
        let bytes =
            hex::decode(&*sig.text()?).map_err(|_| invalid("tuf: invalid JSON hex bytes"))?;
        signatures.push(Signature {
            key_id: key_id.text()?.into_owned(),
            bytes,
        });
        Ok(())
    })?;
    Ok(signatures)
}

fn read_keys(object: &Value<'_>) -> Result<BTreeMap<String, RoleKey>, Error> {
    let mut keys = BTreeMap::new();
    object.each_member(|id, key| {
        if keys.len() == MAX_KEYS {
            return Err(Error::Invalid(format!(
                "a TUF root has more than {MAX_KEYS} keys, the limit"
            )));
        }
        keys.insert(id.into_owned(), RoleKey::parse(key)?);
        Ok(())
    })?;
    Ok(keys)
}

fn read_roles(object: &Value<'_>) -> Result<BTreeMap<String, Role>, Error> {
    let mut roles = BTreeMap::new();
    let too_many = |what: &str| {
        Error::Invalid(format!(
            "a TUF root has more than {MAX_ROLES} {what}, the limit"
        ))
    };
    object.each_member(|name, role| {
        if roles.len() == MAX_ROLES {
            return Err(too_many("roles"));
        }
        let [ids, threshold] = Value::of(role).members(["keyids", "threshold"])?;
        let threshold = threshold.scalar()?;
        if threshold < 1 {
            return Err(invalid("tuf: invalid role threshold"));
        }
        let mut key_ids = BTreeSet::new();
        ids.each_element(|id| {
            if key_ids.len() == MAX_ROLES {
                return Err(too_many("keys for a role"));
            }
            key_ids.insert(id.text()?.into_owned());
            Ok(())
        })?;
        roles.insert(name.into_owned(), Role { key_ids, threshold });
        Ok(())
    })?;
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;
    use crate::format::Key as _;

    fn work() -> Work {
        Work::of_request(0)
    }

    /// A root with these members beside those that it needs, signed by its only key.
    fn root(members: &str) -> String {
        let key = SigningKey::from_bytes(&[1; 32]);
        let public = hex::encode(key.verifying_key().as_bytes());
        let signed = format!(
            r#"{{"_type":"root","expires":"2030-01-01T00:00:00Z","keys":{{"a":{{"keytype":"ed25519","keyval":{{"public":"{public}"}}}}}},"roles":{{"root":{{"keyids":["a"],"threshold":1}}}},{members}}}"#
        );
        let raw: &RawValue = serde_json::from_str(&signed).unwrap();
        let message = canonical::signed_form(raw, &mut work()).unwrap().unwrap();
        let sig = hex::encode(key.sign(&message).to_bytes());
        format!(r#"{{"signed":{signed},"signatures":[{{"keyid":"a","sig":"{sig}"}}]}}"#)
    }

    /// Leaf bytes have nothing but the canonical form.
    #[test]
    fn documents_are_read_from_their_canonical_form() {
        for (members, version, role) in [
            (r#""version":7"#, 7, "root"),
            // Of names that Go takes for one the last one counts, and the canonical form has
            // another order.
            (r#""version":7,"Version":8"#, 7, "root"),
            (r#""version":7,"_TYPE":"targets""#, 7, "root"),
            // Signed, and written, as 64 bits of floating point.
            (
                r#""version":9007199254740993"#,
                9_007_199_254_740_992,
                "root",
            ),
        ] {
            let root = Root::parse(root(members).as_bytes(), &mut work())
                .unwrap_or_else(|refusal| panic!("{members}: {refusal}"));
            assert_eq!(
                (root.document.version, root.document.role()),
                (version, role),
                "{members}"
            );
            let again = Root::parse(root.canonical(), &mut work())
                .unwrap_or_else(|refusal| panic!("{members}: {refusal}"));
            assert_eq!(
                (again.document.version, again.document.role()),
                (version, role),
                "{members}"
            );
            assert_eq!(again.canonical(), root.canonical(), "{members}");
        }
    }

    /// The canonical form of -0 is 0, which is another message.
    #[test]
    fn signatures_over_other_forms_are_refused() {
        let refusal = Root::parse(root(r#""version":7,"x":-0"#).as_bytes(), &mut work())
            .err()
            .unwrap();
        assert_eq!(
            refusal.to_string(),
            "tuf: valid signatures did not meet threshold"
        );
    }
}
