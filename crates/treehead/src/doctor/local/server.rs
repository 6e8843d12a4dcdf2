//! The running server: whether it is ready, and its own view of itself.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use client::explain::Report;
use http::header::USER_AGENT;
use http::{Request, StatusCode};
use http_body_util::Full;

use super::process::Process;
use super::words::GUIDE;
use crate::config::Config;
use crate::http_client::{Answer, Bounds, HttpClient};
use crate::listen::ListenAddress;

const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(2),
    answer: Duration::from_secs(10),
    answer_bytes: 4 * 1024 * 1024,
};
/// The state of a socket that listens, in /proc/net/tcp.
const LISTENS: &str = "0A";

/// Asks the server, if it runs; otherwise looks whether its ports are free.
pub(super) async fn check(report: &mut Report, config: &Config, process: Option<&Process>) {
    let Some(process) = process else {
        let what = "no server of this ledger runs on this machine";
        report.note("not-running", &[], "", what);
        for (setting, address) in [
            ("listen", &config.listen),
            ("metrics-listen", &config.metrics_listen),
        ] {
            if is_taken(address.port()) {
                let what = format!(
                    "another program listens on port {} ({setting}), so the server could not start",
                    address.port()
                );
                let remedy = format!(
                    "ss -ltnp 'sport = :{}' names it; stop it, or give another --{setting}",
                    address.port()
                );
                report.error("port-taken", &[], setting, what, remedy);
            }
        }
        return;
    };
    report.fact("server", format_args!("runs as process {}", process.id));
    check_ready(report, config).await;
    check_metrics(report, config).await;
}

async fn check_ready(report: &mut Report, config: &Config) {
    let Some(answer) = ask(report, "listen", &config.listen, "/readyz").await else {
        return;
    };
    let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
    match answer.status {
        StatusCode::OK => report.fact("ready", text),
        StatusCode::SERVICE_UNAVAILABLE => {
            let what = format!("the server takes no writes: {text}");
            report.error("not-ready", &[], "/readyz", what, remedy_of(&text));
        }
        status => {
            let what = format!(
                "another program answers at {}: {status} for /readyz",
                config.listen
            );
            report.warning(
                "not-treehead",
                "listen",
                what,
                "give the address at which the server listens: --listen",
            );
        }
    }
}

/// Returns the next action for a reason of `/readyz`.
fn remedy_of(reason: &str) -> String {
    let section = |section: &str| format!("{GUIDE}, {section}");
    if reason.contains("read-only") || reason.contains("went back") {
        section(
            "When a log is read-only: stop the other servers, bring the database forward, restart \
                with the same guards",
        )
    } else if reason.contains("clock") {
        section(
            "Clocks: synchronise this machine and the database with NTP; writes go on by \
                themselves",
        )
    } else if reason.contains("witness") || reason.contains("cosign") {
        section(
            "Witnesses: bring witnesses back, or publish without them \
                (--witness-fail-open-seconds)",
        )
    } else if reason.contains("guard") {
        section(
            "The guard: mend the place that the log lines name; a full disk is the most frequent \
                cause",
        )
    } else {
        "read the last lines of the server's log (journalctl -u treehead -n 50): they have the \
            cause"
            .to_owned()
    }
}

async fn check_metrics(report: &mut Report, config: &Config) {
    let Some(answer) = ask(report, "metrics-listen", &config.metrics_listen, "/metrics").await
    else {
        return;
    };
    let text = String::from_utf8_lossy(&answer.body);
    let info = text
        .lines()
        .find(|line| line.starts_with("rekor_build_info{"));
    if let Some(running) = info.and_then(|line| label(line, "version")) {
        report.fact("version of the server", running);
        if running != env!("CARGO_PKG_VERSION") {
            let what = format!(
                "the server that runs is {running}, and this program is {}",
                env!("CARGO_PKG_VERSION")
            );
            report.warning(
                "version-differs",
                "",
                what,
                "restart the server if it was to be \
                upgraded; otherwise use its own program for this",
            );
        }
    }
    let has = |name: &str| {
        text.lines()
            .any(|line| line.starts_with(name) && line.ends_with(" 1"))
    };
    if has("treehead_guard_failing") {
        let what = "a place of the guard fails or is too slow: newer heads are published without \
            it, and a restore may go unnoticed";
        let remedy =
            "the log lines name the place and the reason; mend it. It is tried again every second";
        report.warning("guard-failing", "treehead_guard_failing", what, remedy);
    }
}

/// Returns the value of a label in a line of metrics.
fn label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

/// Sends a request to an address of the settings. With port 0 nobody knows the port.
async fn ask(
    report: &mut Report,
    setting: &str,
    address: &ListenAddress,
    path: &str,
) -> Option<Answer> {
    if address.port() == 0 {
        let what = format!(
            "--{setting} takes a free port, so the server cannot be asked; its output names the \
                port"
        );
        report.note("port-unknown", &[], setting, what);
        return None;
    }
    match send(address.to_connect(), path).await {
        Ok(answer) => Some(answer),
        Err(why) => {
            let what = format!("the server runs, and does not answer at {address}: {why}");
            let remedy = "give the address of the server (--listen, --metrics-listen, or its file \
                by --config). If it is right, the server \
                          hangs or is just starting: read its log";
            report.error("no-answer", &[], setting, what, remedy);
            None
        }
    }
}

async fn send(address: String, path: &str) -> Result<Answer, String> {
    let url = format!("http://{address}");
    let client = HttpClient::new(&url, BOUNDS)?;
    let request = Request::get(format!("{url}{path}")).header(USER_AGENT, "treehead");
    let request = request
        .body(Full::new(Bytes::new()))
        .map_err(|error| error.to_string())?;
    client.send(request).await
}

/// Returns whether some program listens on a port of this machine. No port is opened for that.
fn is_taken(port: u16) -> bool {
    if port == 0 {
        return false;
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    tables
        .iter()
        .flat_map(|table| table.lines())
        .any(|line| listens_on(line, port))
}

fn listens_on(line: &str, port: u16) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let (Some(local), Some(state)) = (words.next(), words.nth(1)) else {
        return false;
    };
    let of_line = local
        .rsplit_once(':')
        .and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
    state == LISTENS && of_line == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_which_ports_are_taken() {
        let line = "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 \
            00000000     0        0 4711";
        assert!(listens_on(line, 3000));
        assert!(!listens_on(line, 3001));
        assert!(!listens_on(&line.replace(" 0A ", " 01 "), 3000));
        assert!(!listens_on("  sl  local_address rem_address   st", 3000));
    }

    #[test]
    fn labels_are_found() {
        assert_eq!(
            label(
                r#"rekor_build_info{revision="abc",version="1.2.3"} 1"#,
                "version"
            ),
            Some("1.2.3")
        );
    }
}
