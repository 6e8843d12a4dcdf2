//! Holds the arrows between files: which folder of the ledger may import which, and how many files
//! of a crate may import each other in a circle.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where something is not as it must be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files whose path begins with the first text never import a file whose path begins with one of
/// the others.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    (
        "reading/",
        &["heads.rs", "writing", "shards", "log", "ledger.rs"],
    ),
    (
        "heads",
        &["reading", "writing", "shards", "log", "ledger.rs"],
    ),
    ("writing/", &["shards", "log", "ledger.rs"]),
    (
        "keys",
        &["heads", "reading", "writing", "shards", "log", "ledger.rs"],
    ),
    (
        "store",
        &["heads", "reading", "writing", "shards", "log", "ledger.rs"],
    ),
];

/// Most files of a crate that may import each other in a circle.
const MAX_CIRCLES: [(&str, usize); 10] = [
    ("client", 4),
    ("entry", 4),
    ("host", 4),
    ("ledger", 4),
    ("monitor", 4),
    ("pki", 4),
    ("server", 4),
    ("tlog", 4),
    ("treehead", 4),
    ("witness", 4),
];

type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_folders_of_the_ledger_import_each_other_as_drawn() {
    for (file, imported) in imports_of("ledger") {
        for (from, banned) in FORBIDDEN.iter().filter(|(from, _)| file.starts_with(from)) {
            let other = imported
                .iter()
                .find(|other| banned.iter().any(|banned| other.starts_with(banned)));
            assert_eq!(other, None, "{file} imports what a file of {from} must not");
        }
    }
}

#[test]
fn circles_of_files_are_small() {
    for (name, most) in MAX_CIRCLES {
        let imports = imports_of(name);
        let reached: BTreeMap<&String, BTreeSet<&String>> = imports
            .keys()
            .map(|file| (file, reachable(&imports, file)))
            .collect();
        for (file, others) in &reached {
            let circle: Vec<_> = others
                .iter()
                .filter(|other| reached[**other].contains(file))
                .collect();
            assert!(
                circle.len() <= most,
                "{name} has a circle of {} files: {circle:?}",
                circle.len()
            );
        }
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

/// The files of a crate, each with those that it names by path. A `mod` line alone names nothing,
/// and `mod tests { … }` at the end of a file does not count.
fn imports_of(name: &str) -> Imports {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let source = crates.join(name).join("src");
    let mut files = Vec::new();
    list(&source, &mut files);
    let mut texts = BTreeMap::new();
    for path in &files {
        let file = path.strip_prefix(&source).unwrap().to_str().unwrap();
        texts.insert(file.to_owned(), std::fs::read_to_string(path).unwrap());
    }
    let lib = texts.get("lib.rs").map_or("", String::as_str);
    let reexports = reexports(lib, &texts);
    let mut imports = Imports::new();
    for (file, text) in &texts {
        if ["lib.rs", "main.rs"].contains(&file.as_str()) {
            continue;
        }
        let module: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
        let found = paths(&code_of(text), &module)
            .into_iter()
            .filter_map(|path| file_of(&path, &texts, &reexports));
        imports.insert(file.clone(), found.filter(|found| found != file).collect());
    }
    imports
}

/// A file without comments and without its unit tests.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().map(str::trim_start);
    let code: Vec<&str> = lines.filter(|line| !line.starts_with("//")).collect();
    code.join("\n")
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

/// All paths within this crate that the code of a module names, each from the root of the crate.
fn paths(code: &str, module: &[&str]) -> Vec<Vec<String>> {
    let parent = &module[..module.len() - 1];
    let mut found = Vec::new();
    for (prefix, base) in [("crate::", &[][..]), ("super::", parent)] {
        for rest in code.split(prefix).skip(1) {
            found.extend(expand(rest).into_iter().map(|path| joined(base, path)));
        }
    }
    for child in children(code) {
        let prefix = format!("{child}::");
        for (at, _) in code.match_indices(&prefix) {
            let is_whole_name = code[..at]
                .strip_suffix("self::")
                .unwrap_or(&code[..at])
                .chars()
                .next_back()
                .is_none_or(|before| !before.is_alphanumeric() && !"_:".contains(before));
            if is_whole_name {
                let named = expand(&code[at..]);
                found.extend(named.into_iter().map(|path| joined(module, path)));
            }
        }
    }
    found
}

fn joined(base: &[&str], path: Vec<String>) -> Vec<String> {
    let base = base.iter().map(|part| (*part).to_owned());
    base.chain(path).collect()
}

/// The modules that a file declares and that have files of their own.
fn children(code: &str) -> Vec<&str> {
    let declarations = code.lines().filter_map(|line| line.strip_suffix(';'));
    declarations
        .filter_map(|line| match line.split_once("mod ") {
            Some(("", name)) => Some(name),
            Some((visibility, name)) if visibility.starts_with("pub") => Some(name),
            _ => None,
        })
        .collect()
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
