use std::fs;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

fn given(text: &str) -> Given {
    Given { settings: toml::from_str(text).unwrap(), outside: Outside::default() }
}

#[test]
fn algorithms_are_named_as_in_rekor() {
    let config = Config::layered(None, given("client-signing-algorithms = [\"ed25519-ph\"]")).unwrap();
    assert_eq!(config.client_signing_algorithms, ["ed25519-ph"]);
    let failure = Config::layered(None, given("client-signing-algorithms = [\"md5\"]")).unwrap_err();
    assert!(failure.to_string().starts_with("client-signing-algorithms: \"md5\" is not a signing algorithm"));
}

#[test]
fn kinds_and_operations_are_named_as_in_rekor() {
    let text = "enabled-entry-types = [\"hashedrekord\"]\nenabled-api-endpoints = [\"getLogInfo\"]";
    let config = Config::layered(None, given(text)).unwrap();
    assert_ne!(config.operations().unwrap(), server::Operations::default());
    for (text, wanted) in [
        ("enabled-entry-types = [\"x\"]", "enabled-entry-types: \"x\" is not a kind of entries; known are "),
        ("enabled-api-endpoints = [\"x\"]", "enabled-api-endpoints: \"x\" is not an operation; known are getLogInfo, "),
    ] {
        let failure = Config::layered(None, given(text)).unwrap_err().to_string();
        assert!(failure.starts_with(wanted), "{failure}");
    }
}

#[test]
fn nearer_source_wins() {
    let file = file("name = \"file.example\"\nlisten = \"127.0.0.1:1\"");
    let config = Config::layered(Some(file.path()), given("listen = \"127.0.0.1:2\"")).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.name.as_deref(), Some("file.example"));
    assert_eq!(config.metrics_listen, Config::default().metrics_listen);
}

#[test]
fn settings_of_one_table_may_come_from_several_sources() {
    let file = file("duplicates.v1 = \"stored\"");
    let config = Config::layered(Some(file.path()), given("duplicates.v2 = \"conflict\"")).unwrap();
    assert_eq!(config.duplicates, Duplicates { v1: OnDuplicate::Stored, v2: OnDuplicate::Conflict });
}

#[test]
fn nearer_database_wins_in_either_form() {
    let file = file("database = \"postgres://far/x\"");
    let url_file = self::file("postgres://u:secret@near/x\nnote");
    let path = url_file.path().display();
    let config = Config::layered(Some(file.path()), given(&format!("database-file = \"{path}\""))).unwrap();
    assert_eq!(config.database_url().unwrap().unwrap().secret(), "postgres://u:secret@near/x");
}

#[test]
fn two_databases_at_once_are_refused() {
    let both = given("database = \"postgres://a/b\"\ndatabase-file = \"c\"");
    assert!(Config::layered(None, both).unwrap_err().to_string().contains("database is given as well"));
}

#[test]
fn unknown_key_is_refused_with_its_place() {
    let file = file("# one\nlisten = \"127.0.0.1:1\"\nlisten-on = 1\n");
    let error = Config::from_file(file.path()).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("listen-on"), "{error}");
}

#[test]
fn bad_values_are_refused() {
    for text in [
        "listen = \"here\"",
        "listen = 3000",
        "name = \"\"",
        "name = \"a b\"",
        "name = \"a+b\"",
        "name = \"a\\n\"",
        "database = \"mysql://x\"",
        "database = \"sqlite:x\"",
        "public-url = \"log.example.org\"",
        "public-url = \"https://log.example.org/rekor\"",
        "log-level = \"a=b=c\"",
        "log-level = \"warning\"",
        "log-format = \"xml\"",
        "duplicates = \"conflict\"",
        "duplicates.v3 = \"conflict\"",
        "duplicates.v2 = \"ignore\"",
        "apis = \"v3\"",
        "max-connections = 0",
        "max-connections-per-address = 0",
        "max-connections = 9223372036854775807",
        "max-body-bytes = 0",
        "witness-fail-open-seconds = 5",
        "witness-policy = \"p\"\nwitness-fail-open-seconds = 11",
        "max-attestation-bytes = 1048577",
        "max-body-bytes = 9223372036854775807",
        "x =",
    ] {
        let file = file(text);
        assert!(Config::from_file(file.path()).is_err(), "{text}");
    }
}
