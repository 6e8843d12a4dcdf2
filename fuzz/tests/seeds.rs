//! The seeds, the stored corpus and the recorded requests hold the properties that the fuzz targets
//! check, without a fuzzer.

use std::fs;
use std::path::Path;

/// Checks the property for every seed, for the corpus that a fuzzer left, and for inputs that made
/// it stop.
fn replay(target: &str, property: fn(&[u8]), fewest: usize) {
    let mut count = 0;
    for folder in ["seeds", "corpus", "artifacts"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(folder)
            .join(target);
        for file in fs::read_dir(folder).into_iter().flatten() {
            let file = file.expect("a readable folder").path();
            println!("{}", file.display());
            property(&fs::read(&file).expect("a readable file"));
            count += 1;
        }
    }
    assert!(count >= fewest, "only {count} seeds");
}

#[test]
fn hashedrekord() {
    replay("hashedrekord", treehead_fuzz::hashedrekord, 60);
}

#[test]
fn x509_key() {
    replay("x509_key", treehead_fuzz::x509_key, 20);
}

#[test]
fn summary() {
    replay("summary", treehead_fuzz::summary, 30);
}

#[test]
fn checkpoint() {
    replay("checkpoint", treehead_fuzz::checkpoint, 6);
}

#[test]
fn tile_path() {
    replay("tile_path", treehead_fuzz::tile_path, 12);
}

#[test]
fn rekord() {
    replay("rekord", treehead_fuzz::rekord, 12);
}

#[test]
fn pgp() {
    replay("pgp", treehead_fuzz::pgp, 25);
}

#[test]
fn minisign() {
    replay("minisign", treehead_fuzz::minisign, 5);
}

#[test]
fn ssh() {
    replay("ssh", treehead_fuzz::ssh, 12);
}

#[test]
fn alpine() {
    replay("alpine", treehead_fuzz::alpine, 5);
}

#[test]
fn jar() {
    replay("jar", treehead_fuzz::jar, 5);
}

#[test]
fn pkcs7() {
    replay("pkcs7", treehead_fuzz::pkcs7, 6);
}

#[test]
fn rpm() {
    replay("rpm", treehead_fuzz::rpm, 9);
}

#[test]
fn rpm_package() {
    replay("rpm_package", treehead_fuzz::rpm_package, 3);
}

#[test]
fn helm_provenance() {
    replay("helm_provenance", treehead_fuzz::helm_provenance, 3);
}

#[test]
fn helm() {
    replay("helm", treehead_fuzz::helm, 6);
}

#[test]
fn cose() {
    replay("cose", treehead_fuzz::cose, 9);
}

#[test]
fn dsse() {
    replay("dsse", treehead_fuzz::dsse, 12);
}

#[test]
fn intoto() {
    replay("intoto", treehead_fuzz::intoto, 15);
}

#[test]
fn rfc3161() {
    replay("rfc3161", treehead_fuzz::rfc3161, 6);
}

#[test]
fn tuf() {
    replay("tuf", treehead_fuzz::tuf, 6);
}

#[test]
fn tuf_key() {
    replay("tuf_key", treehead_fuzz::tuf_key, 3);
}

#[test]
fn v2_request() {
    replay("v2_request", treehead_fuzz::v2_request, 40);
}

#[test]
fn add_checkpoint() {
    replay("add_checkpoint", treehead_fuzz::add_checkpoint, 4);
}

#[test]
fn cosignature() {
    replay("cosignature", treehead_fuzz::cosignature, 4);
}

#[test]
fn witness_policy() {
    replay("witness_policy", treehead_fuzz::witness_policy, 6);
}

#[test]
fn verdict() {
    replay("verdict", treehead_fuzz::verdict, 4);
}

/// Each recorded request as it is, and in two other ways of writing it.
#[test]
fn recorded_verdicts_do_not_depend_on_how_a_request_is_written() {
    let count = treehead_fuzz::verdicts().len();
    assert!(count >= 380, "{count}");
    for number in 0..u16::try_from(count).expect("some hundreds") {
        let chosen = number.to_be_bytes();
        for choices in [vec![], vec![5; 64], chosen.repeat(500)] {
            treehead_fuzz::verdict(&[&chosen[..], &choices].concat());
        }
    }
}

/// Requests of the kinds whose targets take whole entries.
#[test]
fn recorded_requests() {
    for verdict in treehead_fuzz::verdicts() {
        let request: serde_json::Value = serde_json::from_slice(&verdict.body).expect("JSON");
        let property = match request["kind"].as_str() {
            Some("hashedrekord") => treehead_fuzz::hashedrekord,
            Some("rekord") => treehead_fuzz::rekord,
            Some("dsse") => treehead_fuzz::dsse,
            Some("intoto") => treehead_fuzz::intoto,
            Some("rfc3161") => treehead_fuzz::rfc3161,
            _ => continue,
        };
        property(&verdict.body);
    }
}

/// A property that refuses all seeds checks nothing.
#[test]
fn some_seeds_are_accepted() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let count = |target: &str, is_accepted: fn(&[u8]) -> bool| {
        let files = fs::read_dir(seeds.join(target)).expect("seeds");
        files
            .filter(|file| {
                is_accepted(&fs::read(file.as_ref().expect("a file").path()).expect("readable"))
            })
            .count()
    };
    let is_entry = |body: &[u8]| {
        entry::ProposedEntry::from_json(body)
            .and_then(|entry| entry.verify(&entry::Policy::default(), treehead_fuzz::NOW))
            .is_ok()
    };
    assert!(count("hashedrekord", is_entry) >= 25);
    let is_v2_entry = |body: &[u8]| {
        entry::ProposedEntry::from_v2_json(body)
            .and_then(|entry| entry.verify(&entry::Policy::default(), treehead_fuzz::NOW))
            .is_ok()
    };
    assert!(count("v2_request", is_v2_entry) >= 15);
    assert!(count("x509_key", |pem| entry::key_search_key("x509", pem).is_ok()) >= 18);
    assert!(count("rekord", is_entry) >= 10);
    assert!(count("cose", is_entry) >= 5);
    assert!(count("dsse", is_entry) >= 10);
    assert!(count("intoto", is_entry) >= 8);
    assert_eq!(count("rfc3161", is_entry), 2);
    assert_eq!(count("tuf", is_entry), 4);
    assert_eq!(
        count("tuf_key", |root| entry::key_search_key("tuf", root).is_ok()),
        3
    );
    assert!(count("pgp", |key| entry::key_search_key("pgp", key).is_ok()) >= 8);
    assert_eq!(
        count("minisign", |key| entry::key_search_key("minisign", key)
            .is_ok()),
        2
    );
    assert_eq!(
        count("ssh", |key| entry::key_search_key("ssh", key).is_ok()),
        6
    );
    assert_eq!(
        count("alpine", |package| treehead_fuzz::is_accepted(
            "alpine", package
        )),
        1
    );
    assert_eq!(
        count("jar", |archive| treehead_fuzz::is_accepted("jar", archive)),
        3
    );
    assert_eq!(
        count("pkcs7", |block| treehead_fuzz::is_accepted("pkcs7", block)),
        5
    );
    assert_eq!(
        count("rpm", |package| treehead_fuzz::is_accepted("rpm", package)),
        3
    );
    assert_eq!(
        count("helm", |provenance| treehead_fuzz::is_accepted(
            "helm", provenance
        )),
        2
    );
    let is_request =
        |body: &[u8]| tlog::AddCheckpoint::parse(&String::from_utf8_lossy(body)).is_ok();
    assert_eq!(count("add_checkpoint", is_request), 2);
    let is_policy =
        |text: &[u8]| tlog::WitnessPolicy::parse(&String::from_utf8_lossy(text)).is_ok();
    assert_eq!(count("witness_policy", is_policy), 3);
    let are_lines =
        |text: &[u8]| tlog::parse_signature_lines(&String::from_utf8_lossy(text)).is_ok();
    assert_eq!(count("cosignature", are_lines), 2);
    assert_eq!(
        count("checkpoint", |text| tlog::Note::parse(
            &String::from_utf8_lossy(text)
        )
        .is_ok()),
        6
    );
    assert_eq!(
        count("tile_path", |path| String::from_utf8_lossy(path)
            .parse::<tlog::TilePath>()
            .is_ok()),
        7
    );
}
