use std::fs;

use super::values::{Duplicates, OnDuplicate};
use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

fn given(text: &str) -> Given {
    Given {
        settings: toml::from_str(text).unwrap(),
        ..Given::default()
    }
}

#[test]
fn algorithms_are_named_as_in_rekor() {
    let config =
        Config::layered(None, given("client-signing-algorithms = [\"ed25519-ph\"]")).unwrap();
    assert_eq!(config.client_signing_algorithms, ["ed25519-ph"]);
    let failure =
        Config::layered(None, given("client-signing-algorithms = [\"md5\"]")).unwrap_err();
    assert!(
        failure
            .to_string()
            .starts_with("client-signing-algorithms: \"md5\" is not a signing algorithm")
    );
}

#[test]
fn kinds_and_operations_are_named_as_in_rekor() {
    let text = "enabled-entry-types = [\"hashedrekord\"]\nenabled-api-endpoints = [\"getLogInfo\"]";
    let config = Config::layered(None, given(text)).unwrap();
    assert_ne!(config.operations().unwrap(), server::Operations::default());
    for (text, wanted) in [
        (
            "enabled-entry-types = [\"x\"]",
            "enabled-entry-types: \"x\" is not a kind of entries; known are ",
        ),
        (
            "enabled-api-endpoints = [\"x\"]",
            "enabled-api-endpoints: \"x\" is not an operation; known are getLogInfo, ",
        ),
    ] {
        let failure = Config::layered(None, given(text)).unwrap_err().to_string();
        assert!(failure.starts_with(wanted), "{failure}");
    }
}

#[test]
fn nearer_source_wins() {
    let file = file("ledger.name = \"file.example\"\n[server]\nlisten = \"127.0.0.1:1\"");
    let config = Config::layered(Some(file.path()), given("listen = \"127.0.0.1:2\"")).unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.name.as_deref(), Some("file.example"));
    assert_eq!(config.metrics_listen, Config::default().metrics_listen);
}

#[test]
fn settings_of_one_table_may_come_from_several_sources() {
    let file = file("duplicates.v1 = \"stored\"");
    let config = Config::layered(Some(file.path()), given("duplicates.v2 = \"conflict\"")).unwrap();
    assert_eq!(
        config.duplicates,
        Duplicates {
            v1: OnDuplicate::Stored,
            v2: OnDuplicate::Conflict
        }
    );
}

#[test]
fn nearer_database_wins_in_either_form() {
    let file = file("database.url = \"postgres://far/x\"");
    let url_file = self::file("postgres://u:secret@near/x\nnote");
    let path = url_file.path().display();
    let config = Config::layered(
        Some(file.path()),
        given(&format!("database-file = \"{path}\"")),
    )
    .unwrap();
    assert_eq!(
        config.database_url().unwrap().unwrap().secret(),
        "postgres://u:secret@near/x"
    );
}

#[test]
fn two_databases_at_once_are_refused() {
    let both = given("database = \"postgres://a/b\"\ndatabase-file = \"c\"");
    assert!(
        Config::layered(None, both)
            .unwrap_err()
            .to_string()
            .contains("database is given as well")
    );
}

#[test]
fn unknown_keys_and_tables_are_refused_with_their_place() {
    for (text, wanted) in [
        (
            "# one\n[server]\nlisten-on = 1\n",
            " line 3: listen-on is not a setting of [server]; known are listen, ",
        ),
        (
            "# one\nserver.listen-on = 1\n",
            " line 2: listen-on is not a setting of [server]; known are listen, ",
        ),
        (
            "# one\n\n[servers]\n",
            " line 3: [servers] is not a table of settings; known are [ledger], [v1], [v2], [keys], ",
        ),
        (
            "port = 1\n",
            " line 1: port is not a setting; settings are in the tables [ledger], [v1], [v2], [keys], ",
        ),
        (
            "[limits]\nmax-connections = \"many\"",
            " line 2: limits.max-connections: invalid type: ",
        ),
    ] {
        let file = file(text);
        let refused = Config::from_file(file.path()).unwrap_err().to_string();
        assert!(refused.contains(wanted), "{refused}");
    }
}

#[test]
fn each_flat_key_of_earlier_releases_is_refused_with_its_new_name() {
    // [duplicates] was a table already.
    let flat = SETTINGS
        .iter()
        .filter(|setting| setting.table != "duplicates");
    let mut refused_keys = 0;
    for setting in flat {
        let file = file(&format!("# one\n{} = \"x\"\n", setting.flag));
        let refused = Config::from_file(file.path()).unwrap_err().to_string();
        let Setting {
            table, key, flag, ..
        } = setting;
        let wanted = format!(" line 2: {flag} is now `{key}` in the table [{table}]");
        assert!(refused.ends_with(&wanted), "{refused}");
        refused_keys += 1;
    }
    // All but those of the table `duplicates`.
    assert_eq!(refused_keys, SETTINGS.len() - 2);
}

#[test]
fn each_setting_that_there_is_no_more_is_refused_with_its_new_name() {
    for (text, wanted) in [
        (
            "# one\n[keys]\nlog = \"x\"",
            " line 3: keys.log is now v1.key and v2.key",
        ),
        (
            "keys.ed25519 = \"x\"",
            " line 1: keys.ed25519 is now v1.checkpoint-key and v2.key",
        ),
        (
            "[log]\napis = \"v1\"",
            " line 2: log.apis is now ledger.logs",
        ),
        ("[log]\nname = \"x\"", " line 1: [log] is now [ledger]"),
        ("key = \"x\"", " line 1: key is now v1.key and v2.key"),
        ("apis = \"x\"", " line 1: apis is now ledger.logs"),
    ] {
        let file = file(text);
        let refused = Config::from_file(file.path()).unwrap_err().to_string();
        assert!(refused.ends_with(wanted), "{refused}");
    }
    let refused = |given: &'static str| {
        let is_given = move |name: &str| name == given;
        refused_setting(is_given, is_given)
    };
    for (given, wanted) in [
        ("--key", Some("--key is now --v1-key and --v2-key")),
        (
            "--ed25519-key",
            Some("--ed25519-key is now --v1-checkpoint-key and --v2-key"),
        ),
        ("TREEHEAD_APIS", Some("TREEHEAD_APIS is now TREEHEAD_LOGS")),
        ("--v1-key", None),
    ] {
        assert_eq!(refused(given).as_deref(), wanted);
    }
}

#[test]
fn logs_are_those_that_are_given_or_all() {
    let apis = |text: &str| {
        let config = Config::layered(None, given(text)).unwrap();
        let new = config.new_ledger().unwrap();
        new.apis.iter().map(|api| api.name).collect::<Vec<_>>()
    };
    assert_eq!(apis(""), ["v1", "v2"]);
    assert_eq!(apis("logs = [\"v2\", \"v1\"]"), ["v1", "v2"]);
    assert_eq!(apis("logs = [\"v2\"]"), ["v2"]);
}

#[test]
fn the_sample_is_made_from_the_definitions() {
    let sample = show::sample_text().unwrap();
    let stored = include_str!("../../../../deploy/treehead.toml");
    assert_eq!(
        stored, sample,
        "write the output of `treehead config sample` into deploy/treehead.toml"
    );
}

#[test]
fn the_sample_names_every_setting_with_its_default() {
    let stored = include_str!("../../../../deploy/treehead.toml");
    let lines = stored.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting,
        _ => line,
    });
    let sample: toml::Table = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut named = 0;
    for setting in &SETTINGS {
        let shown = &sample[setting.table][setting.key];
        assert!(
            !setting.help.is_empty() && !setting.text.is_empty(),
            "{}",
            setting.flag
        );
        match setting.value(&defaults) {
            Some(default) => assert_eq!(shown, default, "{}", setting.flag),
            None => assert_eq!(
                shown.to_string(),
                setting.example.unwrap(),
                "{}",
                setting.flag
            ),
        }
        let mut alone = toml::Table::new();
        setting.put(&mut alone, shown.clone());
        alone.try_into::<Config>().unwrap();
        named += 1;
    }
    let keys = sample.values().map(|table| table.as_table().unwrap().len());
    assert_eq!(keys.sum::<usize>(), named);
}

#[test]
fn every_field_is_the_value_of_a_setting() {
    let fields = toml::Table::try_from(Config::default()).unwrap();
    for field in fields.keys().filter(|field| *field != "duplicates") {
        assert!(by_flag(field).is_some(), "{field}");
    }
    let flags: std::collections::BTreeSet<&str> =
        SETTINGS.iter().map(|setting| setting.flag).collect();
    assert_eq!(flags.len(), SETTINGS.len());
}

#[test]
fn bad_values_are_refused() {
    for text in [
        "server.listen = \"here\"",
        "server.listen = 3000",
        "ledger.name = \"\"",
        "ledger.name = \"a b\"",
        "ledger.name = \"a+b\"",
        "ledger.name = \"a\\n\"",
        "v2.name = \"a b\"",
        "v2.key-algorithm = \"rsa\"",
        "database.url = \"mysql://x\"",
        "database.url = \"sqlite:x\"",
        "trust.public-url = \"log.example.org\"",
        "trust.public-url = \"https://log.example.org/rekor\"",
        "logging.level = \"a=b=c\"",
        "logging.level = \"warning\"",
        "logging.format = \"xml\"",
        "duplicates = \"conflict\"",
        "duplicates.v3 = \"conflict\"",
        "duplicates.v2 = \"ignore\"",
        "entries.unique-packages = \"on\"",
        "entries.unique-packages-unjudged = \"refuse\"",
        "ledger.logs = [\"v3\"]",
        "ledger.logs = []",
        "guard.places = [\"\"]",
        "guard.places = [\"ftp://x/y\"]",
        "guard.places = [\"s3://bucket\"]",
        "guard.places = [\"/a\", \"/a\"]",
        "limits.max-connections = 0",
        "limits.max-connections-per-address = 0",
        "limits.max-connections = 9223372036854775807",
        "limits.max-body-bytes = 0",
        "witness.fail-open-seconds = 5",
        "witness.policy = \"p\"\nwitness.fail-open-seconds = 11",
        "limits.max-attestation-bytes = 1048577",
        "limits.max-body-bytes = 9223372036854775807",
        "x =",
    ] {
        let file = file(text);
        let refused = Config::from_file(file.path()).unwrap_err().to_string();
        let is_by_value = !refused.contains("is now") && !refused.contains("is not a setting; ");
        assert!(
            is_by_value || text.starts_with("duplicates"),
            "{text}: {refused}"
        );
    }
}
