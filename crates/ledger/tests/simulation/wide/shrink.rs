//! A failure of a run, and a short list of steps that fails too.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use super::step::Step;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Why a run failed.
pub(crate) struct Failure(pub(crate) String);

/// Returns why a run fails, if it does. What it prints on the way is left out.
pub(crate) fn failure_of(run: impl FnOnce()) -> Option<Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                before(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    IS_QUIET.set(false);
    outcome.err().map(|payload| Failure(text_of(&*payload)))
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    });
    text.unwrap_or_else(|| "a panic without a text".to_owned())
}

/// Leaves out steps, many at once first, as long as the rest fails.
pub(crate) fn shrink(steps: &[Step], fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut short = steps.to_vec();
    let mut width = short.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let before = short.len();
        while start < short.len() {
            let mut rest = short.clone();
            rest.drain(start..short.len().min(start + width));
            if fails(&rest) {
                short = rest;
            } else {
                start += width;
            }
        }
        if width == 1 && short.len() == before {
            return short;
        }
        width = (width / 2).max(1);
    }
}

/// What a failed run prints: the seed, and a test to paste into `wide/replays.rs`.
pub(crate) fn report(seed: u64, first: &Failure, short: &[Step], last: Option<&Failure>) -> String {
    let steps: Vec<String> = short
        .iter()
        .map(|step| format!("            {step:?},\n"))
        .collect();
    let last = last.map_or("", |failure| failure.0.as_str());
    format!(
        "seed {seed}: {}\n\nTREEHEAD_SIMULATION_SEED={seed} runs it again. A shorter list fails with: {last}\n\n\
         #[test]\nfn seed_{seed}() {{\n    replay(\n        {seed},\n        &[\n{}        ],\n    );\n}}\n",
        first.0,
        steps.concat()
    )
}

#[test]
fn a_list_is_shrunk_to_the_steps_that_matter() {
    let wait = |millis| Step::Wait { millis };
    let steps: Vec<Step> = (0..23).map(wait).collect();
    let fails = |steps: &[Step]| steps.contains(&wait(4)) && steps.contains(&wait(19));
    assert_eq!(shrink(&steps, fails), [wait(4), wait(19)]);
}
