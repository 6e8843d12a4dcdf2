//! Holds the documents for developers to the sources: a file, type or function that they name in
//! backticks exists.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it must be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Documents that name code, and a folder of them.
const DOCUMENTS: [&str; 6] = [
    "docs/ARCHITECTURE.md",
    "docs/WALKS.md",
    "docs/DEVELOPMENT.md",
    "docs/CONVENTIONS.md",
    "CONTRIBUTING.md",
    "docs/howto",
];

/// Folders whose files are no sources.
const SKIPPED: [&str; 5] = [RECORDINGS, "target", ".git", "corpus", "artifacts"];
const RECORDINGS: &str = "recordings";

/// Endings of the files that a document may name.
const FILE_ENDINGS: [&str; 5] = [".rs", ".toml", ".sql", ".md", ".gz"];

#[test]
fn code_that_the_documents_name_exists() {
    let sources = Sources::read();
    let mut missing = Vec::new();
    let mut checked = 0;
    for document in DOCUMENTS {
        let path = root().join(document);
        let files = if path.is_dir() {
            files_below(&path)
        } else {
            vec![path]
        };
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (name, next) in code_names(&text) {
                match sources.has(name, next) {
                    Some(true) => checked += 1,
                    Some(false) => missing.push(format!("{}: `{name}`", file.display())),
                    None => {}
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "not in the sources:\n{}",
        missing.join("\n")
    );
    assert!(checked > 100, "only {checked} names were found");
}

/// The check finds what is wrong, each kind of name once.
#[test]
fn names_that_do_not_exist_are_found() {
    let sources = Sources::read();
    for name in [
        "nowhere.rs",
        "crates/nowhere/src",
        "Nowhere",
        "Ledger::nowhere",
        "nowhere::Ledger",
        "no_where",
    ] {
        assert_eq!(sources.has(name, ""), Some(false), "{name}");
    }
    assert_eq!(
        sources.has("arrows.rs", " (`no_such_function`)"),
        Some(false)
    );
    for name in ["arrows.rs", "crates/tlog/src", "Ledger", "Log::append"] {
        assert_eq!(sources.has(name, ""), Some(true), "{name}");
    }
    for name in ["GET", "--logs v1", "Retry-After", "treehead", "/api/v1/log"] {
        assert_eq!(sources.has(name, ""), None, "{name}");
    }
}

/// The files of the repository, and the code of those in Rust and SQL.
struct Sources {
    /// Paths of files and folders from the root, each with a slash before it.
    paths: Vec<String>,
    code: Vec<Code>,
}

/// One source without its comments.
struct Code {
    path: String,
    text: String,
    words: BTreeSet<String>,
}

impl Sources {
    fn read() -> Self {
        let mut paths = BTreeSet::new();
        let mut code = Vec::new();
        for file in files_below(&root()) {
            let path = format!("/{}", file.strip_prefix(root()).unwrap().display());
            // The names below are in this file alone.
            let is_code = path.ends_with(".rs") || path.ends_with(".sql");
            if is_code && !path.ends_with("/tests/documents.rs") {
                code.push(Code::new(path.clone(), &fs::read_to_string(&file).unwrap()));
            }
            let folders = path
                .match_indices('/')
                .skip(1)
                .map(|(at, _)| path[..at].to_owned());
            paths.extend(folders);
            paths.insert(path);
        }
        Self {
            paths: paths.into_iter().collect(),
            code,
        }
    }

    /// Returns whether a name exists, or None if it is not the name of a file, type or function.
    /// `next` is the text after the name: in "`file.rs` (`name`)" the file must have the name.
    fn has(&self, name: &str, next: &str) -> Option<bool> {
        if is_path(name) {
            let path = format!("/{}", name.trim_matches('/'));
            let is_there = self.paths.iter().any(|known| known.ends_with(&path));
            return Some(is_there && self.has_members(&path, next));
        }
        let name = name.strip_suffix("()").unwrap_or(name);
        let parts: Vec<&str> = name.split("::").collect();
        if !parts.iter().all(|part| is_identifier(part)) {
            return None;
        }
        match parts.as_slice() {
            [name] => looks_like_code(name)
                .then(|| self.code.iter().any(|code| code.words.contains(*name))),
            [.., owner, name] => Some(
                self.code
                    .iter()
                    .any(|code| code.belongs_to(owner) && code.defines(name)),
            ),
            [] => None,
        }
    }

    fn has_members(&self, path: &str, next: &str) -> bool {
        let Some(listed) = next
            .strip_prefix(" (`")
            .and_then(|next| next.split_once(')'))
        else {
            return true;
        };
        let members = listed
            .0
            .split('`')
            .step_by(2)
            .filter(|member| is_identifier(member));
        let mut files = self.code.iter().filter(|code| code.path.ends_with(path));
        files.next().is_none_or(|code| {
            members
                .into_iter()
                .all(|member| code.words.contains(member))
        })
    }
}

impl Code {
    fn new(path: String, text: &str) -> Self {
        let comment = if path.ends_with(".sql") { "--" } else { "//" };
        let without_comment = |line: &str| {
            line.split_once(comment)
                .map_or(line, |(code, _)| code)
                .to_owned()
        };
        let text: String = text
            .lines()
            .map(|line| without_comment(line) + "\n")
            .collect();
        let words = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map(str::to_owned)
            .collect();
        Self { path, text, words }
    }

    /// Whether this has a function of the name, or uses a type or variant of the name.
    fn defines(&self, name: &str) -> bool {
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return self.words.contains(name);
        }
        self.text.contains(&format!("fn {name}(")) || self.text.contains(&format!("fn {name}<"))
    }

    /// Whether this is the file of a module or crate, or has the definition or methods of a type.
    fn belongs_to(&self, owner: &str) -> bool {
        let is_module = self.path.ends_with(&format!("/{owner}.rs"))
            || self.path.contains(&format!("/{owner}/"));
        let is_type = |line: &str| {
            let line = line.trim_start();
            let line = line
                .strip_prefix("pub")
                .map_or(line, |rest| rest.trim_start_matches("(crate)").trim_start());
            let begins = ["struct ", "enum ", "trait ", "type ", "impl"]
                .iter()
                .any(|word| line.starts_with(word));
            begins
                && line
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .any(|word| word == owner)
        };
        is_module || self.text.lines().any(is_type)
    }
}

fn is_path(name: &str) -> bool {
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let is_in_folder = [
        "crates/",
        "docs/",
        "tests/",
        "migrations/",
        "scripts/",
        "deploy/",
        "docker/",
        "fuzz/",
        "store/",
    ]
    .iter()
    .any(|folder| name.starts_with(folder));
    is_plain
        && (is_in_folder
            || FILE_ENDINGS
                .iter()
                .any(|ending| name.ends_with(ending) && name.len() > ending.len()))
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a single word is a name of the code rather than a word of another language: it has an
/// underscore, or is in camel case.
fn looks_like_code(name: &str) -> bool {
    let has_lower = name.contains(|c: char| c.is_ascii_lowercase());
    has_lower && (name.contains('_') || name.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// Returns the words in backticks, each with the text after it. Blocks of code are left out.
fn code_names(text: &str) -> Vec<(&str, &str)> {
    let mut names = Vec::new();
    for prose in text.split("\n```").step_by(2) {
        let mut rest = prose;
        while let Some((_, after)) = rest.split_once('`') {
            let Some((name, next)) = after.split_once('`') else {
                break;
            };
            names.push((name, next));
            rest = next;
        }
    }
    names
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry
            .map(|entry| (entry.path(), entry.file_type().unwrap()))
            .unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        if kind.is_file() {
            files.push(path);
        } else if kind.is_dir() && !SKIPPED.contains(&name.as_ref()) {
            files.extend(files_below(&path));
        } else if kind.is_dir() && name == RECORDINGS {
            files.push(path);
        }
    }
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}
