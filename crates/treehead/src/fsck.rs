//! `treehead fsck`: recomputes every tree from the leaf bytes up and names what differs. Changes
//! nothing in the database, takes no lock, needs no key, and may run beside `serve`. Its result is
//! kept for `treehead doctor`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use ledger::fsck::{Progress, Report};
use ledger::store::{Audited, Store, StoreError, TreeRow};
use ledger::{Api, Clock, SystemClock};

use crate::config::Config;
use crate::database::Database;
use crate::failure::{Explain, Failure, FailureKind, Outcome};
use crate::{log_lines, logging, runtime};

pub(crate) use last_check::LastCheck;

mod last_check;

/// Compares all trees, or those of the ledger that `--name` says.
pub(crate) fn run(config: &Config) -> Outcome<()> {
    logging::start(config)?;
    let database = Database::existing(config)?;
    runtime()?.block_on(check(config, &database))
}

async fn check(config: &Config, database: &Database) -> Outcome<()> {
    let unreadable = |error| database.failure(&error);
    let store = database.open_to_read().await?;
    let audited = store.audited_trees().await.map_err(unreadable)?;
    let whole = whole_findings(store.as_ref(), &audited).await;
    let whole = whole.map_err(unreadable)?;
    let mut trees: Vec<TreeRow> = audited.into_iter().map(|tree| tree.row).collect();
    if let Some(name) = &config.name {
        trees.retain(|tree| tree.name == *name);
    }
    if trees.is_empty() {
        let which = config
            .name
            .as_ref()
            .map(|name| format!(" called {name:?}"))
            .unwrap_or_default();
        return Err(Failure::new(
            FailureKind::Log,
            format_args!("{database} holds no ledger{which}"),
        ));
    }
    let mut differences = print_whole(database, &whole).explain(FailureKind::Other, "stdout")?;
    // Where the newest tree of each log so far ends.
    let mut ends: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for tree in &trees {
        let Some(api) = Api::by_name(&tree.api) else {
            differences += print_unknown_api(tree).explain(FailureKind::Other, "stdout")?;
            continue;
        };
        let report = check_tree(store.as_ref(), tree, api).await;
        let report = report.map_err(unreadable)?;
        differences += print(tree, &report).explain(FailureKind::Other, "stdout")?;
        let end = ends.entry((&tree.name, &tree.api)).or_default();
        let begins = print_beginning(tree, *end).explain(FailureKind::Other, "stdout")?;
        differences += begins;
        *end = tree.first_log_index + report.size.0;
    }
    let now = SystemClock.unix_millis().div_euclid(1_000);
    LastCheck::new(now, differences, &trees).record(&config.data_dir);
    match differences {
        0 => Ok(()),
        1 => Err(Failure::new(
            FailureKind::Differs,
            format_args!("{database}: 1 difference"),
        )),
        many => Err(Failure::new(
            FailureKind::Differs,
            format_args!("{database}: {many} differences"),
        )),
    }
}

async fn check_tree(
    store: &dyn Store,
    tree: &TreeRow,
    api: &'static Api,
) -> Result<Report, StoreError> {
    let derive_keys = |kind: &str, leaf_bytes: &[u8]| {
        let found = entry::kind_of_leaf(leaf_bytes).map_err(|error| error.to_string())?;
        if found != kind {
            return Err(format!("it is of kind {found:?}"));
        }
        entry::index_keys_of_leaf(leaf_bytes).map_err(|error| error.to_string())
    };
    let mut shown = Shown::new(tree);
    let report = ledger::fsck::fsck(
        store,
        tree,
        api,
        &derive_keys,
        &entry::named_packages,
        &mut |progress| shown.show(progress),
    )
    .await;
    shown.bar.finish_and_clear();
    report
}

/// Returns the differences that belong to no tree: rows of trees that do not exist, rows of `tree`
/// that cannot be decoded, and indexes that do not fit their tables.
async fn whole_findings(
    store: &dyn Store,
    trees: &[Audited<TreeRow>],
) -> Result<Vec<String>, StoreError> {
    let mut findings = store.audited_structure().await?;
    for (table, tree) in store.audited_orphans().await? {
        findings.push(format!(
            "table {table}: column tree_id: there are rows of tree {tree}, which does not exist"
        ));
    }
    for Audited { row, unreadable } in trees {
        let tree = format!("tree {}", row.tree_id);
        findings.extend(unreadable.iter().map(|value| value.finding(&tree)));
    }
    Ok(findings)
}

/// Writes the differences that belong to no tree; returns how many there are.
fn print_whole(database: &Database, findings: &[String]) -> io::Result<u64> {
    let mut out = io::stdout().lock();
    for finding in findings {
        writeln!(out, "{database}: {finding}")?;
    }
    Ok(findings.len() as u64)
}

/// Writes that the entries of a tree cannot be compared; returns how much differs.
fn print_unknown_api(tree: &TreeRow) -> io::Result<u64> {
    let name = name_of(tree);
    writeln!(
        io::stdout().lock(),
        "{name}: table tree: column api: this release knows no such API, so the entries were not compared"
    )?;
    Ok(1)
}

/// Names a tree and its log.
fn name_of(tree: &TreeRow) -> String {
    format!("{} ({} log, tree {})", tree.name, tree.api, tree.tree_id)
}

/// Compares the first log index of a tree with the end of the tree before it; returns how much
/// differs. A gap is the place of entries that were lost.
fn print_beginning(tree: &TreeRow, end: u64) -> io::Result<u64> {
    let (name, first) = (name_of(tree), tree.first_log_index);
    let mut out = io::stdout().lock();
    if first > end {
        let last = first - 1;
        writeln!(
            out,
            "{name}: log indexes {end} to {last} before it are lost"
        )?;
    } else if first < end {
        writeln!(
            out,
            "{name}: table tree: its first log index is {first}, and the tree before it ends at {end}"
        )?;
        return Ok(1);
    }
    Ok(0)
}

/// Writes what differs and a last line; returns how much differs.
fn print(tree: &TreeRow, report: &Report) -> io::Result<u64> {
    let mut out = io::stdout().lock();
    let name = name_of(tree);
    report
        .findings
        .iter()
        .try_for_each(|finding| writeln!(out, "{name}: {finding}"))?;
    if report.more_findings > 0 {
        writeln!(out, "{name}: {} more differences", report.more_findings)?;
    }
    if report.erased_attestations > 0 {
        writeln!(
            out,
            "{name}: {} attestations are erased",
            report.erased_attestations
        )?;
    }
    let differences = report.findings.len() as u64 + report.more_findings;
    let verdict = if differences == 0 {
        "in order".to_owned()
    } else {
        format!("{differences} differences")
    };
    writeln!(
        out,
        "{name}: {} entries, root {}: {verdict}",
        report.size, report.root
    )?;
    Ok(differences)
}

/// How far it is: a bar on a terminal, else a line at every tenth of the way.
struct Shown {
    bar: ProgressBar,
    name: String,
    next_tenth: u64,
}

impl Shown {
    fn new(tree: &TreeRow) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix} {wide_bar} {human_pos}/{human_len} entries, {eta} left",
        ) {
            bar.set_style(style);
        }
        bar.set_prefix(name_of(tree));
        Self {
            bar,
            name: name_of(tree),
            next_tenth: 1,
        }
    }

    fn show(&mut self, progress: Progress) {
        let Progress { done, total } = progress;
        self.bar.set_length(total);
        self.bar.set_position(done);
        // In 128 bits: ten times a tree size may not fit into 64.
        let tenths =
            u64::try_from(u128::from(done) * 10 / u128::from(total.max(1))).unwrap_or(u64::MAX);
        if self.bar.is_hidden() && tenths >= self.next_tenth {
            self.next_tenth = tenths + 1;
            log_lines::line(format_args!(
                "{}: {done} of {total} entries compared",
                self.name
            ));
        }
    }
}
