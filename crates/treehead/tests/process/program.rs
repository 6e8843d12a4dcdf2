//! Starts the program and reads what it says.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::http;

/// The program with nothing of this process's environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_treehead"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs a command of the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// `serve` on free ports, with this data folder.
pub(crate) fn serve(data: &Path) -> Command {
    let mut command = program();
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(data);
    command
}

/// What an ended process said and how it ended.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A refusal: that exit code, nothing on stdout, and one line on stderr beside the log lines, which
/// is returned.
pub(crate) fn refusal(output: &Output, code: i32) -> String {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(text(&output.stdout), "");
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("treehead: "))
        .collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert_eq!(stderr.lines().last(), lines.first().copied());
    lines[0].to_owned()
}

/// A server that runs. Killed when it goes out of scope.
pub(crate) struct Server {
    child: Child,
    pub api: SocketAddr,
    pub metrics: SocketAddr,
    /// What it printed up to the line with its metrics address.
    pub banner: String,
    lines: Receiver<String>,
    logged: Arc<Log>,
}

/// Lines of stderr, as they come.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    changed: std::sync::Condvar,
}

impl Server {
    /// Starts and waits until it listens; fails with what it said if it ends before.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::try_start(command).unwrap_or_else(|output| panic!("{output:?}"))
    }

    /// Starts with this as its stderr, which nobody follows, and waits until it listens.
    pub(crate) fn start_on(command: &mut Command, stderr: impl Into<Stdio>) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self::listening(child, Arc::default()).unwrap_or_else(|output| panic!("{output:?}"))
    }

    /// Starts and waits until it listens or ends.
    pub(crate) fn try_start(command: &mut Command) -> Result<Self, Output> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let logged = Arc::new(Log::default());
        let stderr = follow(child.stderr.take().unwrap(), {
            let logged = Arc::clone(&logged);
            move |line| {
                logged.text.lock().unwrap().push_str(&line);
                logged.changed.notify_all();
            }
        });
        Self::listening(child, Arc::clone(&logged)).map_err(|output| {
            stderr.join().unwrap();
            Output {
                stderr: logged.text.lock().unwrap().clone().into_bytes(),
                ..output
            }
        })
    }

    fn listening(mut child: Child, logged: Arc<Log>) -> Result<Self, Output> {
        let (sender, lines) = channel();
        follow(child.stdout.take().unwrap(), move |line| {
            drop(sender.send(line))
        });
        let mut banner = String::new();
        let address = |banner: &str, label: &str| -> Option<SocketAddr> {
            let line = banner.lines().find(|line| line.starts_with(label))?;
            line.split_once("http://")?
                .1
                .trim_end_matches("/metrics")
                .parse()
                .ok()
        };
        while let Ok(line) = lines.recv() {
            banner.push_str(&line);
            if let Some(metrics) = address(&banner, "metrics") {
                let api = address(&banner, "API")
                    .or_else(|| address(&banner, "witness  "))
                    .unwrap();
                return Ok(Self {
                    child,
                    api,
                    metrics,
                    banner,
                    lines,
                    logged,
                });
            }
        }
        Err(Output {
            status: child.wait().unwrap(),
            stdout: banner.into_bytes(),
            stderr: Vec::new(),
        })
    }

    /// The ID of the active tree of a log, such as `v2`, when it started.
    pub(crate) fn tree(&self, log: &str) -> &str {
        let (_, facts) = self.banner.split_once(&format!("\n{log} log\n")).unwrap();
        let line = facts.lines().next().unwrap();
        line.trim().strip_prefix("tree ID").unwrap().trim()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The reading end of its stderr, if that is a pipe that nobody follows.
    pub(crate) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.id())])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits for the end and returns the exit code; none for a signal.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGTERM; the process must end with 0.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait(), Some(0), "{}", self.log());
    }

    /// All that it logged.
    pub(crate) fn log(&self) -> String {
        self.logged.text.lock().unwrap().clone()
    }

    /// Waits until a log line holds this text.
    pub(crate) fn wait_for_log(&self, wanted: &str) {
        let held = self.logged.text.lock().unwrap();
        let (held, waited) = self
            .logged
            .changed
            .wait_timeout_while(held, http::PATIENCE, |text| !text.contains(wanted))
            .unwrap();
        assert!(!waited.timed_out(), "{wanted:?} is not in {held}");
    }

    /// Waits until a path is answered with this status.
    pub(crate) fn wait_until(&self, path: &str, status: u16) {
        let until = tokio::time::Instant::now() + http::PATIENCE;
        loop {
            let answer = http::get(self.api, path);
            if answer.status == status {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "{answer:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it printed after the addresses, up to a line with this text.
    pub(crate) fn printed_until(&self, wanted: &str) -> String {
        let mut printed = String::new();
        while !printed.contains(wanted) {
            printed.push_str(&self.lines.recv().unwrap());
        }
        printed
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(
    stream: impl Read + Send + 'static,
    mut line_read: impl FnMut(String) + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 0 {
            line_read(std::mem::take(&mut line));
        }
    })
}

/// A file that holds this text.
pub(crate) fn file(folder: &Path, name: impl AsRef<OsStr>, text: &str) -> std::path::PathBuf {
    let path = folder.join(name.as_ref());
    std::fs::write(&path, text).unwrap();
    path
}
