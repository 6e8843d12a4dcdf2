//! Tells the program which revision it was built from, without needing git.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is said of things that the build does not know.
const UNKNOWN: &str = "unknown";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Linked into the static program by `docker/build`; cargo does not see it among the flags.
    let memory = Path::new("../../docker/memory.c");
    if memory.exists() {
        println!("cargo:rerun-if-changed={}", memory.display());
    }
    let revision = given("TREEHEAD_REVISION").or_else(checked_out_revision);
    let shown = revision
        .as_ref()
        .map(|revision| format!(" ({revision})"))
        .unwrap_or_default();
    println!(
        "cargo:rustc-env=TREEHEAD_VERSION={}{shown}",
        env!("CARGO_PKG_VERSION")
    );
    println!(
        "cargo:rustc-env=TREEHEAD_BUILD_REVISION={}",
        revision.as_deref().unwrap_or(UNKNOWN)
    );
    // Only when it is given: a build that read the clock would never be the same twice.
    println!(
        "cargo:rustc-env=TREEHEAD_BUILD_DATE={}",
        given("TREEHEAD_DATE").as_deref().unwrap_or(UNKNOWN)
    );
    println!(
        "cargo:rustc-env=TREEHEAD_BUILD_COMPILER={}",
        compiler().as_deref().unwrap_or(UNKNOWN)
    );
}

/// A variable that whoever builds may set.
fn given(variable: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={variable}");
    std::env::var(variable)
        .ok()
        .filter(|text| !text.is_empty() && !text.contains(char::is_whitespace))
}

/// `rustc 1.95.0`.
fn compiler() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(
        text.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// The commit of the surrounding checkout, read from git's own files. None outside a checkout.
fn checked_out_revision() -> Option<String> {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let dot_git = manifest
        .ancestors()
        .map(|dir| dir.join(".git"))
        .find(|path| path.exists())?;
    let git_dir = match fs::read_to_string(&dot_git) {
        Ok(pointer) => dot_git
            .parent()?
            .join(pointer.strip_prefix("gitdir:")?.trim()),
        Err(_) => dot_git,
    };
    // A worktree keeps its HEAD apart and its branches in the common folder.
    let common = match fs::read_to_string(git_dir.join("commondir")) {
        Ok(relative) => git_dir.join(relative.trim()),
        Err(_) => git_dir.clone(),
    };
    let head = read_watched(&git_dir.join("HEAD"))?;
    let commit = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(reference) => match read_watched(&common.join(reference)) {
            Some(commit) => commit.trim().to_owned(),
            None => {
                // The next commit creates the file of the reference.
                println!(
                    "cargo:rerun-if-changed={}",
                    common.join("refs/heads").display()
                );
                packed(&common, reference)?
            }
        },
    };
    let is_commit = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| commit[..12].to_owned())
}

fn packed(common: &Path, reference: &str) -> Option<String> {
    let packed = read_watched(&common.join("packed-refs"))?;
    packed.lines().find_map(|line| {
        line.strip_suffix(reference)?
            .strip_suffix(' ')
            .map(str::to_owned)
    })
}

/// Reads a file and builds again when it changes.
fn read_watched(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo:rerun-if-changed={}", path.display());
    Some(text)
}
