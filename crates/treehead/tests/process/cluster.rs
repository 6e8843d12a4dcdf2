//! A cluster of Postgres of its own, which a test may kill.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::http::PATIENCE;
use crate::postgres;
use crate::program;

/// Between two looks whether it runs.
const PAUSE: Duration = Duration::from_millis(50);
/// Below the ports that connections are made from, so that nothing takes one while it is down.
const PORTS: std::ops::Range<u16> = 15_000..20_000;
const PASSWORD: &str = "of a throw-away cluster";

/// A cluster that runs with the durability that Postgres comes with.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// The user that runs the test server: Postgres refuses root.
    user: (u32, u32),
    port: u16,
    postmaster: Child,
}

impl Cluster {
    /// Makes a cluster with the programs of the test server. None, said on stdout, where no test
    /// server is set up by `scripts/postgres`.
    pub(crate) fn start() -> Option<Self> {
        let Ok(process) = std::env::var("POSTGRES_PID") else {
            let demanded = std::env::var_os("TREEHEAD_REQUIRE_POSTGRES").is_some();
            assert!(!demanded, "POSTGRES_PID is not set: scripts/test sets it");
            println!("passed over: POSTGRES_PID is not set; scripts/test sets it");
            return None;
        };
        let process = Path::new("/proc").join(process);
        let owner = fs::metadata(&process).unwrap();
        let user = (owner.uid(), owner.gid());
        let program = fs::read_link(process.join("exe")).unwrap();
        let programs = program.parent().unwrap().to_owned();

        let folder = tempfile::tempdir().unwrap();
        let password = program::file(folder.path(), "password", PASSWORD);
        for path in [folder.path(), &password] {
            chown(path, Some(user.0), Some(user.1)).unwrap();
        }
        let mut command = run_as(user, &programs.join("initdb"), folder.path());
        command.args(["--username=postgres", "--auth=password", "--no-sync"]);
        command.args(["--encoding=UTF8", "--locale=C.UTF-8", "-D", "data"]);
        let made = command.arg("--pwfile=password").output().unwrap();
        assert!(made.status.success(), "{made:?}");

        let offset = u16::try_from(std::process::id() % 5_000).unwrap();
        let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = PORTS.cycle().skip(offset.into()).find(free).unwrap();
        let postmaster = postgres(user, &programs, folder.path(), port);
        let mut cluster = Self {
            folder,
            programs,
            user,
            port,
            postmaster,
        };
        cluster.wait();
        Some(cluster)
    }

    /// The URL of a database that is always there.
    pub(crate) fn url(&self) -> String {
        let password = PASSWORD.replace(' ', "%20");
        let port = self.port;
        format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres")
    }

    /// SIGKILL for all of its processes at once.
    pub(crate) fn kill(&mut self) {
        let mut processes = children(self.postmaster.id());
        processes.insert(0, self.postmaster.id().to_string());
        // A child may have ended by itself meanwhile.
        let _ = Command::new("kill")
            .arg("-KILL")
            .args(processes)
            .stderr(Stdio::null())
            .status();
        self.postmaster.wait().unwrap();
    }

    /// Starts it on the data that the killed one left, and waits until it has recovered.
    pub(crate) fn start_again(&mut self) {
        self.postmaster = postgres(self.user, &self.programs, self.folder.path(), self.port);
        self.wait();
    }

    fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !postgres::answers(&self.url()) {
            assert!(Instant::now() < until, "Postgres does not start");
            // A child of the killed one may have held the shared memory for a moment more.
            if self.postmaster.try_wait().unwrap().is_some() {
                self.postmaster =
                    postgres(self.user, &self.programs, self.folder.path(), self.port);
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

fn postgres(user: (u32, u32), programs: &Path, folder: &Path, port: u16) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut command = run_as(user, &programs.join("postgres"), folder);
    command.args(["-D", "data", "-c", "listen_addresses=127.0.0.1", "-c"]);
    command.arg(format!("port={port}"));
    command.args(["-c", "unix_socket_directories="]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(log).spawn().unwrap()
}

fn run_as(user: (u32, u32), program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.uid(user.0).gid(user.1).current_dir(folder);
    command
}

/// The processes that a process started.
fn children(parent: u32) -> Vec<String> {
    let parent = parent.to_string();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap() {
        let process = process.unwrap();
        // Many of these are no processes, and some end meanwhile.
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        if fields.split(' ').nth(1) == Some(&parent) {
            found.push(process.file_name().into_string().unwrap());
        }
    }
    found
}
