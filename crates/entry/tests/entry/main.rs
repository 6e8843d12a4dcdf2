//! Entries against the real server's answers, other implementations and their own properties.

// `cfg(test)` says so to clippy as well: what fails here is a test.
#[cfg(test)]
mod alpine;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod chains;
#[cfg(test)]
mod formats;
#[cfg(test)]
#[expect(dead_code, reason = "what the replays over HTTP hold")]
mod golden;
#[cfg(test)]
mod helm;
#[cfg(test)]
mod jar;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod recorded_sets;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod rpm;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod strictness;
#[cfg(test)]
mod submission;
#[cfg(test)]
mod tuf;
#[cfg(test)]
mod v2;
#[cfg(test)]
mod verdicts;
#[cfg(test)]
mod work;
