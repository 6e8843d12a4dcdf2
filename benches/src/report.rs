//! The table, one Markdown row a run, and the same as one line of JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::load::Tally;

/// One row: a work, or a part of a mix.
pub(crate) struct Row<'a> {
    /// Of all rows of this invocation.
    pub(crate) label: &'a str,
    /// The work.
    pub(crate) work: String,
    /// Connections.
    pub(crate) connections: usize,
    /// Requests a second that were due; `None`: closed loop.
    pub(crate) rate: Option<u32>,
    /// From first request to last answer.
    pub(crate) elapsed: Duration,
    /// The answers.
    pub(crate) tally: &'a Tally,
    /// Answers of it that were verified.
    pub(crate) verified: usize,
    /// Of each process; `None` in rows that share the run of the row above.
    pub(crate) used: Option<&'a [Used]>,
}

/// The processor time and memory that a process used in one run.
pub(crate) struct Used {
    /// The process.
    pub(crate) name: String,
    /// CPU time in the run.
    pub(crate) cpu: Duration,
    /// CPU time for each good answer of the run, of all its works.
    pub(crate) cpu_each: Duration,
    /// Most memory.
    pub(crate) peak_kib: u64,
}

/// The heading, with columns for these processes.
pub(crate) fn heading<'a>(processes: impl Iterator<Item = &'a str> + Clone) -> String {
    let mut columns: Vec<String> = [
        "log",
        "work",
        "connections",
        "answers",
        "/s",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "max ms",
        "errors",
        "late",
        "verified",
    ]
    .map(String::from)
    .into();
    let aligned = "|---|---".to_owned()
        + &"|--:".repeat(columns.len() - 2 + 2 * processes.clone().count())
        + "|";
    columns.extend(processes.clone().map(|name| format!("{name} CPU µs")));
    columns.extend(processes.map(|name| format!("{name} peak MiB")));
    format!("| {} |\n{aligned}", columns.join(" | "))
}

impl Row<'_> {
    /// For the table.
    pub(crate) fn markdown(&self, processes: usize) -> String {
        let Self {
            label,
            work,
            connections,
            tally,
            verified,
            ..
        } = self;
        let paced = self
            .rate
            .map_or_else(String::new, |rate| format!(" @{rate}"));
        let late = match self.rate {
            Some(_) if tally.unsent > 0 => format!("{} + {} unsent", tally.late, tally.unsent),
            Some(_) => tally.late.to_string(),
            None => "–".into(),
        };
        let mut cells = vec![
            (*label).to_owned(),
            format!("{work}{paced}"),
            connections.to_string(),
            tally.answered.to_string(),
            format!("{:.0}", self.per_second()),
        ];
        cells.extend([0.5, 0.9, 0.99, 1.0].map(|share| milliseconds(tally.latency(share))));
        cells.extend([tally.failures().to_string(), late, verified.to_string()]);
        match self.used {
            Some(used) => {
                cells.extend(
                    used.iter()
                        .map(|used| format!("{:.1}", used.cpu_each.as_nanos() as f64 / 1000.0)),
                );
                cells.extend(used.iter().map(|used| (used.peak_kib / 1024).to_string()));
            }
            None => cells.resize(cells.len() + 2 * processes, "″".into()),
        }
        format!("| {} |", cells.join(" | "))
    }

    /// The same with all digits. Times are in microseconds.
    pub(crate) fn json(&self) -> Value {
        let latency = |share| {
            self.tally
                .latency(share)
                .map(|latency| latency.as_micros() as u64)
        };
        let used = self.used.unwrap_or_default().iter().map(|used| {
            let figures = json!({
                "cpu_us": used.cpu.as_micros() as u64,
                "cpu_us_each": used.cpu_each.as_nanos() as f64 / 1000.0,
                "peak_kib": used.peak_kib,
            });
            (used.name.clone(), figures)
        });
        json!({
            "log": self.label, "work": self.work, "connections": self.connections, "rate": self.rate,
            "elapsed_us": self.elapsed.as_micros() as u64,
            "answers": self.tally.answered, "answers_per_second": self.per_second(),
            "p50_us": latency(0.5), "p90_us": latency(0.9), "p99_us": latency(0.99), "max_us": latency(1.0),
            "errors": self.tally.errors, "late": self.tally.late, "unsent": self.tally.unsent, "verified": self.verified,
            "processes": used.collect::<Map<_, _>>(),
        })
    }

    fn per_second(&self) -> f64 {
        self.tally.answered as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Used {
    /// `cpu` over `answers` good answers.
    pub(crate) fn new(name: &str, cpu: Duration, answers: usize, peak_kib: u64) -> Self {
        Self {
            name: name.to_owned(),
            cpu,
            cpu_each: cpu.div_f64(answers.max(1) as f64),
            peak_kib,
        }
    }
}

fn milliseconds(latency: Option<Duration>) -> String {
    latency.map_or_else(
        || "–".into(),
        |latency| format!("{:.2}", latency.as_secs_f64() * 1000.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_columns_of_the_heading() {
        let used = [Used::new("server", Duration::from_secs(1), 10, 2048)];
        let mut tally = Tally::default();
        (tally.answered, tally.unsent) = (500, 3);
        tally.latencies = (1..=100).map(|ms| ms * 1000).collect();
        tally.fail("x".into());
        let mut row = Row {
            label: "sqlite",
            work: "tile".into(),
            connections: 2,
            rate: Some(9),
            elapsed: Duration::from_secs(5),
            tally: &tally,
            verified: 4,
            used: Some(&used),
        };
        let heading = heading(["server"].into_iter());
        let columns = |line: &str| line.matches('|').count();
        assert!(
            heading
                .lines()
                .all(|line| columns(line) == columns(&row.markdown(1))),
            "{heading}"
        );
        assert_eq!(
            row.markdown(1),
            "| sqlite | tile @9 | 2 | 500 | 100 | 50.00 | 90.00 | 99.00 | 100.00 | 1 | 0 + 3 unsent | 4 | 100000.0 | 2 |"
        );
        assert_eq!(row.json()["processes"]["server"]["peak_kib"], 2048);
        assert_eq!(row.json()["p99_us"], 99_000);
        (row.used, row.rate) = (None, None);
        assert_eq!(
            columns(&row.markdown(1)),
            columns(heading.lines().next().unwrap())
        );
    }
}
