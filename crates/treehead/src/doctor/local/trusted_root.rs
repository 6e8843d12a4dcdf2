//! The authorities that stand beside these logs in the trusted root that the server hands out: whether
//! their certificates expire.

use std::fs;

use client::explain::{Report, explain};
use ledger::{Clock, SystemClock};

use crate::config::Config;

/// Explains the file of `trusted-root-base`, if there is one.
pub(super) fn check(report: &mut Report, config: &Config) {
    let Some(path) = &config.trusted_root_base else {
        return;
    };
    let place = path.display().to_string();
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("the trusted root cannot be read: {error}");
            let remedy = "correct trusted-root-base; a start fails without that file";
            return report.error("trusted-root-base", &[], place, what, remedy);
        }
    };
    let mut explained = explain(&text, SystemClock.unix_millis().div_euclid(1_000));
    // The server adds its own logs.
    explained.findings.retain(|finding| finding.id != "no-log");
    report.absorb(&place, explained);
}
