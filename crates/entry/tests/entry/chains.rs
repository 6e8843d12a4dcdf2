//! Certificates and their chains, made by rcgen.

use entry::Refusal;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::EncodePrivateKey;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
    date_time_ymd,
};

use crate::submission::Submission;

const DIGEST: [u8; 32] = [21; 32];
const UNKNOWN_AUTHORITY: &str =
    "verifying signature: x509: certificate signed by unknown authority";

/// A certificate and the key that it certifies.
struct Certified {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Certified {
    fn root(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    fn issue(&self, params: CertificateParams) -> Self {
        self.issue_with(params, KeyPair::generate().unwrap())
    }

    fn issue_with(&self, params: CertificateParams, key: KeyPair) -> Self {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        Self { params, key, pem }
    }

    /// A leaf whose key is [`leaf_key`].
    fn issue_leaf(&self, params: CertificateParams) -> Self {
        let der = leaf_key().to_pkcs8_der().unwrap();
        self.issue_with(params, KeyPair::try_from(der.as_bytes()).unwrap())
    }
}

fn leaf_key() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[17; 32]).unwrap()
}

/// An authority that is valid from 2020 to 2030.
fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// A code-signing certificate that is valid for a day of 2024.
fn leaf() -> CertificateParams {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![SanType::DnsName("Build.example.com".try_into().unwrap())];
    (params.not_before, params.not_after) = (date_time_ymd(2024, 5, 1), date_time_ymd(2024, 5, 2));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

fn submit(chain: &[&Certified]) -> Result<Vec<String>, Refusal> {
    let signature: p256::ecdsa::Signature = leaf_key().sign_prehash(&DIGEST).unwrap();
    let pem: String = chain
        .iter()
        .map(|certified| certified.pem.as_str())
        .collect();
    let entry = Submission::new("sha256", &DIGEST, signature.to_der().as_bytes(), &pem).verify()?;
    Ok(entry.index_keys().to_vec())
}

fn refused(chain: &[&Certified], text: &str) {
    assert_eq!(submit(chain), Err(Refusal::Invalid(text.to_owned())));
}

#[test]
fn a_chain_leads_from_leaf_to_root() {
    let root = Certified::root(authority("root"));
    let upper = root.issue(authority("upper"));
    let lower = upper.issue(authority("lower"));
    let leaf = lower.issue_leaf(leaf());
    let keys = submit(&[&leaf, &lower, &upper, &root]).unwrap();
    assert_eq!(keys[1], "build.example.com");
    // Intermediates may come in any order and be superfluous; the last one is the root, whatever it
    // is.
    assert!(submit(&[&leaf, &upper, &lower, &root]).is_ok());
    assert!(submit(&[&leaf, &lower, &upper]).is_ok());
    assert!(submit(&[&leaf, &Certified::root(authority("other")), &lower]).is_ok());
    // One certificate is no chain, and the same one twice ends where it begins.
    assert!(submit(&[&leaf]).is_ok());
    assert!(submit(&[&leaf, &leaf]).is_ok());

    refused(&[&leaf, &upper, &root], UNKNOWN_AUTHORITY);
    refused(
        &[&leaf, &Certified::root(authority("lower"))],
        UNKNOWN_AUTHORITY,
    );
    refused(&[&root, &leaf], UNKNOWN_AUTHORITY);
    refused(&[&leaf; 11], "too many certificates specified in PEM block");
}

#[test]
fn authorities_must_be_marked_as_such() {
    let root = Certified::root(authority("root"));
    let check = |change: fn(&mut CertificateParams), is_accepted: bool| {
        let mut params = authority("intermediate");
        change(&mut params);
        let intermediate = root.issue(params);
        let leaf = intermediate.issue_leaf(leaf());
        match is_accepted {
            true => drop(submit(&[&leaf, &intermediate, &root]).unwrap()),
            false => refused(&[&leaf, &intermediate, &root], UNKNOWN_AUTHORITY),
        }
    };
    check(|_| {}, true);
    check(|params| params.key_usages = vec![], true);
    check(
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        true,
    );
    check(
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
        true,
    );
    check(|params| params.not_before = date_time_ymd(2024, 5, 1), true);
    check(|params| params.is_ca = IsCa::ExplicitNoCa, false);
    check(|params| params.is_ca = IsCa::NoCa, false);
    check(
        |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
        false,
    );
    check(
        |params| params.not_before = date_time_ymd(2024, 5, 2),
        false,
    );
    check(
        |params| params.not_after = date_time_ymd(2024, 4, 30),
        false,
    );
    check(
        |params| {
            let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
            unknown.set_criticality(true);
            params.custom_extensions = vec![unknown];
        },
        false,
    );
}

#[test]
fn path_length_counts_authorities_below() {
    let mut params = authority("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let root = Certified::root(params);
    let upper = root.issue(authority("upper"));
    let lower = upper.issue(authority("lower"));
    let leaf_of_upper = upper.issue_leaf(leaf());
    let leaf_of_lower = lower.issue_leaf(leaf());
    assert!(submit(&[&leaf_of_upper, &upper, &root]).is_ok());
    refused(&[&leaf_of_lower, &lower, &upper, &root], UNKNOWN_AUTHORITY);
}

#[test]
fn names_are_those_that_authorities_admit() {
    let issue = |constraints: NameConstraints| {
        let mut params = authority("root");
        params.name_constraints = Some(constraints);
        let root = Certified::root(params);
        let leaf = root.issue_leaf(leaf());
        submit(&[&leaf, &root]).is_ok()
    };
    let dns = |name: &str| vec![GeneralSubtree::DnsName(name.to_owned())];
    assert!(issue(NameConstraints {
        permitted_subtrees: dns("example.com"),
        excluded_subtrees: vec![]
    }));
    assert!(!issue(NameConstraints {
        permitted_subtrees: dns("example.org"),
        excluded_subtrees: vec![]
    }));
    assert!(!issue(NameConstraints {
        permitted_subtrees: vec![],
        excluded_subtrees: dns("build.example.com")
    }));
    assert!(issue(NameConstraints {
        permitted_subtrees: vec![],
        excluded_subtrees: dns("a.build.example.com")
    }));
    let email = vec![GeneralSubtree::Rfc822Name("example.org".to_owned())];
    assert!(issue(NameConstraints {
        permitted_subtrees: email,
        excluded_subtrees: vec![]
    }));
}
