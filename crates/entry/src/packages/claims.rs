//! What the packages of a statement claim: that a version of a package has a digest.

use std::collections::{BTreeMap, HashSet};

use super::Purl;
use crate::index_keys::{MAX_INDEX_KEY_BYTES, MAX_INDEX_KEYS, lower_case_text};
use crate::package::Package;
use crate::refusal::Refusal;

/// Digests by which packages are compared: name, digits, and the number by which databases know the
/// algorithm, which never changes. MD5 is not among them: equal digests would say nothing.
const ALGORITHMS: [(&str, usize, i16); 10] = [
    ("sha256", 64, 1),
    ("sha512", 128, 2),
    ("sha384", 96, 3),
    ("sha224", 56, 4),
    ("sha1", 40, 5),
    ("sha3256", 64, 6),
    ("sha3384", 96, 7),
    ("sha3512", 128, 8),
    ("blake2b", 128, 9),
    ("blake2s", 64, 10),
];

/// A version of a package, and its digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageClaim {
    /// The package URL, as [`Package::purl`]. It has a version.
    pub purl: String,
    /// The digests that can be compared, by the number of their algorithm. There may be none.
    pub digests: BTreeMap<i16, Vec<u8>>,
}

/// The claims of an entry about packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageClaims {
    /// The claims, each package once, sorted.
    pub claims: Vec<PackageClaim>,
    /// A package to which the entry itself gives two digests of one algorithm. The first one is
    /// among the claims.
    pub contradictory: Option<String>,
    /// Whether the entry names a package in a version, and gives every such package a digest that
    /// can be compared.
    pub is_complete: bool,
}

impl PackageClaims {
    /// Returns what these packages claim.
    pub(crate) fn of(packages: &[Package]) -> Self {
        let mut found = Self::default();
        let mut by_purl: BTreeMap<&str, BTreeMap<i16, Vec<u8>>> = BTreeMap::new();
        // An image whose version is its digest needs no comparison.
        let mut settled = HashSet::new();
        for package in packages {
            let Some(version) = Purl::parse(&package.purl).and_then(|purl| purl.in_version())
            else {
                continue;
            };
            let digests = by_purl.entry(&package.purl).or_default();
            for (name, algorithm, digest) in package.digests.iter().filter_map(|text| read(text)) {
                if version.ends_with(&format!("@{name}:{}", hex::encode(&digest))) {
                    settled.insert(package.purl.as_str());
                }
                let first = digests.entry(algorithm).or_insert_with(|| digest.clone());
                if *first != digest {
                    found
                        .contradictory
                        .get_or_insert_with(|| package.purl.clone());
                }
            }
        }
        found.is_complete =
            !by_purl.is_empty() && by_purl.values().all(|digests| !digests.is_empty());
        by_purl.retain(|purl, _| !settled.contains(purl));
        let claims = by_purl.into_iter().map(|(purl, digests)| PackageClaim {
            purl: purl.to_owned(),
            digests,
        });
        found.claims = claims.collect();
        found
    }
}

/// Reads `<algorithm>:<digest>` in lower case: name and number of the algorithm, and the digest.
fn read(text: &str) -> Option<(&'static str, i16, Vec<u8>)> {
    let (algorithm, digits) = text.split_once(':')?;
    let plain = algorithm.replace(['-', '_'], "");
    let mut known = ALGORITHMS.into_iter();
    let (name, length, number) = known.find(|(name, ..)| *name == plain)?;
    let digest = hex::decode(digits)
        .ok()
        .filter(|_| digits.len() == length)?;
    Some((name, number, digest))
}

/// Returns the packages in their versions that an entry with these index keys names, as the ends of
/// those keys: what [`PackageClaims`] has, in lower case.
pub fn named_packages(index_keys: &[String]) -> Vec<String> {
    let purls = index_keys
        .iter()
        .filter_map(|key| key.strip_prefix("purl="));
    let versions: Vec<&str> = purls
        .filter(|text| Purl::parse(text).is_some_and(|purl| purl.in_version().is_some()))
        .collect();
    // The most exact texts: the one without qualifiers stands beside each that has some.
    let qualified: HashSet<&str> = versions
        .iter()
        .filter_map(|text| text.split_once('?'))
        .map(|(version, _)| version)
        .collect();
    let is_exact = |text: &&&str| !qualified.contains(**text);
    // However the algorithm is spelt.
    let digests: HashSet<String> = index_keys
        .iter()
        .filter_map(|key| read(&lower_case_text(key)))
        .map(|(name, _, digest)| format!("{name}:{}", hex::encode(digest)))
        .collect();
    let is_settled = |text: &&&str| {
        let digest = text
            .split('?')
            .next()
            .and_then(|text| text.rsplit_once('@'));
        digest.is_some_and(|(_, digest)| digests.contains(digest))
    };
    let exact = versions
        .iter()
        .filter(is_exact)
        .filter(|text| !is_settled(text));
    exact.map(|text| (*text).to_owned()).collect()
}

/// The claims of an entry that is to be appended. Each is a row as well.
pub(crate) fn bounded_claims(claims: PackageClaims) -> Result<PackageClaims, Refusal> {
    let list = &claims.claims;
    let bytes: usize = list
        .iter()
        .map(|claim| claim.purl.len() + claim.digests.values().map(Vec::len).sum::<usize>())
        .sum();
    match list.len() {
        ..=MAX_INDEX_KEYS if bytes <= MAX_INDEX_KEY_BYTES => Ok(claims),
        ..=MAX_INDEX_KEYS => Err(Refusal::Invalid(format!(
            "the packages of the entry have {bytes} bytes with their digests, the limit is \
             {MAX_INDEX_KEY_BYTES}"
        ))),
        _ => Err(Refusal::Invalid(format!(
            "the entry names more than {MAX_INDEX_KEYS} packages, the limit"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_bounded() {
        let bounded = |number: usize, bytes: usize| {
            let claim = PackageClaim {
                purl: "x".repeat(bytes),
                digests: BTreeMap::new(),
            };
            let claims = PackageClaims {
                claims: vec![claim; number],
                ..PackageClaims::default()
            };
            bounded_claims(claims).is_ok()
        };
        assert!(bounded(0, 0) && bounded(MAX_INDEX_KEYS, MAX_INDEX_KEY_BYTES / MAX_INDEX_KEYS));
        assert!(!bounded(MAX_INDEX_KEYS + 1, 1) && !bounded(512, 2_049));
    }

    fn package(purl: &str, digests: &[&str]) -> Package {
        Package {
            purl: purl.to_owned(),
            digests: digests.iter().map(|&digest| digest.to_owned()).collect(),
        }
    }

    /// The claims: package, number of the algorithm and digest.
    fn claims(packages: &[Package]) -> Vec<(String, Vec<(i16, String)>)> {
        let of = |claim: PackageClaim| {
            let digests = claim.digests.into_iter();
            let digests = digests.map(|(algorithm, digest)| (algorithm, hex::encode(digest)));
            (claim.purl, digests.collect())
        };
        let claims = PackageClaims::of(packages).claims;
        claims.into_iter().map(of).collect()
    }

    #[test]
    fn a_version_claims_its_digests() {
        let (sha256, sha512) = ("0a".repeat(32), "0b".repeat(64));
        let of = |algorithm: &str, digits: &str| format!("{algorithm}:{digits}");
        let packages = [
            package(
                "pkg:npm/b@1.0.0",
                &[&of("sha512", &sha512), &of("sha-256", &sha256), "md5:00"],
            ),
            package("pkg:npm/a@1.0.0", &["sha256:00", "gitcommit:ff"]),
            package("pkg:npm/b", &[&of("sha256", &sha256)]),
            package(
                &format!("pkg:oci/app@sha256:{sha256}"),
                &[&of("sha256", &sha256)],
            ),
        ];
        assert_eq!(
            claims(&packages),
            [
                ("pkg:npm/a@1.0.0".to_owned(), vec![]),
                (
                    "pkg:npm/b@1.0.0".to_owned(),
                    vec![(1, sha256.clone()), (2, sha512)]
                ),
            ]
        );
        let complete = |packages: &[Package]| PackageClaims::of(packages).is_complete;
        assert!(!complete(&packages) && complete(&packages[..1]) && complete(&packages[3..]));
        assert!(!complete(&packages[1..2]) && !complete(&packages[2..3]) && !complete(&[]));
    }

    #[test]
    fn an_image_with_another_digest_than_its_name_says_is_compared() {
        let (one, other) = ("0a".repeat(32), "0b".repeat(32));
        let purl = format!("pkg:oci/app@sha256:{one}");
        let found = claims(&[package(&purl, &[&format!("sha256:{other}")])]);
        assert_eq!(found, [(purl, vec![(1, other)])]);
    }

    #[test]
    fn an_entry_may_contradict_itself() {
        let (one, other) = (
            format!("sha256:{}", "0a".repeat(32)),
            format!("sha256:{}", "0b".repeat(32)),
        );
        let packages = [
            package("pkg:npm/a@1", &[&one]),
            package("pkg:npm/a@1", &[&other]),
        ];
        let found = PackageClaims::of(&packages);
        assert_eq!(found.contradictory.as_deref(), Some("pkg:npm/a@1"));
        assert_eq!(found.claims.len(), 1);
        let same = [
            package("pkg:npm/a@1", &[&one]),
            package("pkg:npm/a@1", &[&one]),
        ];
        assert_eq!(PackageClaims::of(&same).contradictory, None);
    }

    #[test]
    fn index_keys_name_the_packages_that_are_claimed() {
        let digest = "0a".repeat(32);
        let keys = [
            format!("sha-256:{digest}"),
            "purl=pkg:deb/debian/a@1?arch=i386".to_owned(),
            "purl=pkg:deb/debian/a@1".to_owned(),
            "purl=pkg:deb/debian/a".to_owned(),
            format!("purl=pkg:oci/app@sha256:{digest}"),
            "purl=pkg:oci/app".to_owned(),
            "subject=a@1".to_owned(),
        ];
        assert_eq!(named_packages(&keys), ["pkg:deb/debian/a@1?arch=i386"]);
    }
}
