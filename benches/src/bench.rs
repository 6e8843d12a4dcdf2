//! All runs of one invocation: load, verification, rows.

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::ask::Source;
use crate::connection::{Connection, Target};
use crate::known::{Known, Survey};
use crate::load::{self, Load, Run};
use crate::machine;
use crate::memory::MemoryWatch;
use crate::process::Process;
use crate::proposal::Proposals;
use crate::report::{self, Row, Used};
use crate::verify::Verifier;
use crate::work::{Mix, Work};

/// The parts that all runs share.
pub(crate) struct Bench {
    arguments: Arguments,
    target: Target,
    known: Arc<Known>,
    /// The processes of the command line, and this one.
    processes: Vec<Process>,
    machine: Value,
}

impl Bench {
    /// Finds out what the runs have to know of the log.
    pub(crate) async fn prepare(arguments: Arguments) -> Result<Self> {
        let target = Target::new(&arguments.url)?;
        let survey = Survey {
            target: &target,
            key_file: arguments.key.as_deref(),
            tiles_prefix: &arguments.tiles,
            entries: arguments.known as usize,
            seed: arguments.seed,
        };
        let known = survey.take(&arguments.all_works()).await;
        let known = Arc::new(known.with_context(|| format!("the log at {}", arguments.url))?);
        let processes = arguments
            .processes
            .iter()
            .cloned()
            .chain([Process::own()])
            .collect();
        Ok(Self {
            arguments,
            target,
            known,
            processes,
            machine: machine::describe(),
        })
    }

    /// Does all runs; `print` takes the lines of the table, and of the errors below a row. Returns
    /// how many errors there were.
    pub(crate) async fn run_all(&self, print: &mut dyn FnMut(String)) -> Result<usize> {
        if !self.arguments.no_heading {
            print(report::heading(
                self.processes.iter().map(|process| process.name.as_str()),
            ));
        }
        let mut errors = 0;
        for mix in &self.arguments.works {
            for &connections in &self.arguments.connections {
                errors += self.run(mix, connections, print).await?;
            }
        }
        Ok(errors)
    }

    async fn run(
        &self,
        mix: &Mix,
        connections: usize,
        print: &mut dyn FnMut(String),
    ) -> Result<usize> {
        let mut loads = vec![self.load(mix, connections, self.arguments.rate, 0)?];
        if let Some(beside) = &self.arguments.beside {
            loads.push(self.load(
                &beside.mix,
                self.arguments.beside_connections,
                Some(beside.rate),
                1,
            )?);
        }
        let before = self
            .processes
            .iter()
            .map(Process::cpu)
            .collect::<Result<Vec<_>>>()?;
        let memory = MemoryWatch::start(self.processes.clone());
        let started = machine::now();
        let runs = load::run(
            &self.target,
            &loads,
            Duration::from_secs(self.arguments.seconds),
        )
        .await?;
        let after = self
            .processes
            .iter()
            .map(Process::cpu)
            .collect::<Result<Vec<_>>>()?;
        let peaks = memory.finish()?;

        let answers: usize = runs.iter().map(Run::answered).sum();
        let figures = before.iter().zip(&after).zip(&peaks).zip(&self.processes);
        let used: Vec<_> = figures
            .map(|(((before, after), peak), process)| {
                Used::new(&process.name, *after - *before, answers, *peak)
            })
            .collect();
        let mut errors = 0;
        for (number, (mut run, load)) in runs.into_iter().zip(&loads).enumerate() {
            let verified = self.verify(&mut run, load).await?;
            let used = (number == 0).then_some(used.as_slice());
            errors += self.report(&run, load, &verified, used, &started, print)?;
        }
        Ok(errors)
    }

    fn load(&self, mix: &Mix, connections: usize, rate: Option<u32>, number: u64) -> Result<Load> {
        let arguments = &self.arguments;
        let source = Source {
            mix: mix.clone(),
            skew: arguments.skew,
            batch: arguments.batch as usize,
            tiles_prefix: arguments.tiles.clone(),
            target: self.target.clone(),
            known: self.known.clone(),
            proposals: Arc::new(Proposals::sign(arguments.entries_for(mix, rate))?),
        };
        let seed = arguments.seed.wrapping_add(number);
        Ok(Load {
            source: Arc::new(source),
            connections,
            rate,
            sample: arguments.sample,
            seed,
        })
    }

    /// Checks what was kept; what is wrong counts as an error. Returns how many answers of each
    /// part were right.
    async fn verify(&self, run: &mut Run, load: &Load) -> Result<Vec<usize>> {
        let mut verifier =
            Verifier::new(load.source.clone(), Connection::open(&self.target).await?);
        let mut verified = Vec::new();
        for tally in &mut run.parts {
            let kept = std::mem::take(&mut tally.kept);
            let mut right = 0;
            for (ask, answer) in kept {
                match verifier.verify(ask, &answer).await {
                    Ok(()) => right += 1,
                    Err(error) => tally.fail(format!("not verified, {ask:?}: {error:#}")),
                }
            }
            verified.push(right);
        }
        Ok(verified)
    }

    /// A row for the run, and one for each part of a mix. Returns the number of errors.
    fn report(
        &self,
        run: &Run,
        load: &Load,
        verified: &[usize],
        used: Option<&[Used]>,
        started: &str,
        print: &mut dyn FnMut(String),
    ) -> Result<usize> {
        let total = run.total();
        let row = Row {
            label: &self.arguments.label,
            work: load.source.mix.to_string(),
            connections: load.connections,
            rate: load.rate,
            elapsed: run.elapsed,
            tally: &total,
            verified: verified.iter().sum(),
            used,
        };
        let works: Vec<_> = load.source.mix.works().collect();
        let part = |(number, work): (usize, &Work)| Row {
            work: format!("· {}", work.name()),
            rate: None,
            tally: &run.parts[number],
            verified: verified[number],
            used: None,
            ..row
        };
        let parts: Vec<_> = works
            .iter()
            .enumerate()
            .map(part)
            .filter(|_| works.len() > 1)
            .collect();
        for row in [&row].into_iter().chain(&parts) {
            print(row.markdown(self.processes.len()));
            self.record(row, started)?;
        }
        for (error, count) in &total.errors {
            print(format!("  {count} x {error}"));
        }
        Ok(total.failures())
    }

    fn record(&self, row: &Row<'_>, started: &str) -> Result<()> {
        let Some(path) = &self.arguments.json else {
            return Ok(());
        };
        let line = json!({
            "started": started, "machine": self.machine, "settings": self.arguments.settings(), "result": row.json(),
        });
        let file = OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.with_context(|| path.display().to_string())?, "{line}")?;
        Ok(())
    }
}
