//! A Postgres server of a test's own, and its standby: for what cannot be tried on a server that
//! other tests use.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A server on a unix socket in its folder, which goes with it.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Makes and starts a primary. `None` if no Postgres is set up and none is demanded.
    pub(crate) fn primary() -> Option<Self> {
        if std::env::var_os("TREEHEAD_TEST_POSTGRES_BIN").is_none() {
            let demanded = ["CI", "TREEHEAD_REQUIRE_POSTGRES"]
                .iter()
                .any(|name| std::env::var_os(name).is_some());
            assert!(
                !demanded,
                "TREEHEAD_TEST_POSTGRES_BIN is not set: run scripts/test"
            );
            println!("passed over: there is no Postgres; scripts/test sets one up");
            return None;
        }
        let cluster = Self::new();
        let options = [
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ];
        let mut initdb = program("initdb");
        initdb.arg("-D").arg(cluster.data()).arg("--no-sync");
        run(initdb.args(options));
        cluster.start();
        Some(cluster)
    }

    /// Makes and starts a standby of this server that follows it.
    pub(crate) fn standby(&self) -> Self {
        let cluster = Self::new();
        let mut backup = program("pg_basebackup");
        backup
            .arg("-h")
            .arg(self.folder())
            .arg("-D")
            .arg(cluster.data());
        run(backup.args([
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ]));
        cluster.start();
        cluster
    }

    fn new() -> Self {
        // Memory, if there is some: nothing of it outlives the test.
        let base = Path::new("/dev/shm");
        let made = match base.is_dir() {
            true => tempfile::tempdir_in(base),
            false => tempfile::tempdir(),
        };
        let folder = made.unwrap();
        if let Some(user) = user() {
            run(Command::new("chown").arg(user).arg(folder.path()));
        }
        Self { folder }
    }

    /// The folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> String {
        url(&[self.folder()])
    }

    pub(crate) fn start(&self) {
        let settings = format!(
            "-c listen_addresses='' -c unix_socket_directories={}",
            self.folder().display()
        );
        let log = self.folder().join("log");
        let mut start = self.pg_ctl("start");
        run(start.arg("-w").arg("-l").arg(log).arg("-o").arg(settings));
    }

    /// Ends it as a crash does.
    pub(crate) fn crash(&self) {
        run(self.pg_ctl("stop").args(["-m", "immediate"]));
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        run(self.pg_ctl("promote").arg("-w"));
    }

    /// Changes a setting of the whole server, and waits until it is in force.
    pub(crate) fn set(&self, name: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        run(&mut self.pg_ctl("reload"));
        let shown =
            format!("SELECT setting FROM pg_file_settings WHERE name = '{name}' AND applied");
        while self.sql(&shown) != value || self.sql(&format!("SHOW {name}")) != value {}
    }

    /// Runs SQL, and returns what it shows.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let output = run(program("psql").args(["-XAtq", "-c", sql, &self.url()]));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Waits until a query shows this.
    pub(crate) fn wait_for(&self, sql: &str, wanted: &str) {
        // A question takes some 10 ms.
        let shown = (0..10_000).find(|_| self.sql(sql) == wanted);
        assert!(shown.is_some(), "{sql} is not {wanted}");
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut command = program("pg_ctl");
        command.arg(action).arg("-s").arg("-D").arg(self.data());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.pg_ctl("stop").args(["-m", "immediate"]).output();
    }
}

/// The URL of servers whose sockets are in these folders.
pub(crate) fn url(folders: &[&Path]) -> String {
    let names = folders.iter().map(|folder| folder.to_str().unwrap());
    let names: Vec<String> = names.map(|name| name.replace('/', "%2F")).collect();
    format!("postgres://postgres@{}/postgres", names.join(","))
}

/// Postgres refuses root, so an unprivileged user runs it.
fn user() -> Option<String> {
    std::env::var("TREEHEAD_TEST_POSTGRES_USER")
        .ok()
        .filter(|user| !user.is_empty())
}

fn program(name: &str) -> Command {
    let bin = std::env::var("TREEHEAD_TEST_POSTGRES_BIN").unwrap();
    let program = Path::new(&bin).join(name);
    let mut command = match user() {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", &user, "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.current_dir("/");
    command
}

fn run(command: &mut Command) -> Output {
    // A server that stays behind must not keep a pipe open, so only psql has one.
    let output = match command.get_args().any(|argument| argument == "start") {
        true => {
            let status = command
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .status();
            Output {
                status: status.unwrap(),
                stdout: Vec::new(),
                stderr: Vec::new(),
            }
        }
        false => command.output().unwrap(),
    };
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
