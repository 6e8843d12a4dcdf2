//! Where the recorded answers of real servers are, and in what this log differs from them on
//! purpose.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The recordings in this repository (tests/recordings/README.md).
const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/recordings");
/// Recordings whose requests carry test files of Rekor. They are not copied into this repository,
/// and are replayed as well where they lie beside it.
const UPSTREAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden");
const REFERENCE: &str = include_str!("../../../../docs/API.md");
const SECTION: &str = "\n## Where it differs from Rekor on purpose\n";
/// More reasons than this would be none.
const MOST_REASONS: usize = 12;
/// A difference that no answer shows: only the search does.
pub(crate) const INDEX_KEYS: &str = "index keys";

/// A folder of recordings, and the prefix that docs/API.md gives to the names of its cases.
pub(crate) type Folder = (&'static str, &'static str);

/// Returns a file or folder of the recordings in this repository. If it is absent, says so and
/// returns None; in CI it fails.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let path = Path::new(RECORDINGS).join(name);
    let is_present = path.exists();
    assert!(
        is_present || std::env::var_os("CI").is_none(),
        "there are no recordings in {}",
        path.display()
    );
    if !is_present {
        println!("passed over: there are no recordings in {}", path.display());
    }
    is_present.then_some(path)
}

/// Returns the places of these folders. Upstream folders are left out where they are absent, in CI
/// too.
pub(crate) fn folders(folders: &[Folder]) -> Option<Vec<(PathBuf, &'static str)>> {
    let mut places = Vec::new();
    for (name, prefix) in folders {
        if !name.ends_with("/upstream") {
            places.push((path(name)?, *prefix));
            continue;
        }
        let place = Path::new(UPSTREAM).join(name);
        if place.is_dir() {
            places.push((place, *prefix));
        } else {
            println!(
                "passed over: there are no upstream recordings in {}",
                place.display()
            );
        }
    }
    Some(places)
}

/// Whether the upstream recordings are replayed as well.
pub(crate) fn has_upstream() -> bool {
    Path::new(UPSTREAM).is_dir()
}

/// The tables of docs/API.md: reasons, and under each the recorded cases that differ for it, with
/// how.
pub(crate) struct Differences(Vec<Row>);

struct Row {
    case: String,
    how: &'static str,
}

impl Differences {
    /// Reads the tables. Each case is named once.
    pub(crate) fn read() -> Self {
        let (_, section) = REFERENCE.split_once(SECTION).expect("the section");
        let section = section
            .split_once("\n## ")
            .map_or(section, |(section, _)| section);
        let is_reason = |line: &&str| {
            line.strip_prefix("### ")
                .is_some_and(|title| title.starts_with(|first: char| first.is_ascii_digit()))
        };
        let reasons = section.lines().filter(is_reason).count();
        assert!((1..=MOST_REASONS).contains(&reasons), "{reasons} reasons");
        let mut rows = Vec::new();
        for line in section
            .lines()
            .filter(|line| line.starts_with("| ") && line.contains('`'))
        {
            let (how, cases) = line
                .trim_matches(['|', ' '])
                .split_once(" | ")
                .expect("two columns");
            rows.extend(cases.split('`').skip(1).step_by(2).map(|case| Row {
                case: case.replace("\\|", "|"),
                how,
            }));
        }
        let names: BTreeSet<&str> = rows.iter().map(|row| row.case.as_str()).collect();
        assert_eq!(names.len(), rows.len(), "a case is named twice");
        Self(rows)
    }

    /// How this case differs.
    pub(crate) fn of(&self, case: &str) -> Option<&'static str> {
        self.0.iter().find(|row| row.is_of(case)).map(|row| row.how)
    }

    /// Names below one of these folders that are of none of the cases.
    pub(crate) fn unused(&self, folders: &[&str], cases: &BTreeSet<String>) -> Vec<String> {
        let is_below = |row: &&Row| folders.iter().any(|folder| row.case.starts_with(folder));
        let rows = self
            .0
            .iter()
            .filter(is_below)
            .filter(|row| !cases.iter().any(|case| row.is_of(case)));
        rows.map(|row| format!("{}: in docs/API.md, and not recorded", row.case))
            .collect()
    }
}

impl Row {
    /// A name may end in `*`.
    fn is_of(&self, case: &str) -> bool {
        self.case
            .strip_suffix('*')
            .map_or(self.case == case, |beginning| case.starts_with(beginning))
    }
}
