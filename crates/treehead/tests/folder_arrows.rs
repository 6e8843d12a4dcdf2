//! Holds the arrows between the folders of `crates/ledger/src`: which file may import which.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it must be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files whose path begins with the first text never import a file whose path begins with one of
/// the others.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    ("reading/", &["heads.rs", "writing", "shards", "ledger.rs"]),
    ("heads", &["reading", "writing", "shards", "ledger.rs"]),
    ("writing/", &["shards", "ledger.rs"]),
    (
        "keys",
        &["heads", "reading", "writing", "shards", "ledger.rs"],
    ),
    (
        "store",
        &["heads", "reading", "writing", "shards", "ledger.rs"],
    ),
];

/// Most files that may import each other in a circle.
const MAX_CIRCLE: usize = 4;

type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_folders_of_the_ledger_import_each_other_as_drawn() {
    for (file, imported) in imports_of_ledger() {
        for (from, banned) in FORBIDDEN.iter().filter(|(from, _)| file.starts_with(from)) {
            let other = imported
                .iter()
                .find(|other| banned.iter().any(|banned| other.starts_with(banned)));
            assert_eq!(other, None, "{file} imports what a file of {from} must not");
        }
    }
}

#[test]
fn circles_of_the_ledger_are_small() {
    let imports = imports_of_ledger();
    let reached: BTreeMap<&String, BTreeSet<&String>> = imports
        .keys()
        .map(|file| (file, reachable(&imports, file)))
        .collect();
    for (file, others) in &reached {
        let circle: Vec<_> = others
            .iter()
            .filter(|other| reached[**other].contains(file))
            .collect();
        assert!(circle.len() <= MAX_CIRCLE, "a circle of files: {circle:?}");
    }
}

fn reachable<'a>(imports: &'a Imports, file: &str) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = imports[file].iter().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(&imports[next]);
        }
    }
    reached
}

/// The files that each file names by path, other than by `mod`. Test modules count as well.
fn imports_of_ledger() -> Imports {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("ledger/src");
    let mut files = Vec::new();
    list(&source, &mut files);
    let texts: BTreeMap<String, String> = files
        .iter()
        .map(|path| {
            let name = path
                .strip_prefix(&source)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let reexports = reexports(&texts["lib.rs"], &texts);
    let mut imports = Imports::new();
    for (file, text) in texts.iter().filter(|(file, _)| *file != "lib.rs") {
        let module: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
        let found = paths(text, &module)
            .into_iter()
            .filter_map(|path| file_of(&path, &texts, &reexports));
        imports.insert(file.clone(), found.filter(|found| found != file).collect());
    }
    imports
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The names that `lib.rs` exports, each with the file that defines it.
fn reexports(lib: &str, texts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for statement in lib.split("pub use ").skip(1) {
        let statement = statement.split(';').next().unwrap();
        for path in expand(statement) {
            if let (Some(name), Some(file)) = (path.last(), file_of(&path, texts, &BTreeMap::new()))
            {
                found.insert(name.clone(), file);
            }
        }
    }
    found
}

/// All paths within this crate that a text names, each from the root of the crate.
fn paths(text: &str, module: &[&str]) -> Vec<Vec<String>> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (prefix, base) in [
        ("crate::", &module[..0]),
        ("super::", &module[..module.len() - 1]),
    ] {
        for rest in code.split(prefix).skip(1) {
            for path in expand(rest) {
                found.push(
                    base.iter()
                        .map(|part| (*part).to_owned())
                        .chain(path)
                        .collect(),
                );
            }
        }
    }
    found
}

/// The paths at the beginning of a text: `a::b` is one, `a::{b, c::D}` is two.
fn expand(text: &str) -> Vec<Vec<String>> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let path: Vec<String> = path
        .split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let Some(group) = rest
        .strip_prefix('{')
        .filter(|_| text[..end].is_empty() || text[..end].ends_with("::"))
    else {
        return vec![path];
    };
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        if (c == ',' || c == '}') && depth == 0 {
            for inner in expand(group[start..at].trim()) {
                found.push(path.iter().cloned().chain(inner).collect());
            }
            start = at + 1;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// The file that defines what a path names: the longest part of the path that is a file.
fn file_of(
    path: &[String],
    texts: &BTreeMap<String, String>,
    reexports: &BTreeMap<String, String>,
) -> Option<String> {
    let modules = (1..=path.len())
        .rev()
        .map(|length| format!("{}.rs", path[..length].join("/")));
    let file = modules.into_iter().find(|file| texts.contains_key(file));
    file.or_else(|| reexports.get(path.first()?).cloned())
}
