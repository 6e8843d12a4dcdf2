//! Settings as people give them: what is refused, with which words, and what is warned of.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::postgres::Storage;
use crate::program::{self, Server, program, refusal};

#[test]
fn a_ledger_is_not_made_under_a_url() {
    let storage = Storage::sqlite();
    let data = storage.data().display().to_string();
    for name in [
        "https://log.example.org",
        "log.example.org/rekor",
        "log.example.org:3000",
        "Log.Example.org",
    ] {
        let refused = refusal(
            &program::run(&["init", "--data-dir", &data, "--name", name]),
            2,
        );
        assert!(
            refused.contains("--name: ") && refused.ends_with("write log.example.org"),
            "{refused}"
        );
        assert!(!storage.data().exists());
    }
    let refused = refusal(
        &storage.serve().args(["--name", "[::1]"]).output().unwrap(),
        2,
    );
    assert!(refused.contains("IPv6"), "{refused}");
    assert!(!storage.data().join("v1-log.pem").exists());
}

#[test]
fn a_variable_that_is_empty_is_not_set_where_the_default_opens_nothing() {
    let storage = Storage::sqlite();
    let mut command = storage.serve();
    for name in [
        "LOG_LEVEL",
        "LOG_FORMAT",
        "MAX_CONNECTIONS",
        "MAX_BODY_BYTES",
        "STOP_GRACE_SECONDS",
        "PUBLIC_URL",
    ] {
        command.env(format!("TREEHEAD_{name}"), "");
    }
    // The flag goes before it.
    let server = Server::start(
        command
            .env("TREEHEAD_DATA_DIR", "")
            .env("TREEHEAD_LISTEN", ""),
    );
    server.wait_for_log("serving");
    assert!(!server.log().contains("is no setting"), "{}", server.log());
    server.stop();
}

#[test]
fn a_variable_that_is_empty_makes_no_second_ledger_and_opens_nothing() {
    let storage = Storage::sqlite();
    for name in [
        "NAME",
        "LOGS",
        "V1_KEY",
        "V1_CHECKPOINT_KEY",
        "V2_NAME",
        "V2_KEY",
        "V2_KEY_ALGORITHM",
        "KEY_DIR",
        "DATABASE",
        "DATABASE_FILE",
        "GUARD",
        "WITNESS_POLICY",
        "WITNESS_FAIL_OPEN_SECONDS",
        "CONFIG",
        "READ_ONLY",
        "PUBLIC",
        "ENABLED_ENTRY_TYPES",
        "ENABLED_API_ENDPOINTS",
        "CLIENT_SIGNING_ALGORITHMS",
        "UNIQUE_PACKAGES",
        "UNIQUE_PACKAGES_UNJUDGED",
        "CORS_ORIGINS",
        "SUBSCRIPTIONS",
        "MAX_ATTESTATION_BYTES",
    ] {
        let refused = refusal(
            &storage
                .serve()
                .env(format!("TREEHEAD_{name}"), "")
                .output()
                .unwrap(),
            2,
        );
        assert_eq!(
            refused,
            format!("treehead: TREEHEAD_{name} is set and empty: unset it, or give it a value")
        );
        assert!(!storage.data().exists());
    }
    let mut command = program();
    command
        .arg("init")
        .current_dir(storage.folder())
        .env("TREEHEAD_DATA_DIR", "");
    assert!(refusal(&command.output().unwrap(), 2).contains("TREEHEAD_DATA_DIR is set and empty"));
    // A required flag, too.
    let mut command = program();
    command
        .args(["witness", "init"])
        .current_dir(storage.folder())
        .env("TREEHEAD_WITNESS_NAME", "");
    assert!(
        refusal(&command.output().unwrap(), 2).contains("TREEHEAD_WITNESS_NAME is set and empty")
    );
    assert_eq!(fs::read_dir(storage.folder()).unwrap().count(), 0);
    let help = program()
        .args(["serve", "--help"])
        .env("TREEHEAD_V1_KEY", "")
        .output()
        .unwrap();
    assert!(help.status.success(), "{help:?}");
}

#[test]
fn a_variable_that_was_a_setting_is_refused() {
    let storage = Storage::sqlite();
    let output = storage.serve().env("TREEHEAD_KEY", "x").output().unwrap();
    let refused = refusal(&output, 2);
    assert!(
        refused.contains("TREEHEAD_KEY is now TREEHEAD_V1_KEY and TREEHEAD_V2_KEY"),
        "{refused}"
    );
    assert!(!storage.data().exists());
}

#[test]
fn a_variable_that_is_no_setting_is_warned_of() {
    let storage = Storage::sqlite();
    let mut command = storage.serve();
    // The last two are what Kubernetes gives a pod beside a service called treehead.
    command
        .env("TREEHEAD_LISTN", ":1")
        .env("TREEHEAD_PORT", "tcp://10.0.0.1:3000")
        .env("TREEHEAD_SERVICE_HOST", "10.0.0.1");
    let server = Server::start(&mut command);
    server.wait_for_log("TREEHEAD_LISTN");
    let log = server.log();
    assert!(
        !log.contains("TREEHEAD_PORT") && !log.contains("TREEHEAD_SERVICE_HOST"),
        "{log}"
    );
    server.stop();
}

#[test]
fn a_refusal_names_the_source_of_the_setting() {
    let storage = Storage::sqlite();
    let mut command = program();
    let refused = refusal(
        &command
            .args(["serve"])
            .env("TREEHEAD_LISTEN", "3000")
            .output()
            .unwrap(),
        2,
    );
    assert!(
        refused.contains("TREEHEAD_LISTEN") && !refused.contains("--listen"),
        "{refused}"
    );
    assert!(
        refused.contains("127.0.0.1:3000") && refused.contains("treehead serve --help"),
        "{refused}"
    );

    let mut command = program();
    let refused = refusal(
        &command
            .args(["serve"])
            .env("TREEHEAD_MAX_CONNECTIONS", "0")
            .output()
            .unwrap(),
        2,
    );
    assert!(
        refused.starts_with("treehead: TREEHEAD_MAX_CONNECTIONS: "),
        "{refused}"
    );

    let file = program::file(
        storage.folder(),
        "treehead.toml",
        "[limits]\nmax-connections = 0\n",
    )
    .display()
    .to_string();
    let refused = refusal(&program::run(&["serve", "--config", &file]), 2);
    assert!(
        refused.contains("treehead.toml line 2: limits.max-connections: 0"),
        "{refused}"
    );

    let refused = refusal(
        &program::run(&["serve", "--config", &file, "--max-connections", "0"]),
        2,
    );
    assert!(
        refused.starts_with("treehead: --max-connections: 0"),
        "{refused}"
    );

    let refused = refusal(&program::run(&["init", "--nme", "x"]), 2);
    assert!(
        refused.contains(
            "'--nme' found; a similar argument exists: '--name' (see treehead init --help)"
        ),
        "{refused}"
    );
}

#[test]
fn sizes_and_addresses_are_taken_as_people_write_them() {
    let storage = Storage::sqlite();
    let mut command = program();
    command.args([
        "serve",
        "--listen",
        "localhost:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--max-body-bytes",
        "1MiB",
    ]);
    command.arg("--data-dir").arg(storage.data());
    let server = Server::start(&mut command);
    assert!(server.api.ip().is_loopback());
    server.stop();
}

#[test]
fn a_pod_with_fs_group_starts_a_second_time() {
    let storage = Storage::sqlite();
    Server::start(&mut storage.serve()).stop();
    // Kubernetes gives a volume to a group by adding rw to every file and rwxs to every folder, at
    // each mount.
    fs::set_permissions(storage.data(), fs::Permissions::from_mode(0o2770)).unwrap();
    for file in fs::read_dir(storage.data()).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o660)).unwrap();
    }
    let server = Server::start(&mut storage.serve());
    server.wait_for_log("others may look into the data folder");
    server.wait_for_log("v1-log.pem may change it (mode 0660); chmod 640");
    server.stop();
}

#[test]
fn a_data_folder_that_everybody_may_change_is_warned_of_and_served() {
    let storage = Storage::sqlite();
    fs::create_dir(storage.data()).unwrap();
    fs::set_permissions(storage.data(), fs::Permissions::from_mode(0o777)).unwrap();
    let server = Server::start(&mut storage.serve());
    server.wait_for_log("may replace the database and the keys");
    server.stop();
}

#[test]
fn a_listener_that_others_reach_is_warned_of() {
    let storage = Storage::sqlite();
    let mut command = program();
    command
        .args([
            "serve",
            "--listen",
            ":0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(storage.data());
    let server = Server::start(&mut command);
    server.wait_for_log("may write to these logs");
    server.stop();
    let server = Server::start(&mut storage.serve());
    server.wait_for_log("serving");
    assert!(
        !server.log().contains("may write to these logs"),
        "{}",
        server.log()
    );
    server.stop();
}

#[test]
fn a_password_on_the_command_line_is_warned_of() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let server = Server::start(&mut storage.serve());
    server.wait_for_log("--database has a password in it");
    server.stop();
    let url = storage.url().unwrap();
    let server = Server::start(program::serve(&storage.data()).env("TREEHEAD_DATABASE", url));
    server.wait_for_log("serving");
    let log = server.log();
    assert!(
        !log.contains("has a password in it") && !log.contains("_sqlx_migrations"),
        "{log}"
    );
    server.stop();
}

#[test]
fn config_check_finds_what_a_start_would() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent").display().to_string();
    let cases = [
        (format!("witness.policy = \"{absent}\""), "absent"),
        (format!("trust.trusted-root-base = \"{absent}\""), "absent"),
        (
            format!("trust.signing-config-base = \"{absent}\""),
            "absent",
        ),
        (format!("database.url-file = \"{absent}\""), "absent"),
        (
            format!(
                "keys.folder = \"{}/treehead.toml\"",
                folder.path().display()
            ),
            "is no folder",
        ),
        (
            "server.listen = \"127.0.0.1:2112\"".to_owned(),
            "metrics-listen: ",
        ),
        ("entries.enabled-types = []".to_owned(), "the list is empty"),
        (
            "server.enabled-api-endpoints = []".to_owned(),
            "the list is empty",
        ),
        (
            "entries.client-signing-algorithms = []".to_owned(),
            "the list is empty",
        ),
        ("ledger.name = \"a b\"".to_owned(), "white space"),
        (
            "database.url = \"postgres://u@h:99999/d\"".to_owned(),
            "port",
        ),
        ("server.listen = \"127.0.0.1:99999\"".to_owned(), "99999"),
        ("limits.max-body-bytes = \"48MiBs\"".to_owned(), "48MiB"),
    ];
    for (text, wanted) in cases {
        let file = program::file(folder.path(), "treehead.toml", &format!("{text}\n"))
            .display()
            .to_string();
        let refused = refusal(&program::run(&["config", "check", &file]), 2);
        assert!(refused.contains(wanted), "{text}: {refused}");
        assert!(
            refused.contains("treehead.toml line 1") || refused.contains("metrics-listen"),
            "{refused}"
        );
    }
    let good = "ledger.name = \"log.example.org\"\nlimits.max-body-bytes = \"48MiB\"\nserver.listen = \":3000\"\n";
    let file = program::file(folder.path(), "treehead.toml", good)
        .display()
        .to_string();
    let output = program::run(&["config", "check", &file]);
    assert!(
        output.status.success() && program::text(&output.stdout).ends_with("treehead.toml: OK\n"),
        "{output:?}"
    );
}

#[test]
fn config_check_warns_of_what_a_ledger_that_is_there_may_have() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent").display().to_string();
    let text = format!("ledger.name = \"LOG.example.org\"\nkeys.folder = \"{absent}\"\n");
    let file = program::file(folder.path(), "treehead.toml", &text)
        .display()
        .to_string();
    let output = program::run(&["config", "check", &file]);
    let said = program::text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let [name, key_dir, ok] = said.lines().collect::<Vec<_>>()[..] else {
        panic!("{said}")
    };
    assert!(
        name.starts_with("warning: ")
            && name.contains("line 1")
            && name.contains("log.example.org"),
        "{said}"
    );
    assert!(
        key_dir.starts_with("warning: ") && key_dir.contains("line 2") && key_dir.contains(&absent),
        "{said}"
    );
    assert!(ok.ends_with("treehead.toml: OK"), "{said}");
}

#[test]
fn config_show_prints_every_value_and_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "[limits]\nmax-connections = 7\nmax-body-bytes = \"1MiB\"\n[logging]\nlevel = \"warn\"\n";
    let file = program::file(folder.path(), "treehead.toml", text)
        .display()
        .to_string();
    let mut command = program();
    command.args([
        "config",
        "show",
        "--config",
        &file,
        "--log-level",
        "debug",
        "--read-only",
    ]);
    command.args(["--enabled-entry-types", "hashedrekord,rekord"]);
    command.env("TREEHEAD_MAX_CONNECTIONS_PER_ADDRESS", "5");
    command.env(
        "TREEHEAD_DATABASE",
        "postgres://u:secret@db.example.org/d?sslmode=verify-full&password=secret",
    );
    let output = command.output().unwrap();
    let shown = program::text(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for line in [
        format!("max-connections = 7  # {file} line 2"),
        format!("max-body-bytes = 1048576  # {file} line 3"),
        "max-connections-per-address = 5  # environment variable TREEHEAD_MAX_CONNECTIONS_PER_ADDRESS".to_owned(),
        "level = \"debug\"  # flag --log-level".to_owned(),
        "read-only = true  # flag --read-only".to_owned(),
        "enabled-types = [\"hashedrekord\", \"rekord\"]  # flag --enabled-entry-types".to_owned(),
        "v2 = \"stored\"  # default".to_owned(),
        "#name is not set".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert!(
        shown.contains("db.example.org") && !shown.contains("secret"),
        "{shown}"
    );
    shown.parse::<toml::Table>().unwrap();
}

#[test]
fn config_check_is_a_command_now() {
    let refused = refusal(&program::run(&["config", "--check", "x.toml"]), 2);
    assert!(refused.contains("treehead config check FILE"), "{refused}");
}

#[test]
fn help_has_headings_and_only_what_a_command_uses() {
    // Without the line breaks, which depend on the widths of the flags.
    let help = |arguments: &[&str]| {
        let text = program::text(&program::run(arguments).stdout);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let serve = help(&["serve", "--help"]);
    let place = |text: &str| {
        serve
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {serve}"))
    };
    assert!(place("The ledger:") < place("--name") && place("--name") < place("--logs"));
    assert!(place("--logs") < place("Server:") && place("Server:") < place("Witnesses:"));
    let rotate = help(&["rotate", "--help"]);
    assert!(
        !rotate.contains("--logs") && !rotate.contains("localhost"),
        "{rotate}"
    );
    let export = help(&["trust", "export", "--help"]);
    assert!(
        export.contains("[default: ./treehead-data]") && export.contains("[default: info]"),
        "{export}"
    );
    let witness = help(&["witness", "serve", "--help"]);
    assert!(
        witness.contains("[default: 127.0.0.1:3010]") && !witness.contains("3000"),
        "{witness}"
    );
}
