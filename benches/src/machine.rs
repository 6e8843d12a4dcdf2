//! The conditions of the figures beside the server.

use std::{fs, thread};

use serde_json::{Value, json};

/// Processor, cores, memory and kernel of this machine (Linux).
pub(crate) fn describe() -> Value {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    json!({
        "processor": line(&read("/proc/cpuinfo"), "model name"),
        "cores": thread::available_parallelism().map_or(0, usize::from),
        "memory": line(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_average": read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
    })
}

/// The time, `2026-11-26T05:47:08Z`.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of this program that is not for measuring"
)]
pub(crate) fn now() -> String {
    let time = time::OffsetDateTime::from(std::time::SystemTime::now());
    let (date, (hour, minute, second)) = (time.date(), time.to_hms());
    format!(
        "{}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
}
