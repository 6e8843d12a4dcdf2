use super::*;

fn read(format: LockFormat, text: &str) -> Vec<Artefact> {
    Lock::read(format, text).expect("a lock file").artefacts
}

/// Name, version, file, package URL, line, and the first digest or the reason why there is none.
type Row<'a> = (&'a str, &'a str, Option<&'a str>, bool, u32, &'a str);

fn assert_rows(format: LockFormat, text: &str, expected: &[Row<'_>]) {
    let artefacts = read(format, text);
    let rows = artefacts.iter().map(|artefact| {
        let locked = match &artefact.locked {
            Locked::Digests(digests) => digests[0].algorithm,
            Locked::Nothing(why) => why,
        };
        (
            artefact.name.as_str(),
            artefact.version.as_str(),
            artefact.file.as_deref(),
            artefact.purl.is_some(),
            artefact.line,
            locked,
        )
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected);
}

#[test]
fn npm_3() {
    let text = include_str!("tests/npm-3.json");
    assert_rows(
        LockFormat::Npm,
        text,
        &[
            ("@scope/tool", "2.0.0", None, true, 12, "sha512"),
            ("is-odd", "3.0.1", None, true, 17, "sha512"),
            ("real-name", "1.2.3", None, true, 23, "sha1"),
            (
                "from-git",
                "1.0.0",
                None,
                false,
                25,
                "from a Git repository, by its commit",
            ),
            ("tarball", "1.0.0", None, false, 32, "sha512"),
            (
                "local",
                "1.0.0",
                None,
                false,
                34,
                "from a local file or folder",
            ),
            (
                "member",
                "",
                None,
                false,
                38,
                "a link to a folder of the project",
            ),
            (
                "inner",
                "0.1.0",
                None,
                true,
                42,
                "part of another package, which bundles it",
            ),
            ("bare", "0.2.0", None, true, 46, "locked without a digest"),
        ],
    );
    let artefacts = read(LockFormat::Npm, text);
    assert_eq!(
        artefacts[0].purl.as_deref(),
        Some("pkg:npm/@scope/tool@2.0.0")
    );
    let keys = artefacts[0].keys();
    assert!(keys[0].starts_with("sha512:"), "{keys:?}");
    assert_eq!(keys[1..], ["purl=pkg:npm/@scope/tool@2.0.0"]);
    assert!(artefacts[7].keys().is_empty(), "there is nothing to ask");
}

#[test]
fn npm_1() {
    assert_rows(
        LockFormat::Npm,
        include_str!("tests/npm-1.json"),
        &[
            ("outer", "1.0.0", None, true, 7, "sha512"),
            ("inner", "2.0.0", None, true, 15, "sha512"),
            ("real", "1.1.0", None, true, 20, "locked without a digest"),
            (
                "git",
                "git+ssh://git@github.com/a/git.git#c0ffee",
                None,
                false,
                23,
                "from a Git repository, by its commit",
            ),
        ],
    );
}

#[test]
fn pnpm() {
    assert_rows(
        LockFormat::Pnpm,
        include_str!("tests/pnpm-9.yaml"),
        &[
            ("pnpm", "10.0.0", None, true, 5, "sha512"),
            ("@scope/tool", "2.0.0", None, true, 21, "sha512"),
            (
                "from-git",
                "https://codeload.github.com/a/b/tar.gz/c0ffee",
                None,
                false,
                24,
                "from a URL, without a digest",
            ),
            (
                "by-git",
                "1.0.0",
                None,
                false,
                28,
                "from a Git repository, by its commit",
            ),
            (
                "local",
                "file:../local",
                None,
                false,
                32,
                "from a local folder",
            ),
        ],
    );
    assert_rows(
        LockFormat::Pnpm,
        include_str!("tests/pnpm-6.yaml"),
        &[
            ("@scope/tool", "2.0.0", None, true, 6, "sha512"),
            ("old", "1.0.0", None, true, 9, "sha1"),
        ],
    );
}

#[test]
fn cargo() {
    assert_rows(
        LockFormat::Cargo,
        include_str!("tests/cargo-4.lock"),
        &[
            (
                "from-git",
                "0.3.0",
                None,
                false,
                5,
                "from a Git repository, by its commit",
            ),
            (
                "project",
                "0.1.0",
                None,
                false,
                10,
                "a crate of the workspace, or of a local folder",
            ),
            ("serde", "1.0.0", None, true, 20, "sha256"),
            ("sparse", "2.0.0+x.1", None, true, 26, "sha256"),
        ],
    );
    assert_rows(
        LockFormat::Cargo,
        include_str!("tests/cargo-1.lock"),
        &[("libc", "0.2.0", None, true, 7, "sha256")],
    );
}

#[test]
fn python() {
    assert_rows(
        LockFormat::Uv,
        include_str!("tests/uv.lock"),
        &[
            (
                "project",
                "0.1.0",
                None,
                false,
                6,
                "the project, or a local folder",
            ),
            (
                "friendly-bard",
                "1.0",
                Some("friendly_bard-1.0.tar.gz"),
                true,
                17,
                "sha256",
            ),
            (
                "friendly-bard",
                "1.0",
                Some("friendly_bard-1.0-py3-none-any.whl"),
                true,
                19,
                "sha256",
            ),
            (
                "from-git",
                "2.0",
                None,
                false,
                24,
                "from a Git repository, by its commit",
            ),
            (
                "torch",
                "2.0.0+cpu",
                Some("torch-2.0.0+cpu-cp312.whl"),
                true,
                33,
                "sha256",
            ),
        ],
    );
    assert_rows(
        LockFormat::Poetry,
        include_str!("tests/poetry-2.lock"),
        &[
            (
                "friendly-bard",
                "1.0",
                Some("friendly_bard-1.0-py3-none-any.whl"),
                true,
                10,
                "sha256",
            ),
            (
                "friendly-bard",
                "1.0",
                Some("friendly_bard-1.0.tar.gz"),
                true,
                11,
                "sha256",
            ),
            (
                "old",
                "1.0",
                Some("old-1.0.tar.gz"),
                true,
                20,
                "locked by a digest that logs do not index",
            ),
            ("local", "0.1.0", None, false, 24, "from a local folder"),
        ],
    );
    assert_rows(
        LockFormat::Poetry,
        include_str!("tests/poetry-1.lock"),
        &[("old", "1.0", Some("old-1.0.tar.gz"), true, 15, "sha256")],
    );
    let artefacts = read(LockFormat::Poetry, include_str!("tests/poetry-1.lock"));
    let names = ["purl=pkg:pypi/old@1.0", "subject=old-1.0.tar.gz"];
    assert_eq!(artefacts[0].name_keys(), names);
}

#[test]
fn go() {
    let text = include_str!("tests/go.sum");
    assert_rows(
        LockFormat::Go,
        text,
        &[
            (
                "github.com/BurntSushi/toml",
                "v1.4.0",
                None,
                true,
                1,
                "dirhash",
            ),
            (
                "golang.org/x/old",
                "v0.1.0",
                None,
                true,
                3,
                "only its go.mod is locked",
            ),
            (
                "github.com/a/b",
                "v2.0.0+incompatible",
                None,
                true,
                4,
                "dirhash",
            ),
        ],
    );
    let keys = read(LockFormat::Go, text)[0].keys();
    assert!(
        keys[0].starts_with("dirhash:") && keys[1].starts_with("sha256:"),
        "{keys:?}"
    );
    assert_eq!(keys[2], "purl=pkg:golang/github.com/BurntSushi/toml@v1.4.0");
}

#[test]
fn what_is_cut_short_or_no_lock_file_is_refused() {
    let all = [
        (LockFormat::Npm, include_str!("tests/npm-3.json")),
        (LockFormat::Pnpm, include_str!("tests/pnpm-9.yaml")),
        (LockFormat::Cargo, include_str!("tests/cargo-4.lock")),
        (LockFormat::Uv, include_str!("tests/uv.lock")),
        (LockFormat::Poetry, include_str!("tests/poetry-2.lock")),
        (LockFormat::Go, include_str!("tests/go.sum")),
    ];
    for (format, text) in all {
        // Wherever it ends, reading it does not panic.
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = Lock::read(format, &text[..end]);
        }
        // YAML that ends between two lines is whole to any reader, and so are lines of Go.
        let within = match format {
            LockFormat::Pnpm => text.rfind('{').expect("a brace") + 1,
            _ => text.rfind(['"', '=', '{']).expect("a delimiter"),
        };
        if format != LockFormat::Go {
            assert!(Lock::read(format, &text[..within]).is_err(), "{format:?}");
        }
        assert!(Lock::read(format, "<html>\n<b>no</b>\n</html>").is_err());
    }
    assert!(LockFormat::of_name("lock.json").is_err());
    assert_eq!(
        LockFormat::of_name("go.sum").expect("a name"),
        LockFormat::Go
    );
}
