//! Texts made from the definitions of the settings: the sample file, and the values that count with
//! their sources.

use std::fmt::Write;

use toml::{Table, Value};

use super::fields::Config;
use super::setting::Setting;
use super::source::Source;
use super::tables::{TABLES, of_table};
use crate::banner::print;
use crate::failure::{Explain, FailureKind, Outcome};

/// The first lines of the sample file.
const SAMPLE_HEAD: &str = "\
# Configuration of treehead: /etc/treehead/treehead.toml, read with `treehead serve --config FILE`.
# `treehead config check FILE` says whether a file is in order, `treehead config show` which values
# count and where each of them comes from. This sample is the output of `treehead config sample`.
#
# Each setting can also be given as a flag or in the environment; both names stand beside it.
# Precedence: flag, environment variable, this file, default. An empty variable counts as not set
# where that opens nothing, and is refused otherwise. Unknown keys are refused.
#
# A line `#key = value` shows a setting that is switched off. It shows the default, or an example
# where there is no default.
";

/// Columns of the sample file.
const SAMPLE_WIDTH: usize = 100;

/// `treehead config sample`: prints the sample file.
pub(crate) fn sample() -> Outcome<()> {
    print(sample_text()?.trim_end())
}

/// Returns the sample file.
pub(super) fn sample_text() -> Outcome<String> {
    let defaults = values(&Config::default())?;
    let mut text = SAMPLE_HEAD.to_owned();
    for (table, heading) in TABLES {
        // Writing to a text cannot fail.
        let _ = write!(text, "\n# ---- {heading}\n\n[{table}]\n");
        for setting in of_table(table) {
            let default = setting.value(&defaults).map(ToString::to_string);
            let shown = default.unwrap_or_else(|| setting.example.unwrap_or_default().to_owned());
            let _ = write!(text, "\n{}", comment(setting.text));
            let _ = writeln!(text, "# --{}, {}", setting.flag, setting.variable());
            let _ = writeln!(text, "#{} = {shown}", setting.key);
        }
    }
    Ok(text)
}

/// Breaks a paragraph into the lines of a comment.
fn comment(paragraph: &str) -> String {
    let (mut text, mut line) = (String::new(), "#".to_owned());
    for word in paragraph.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > SAMPLE_WIDTH {
            text = text + &line + "\n";
            line = "#".to_owned();
        }
        line = line + " " + word;
    }
    text + &line + "\n"
}

/// `treehead config show`: prints every value and where it comes from, as a file that may be read
/// with `--config` where no password is masked.
pub(crate) fn show(config: &Config) -> Outcome<()> {
    let values = values(config)?;
    let mut text = String::new();
    for (table, _) in TABLES {
        let _ = writeln!(text, "[{table}]");
        for setting in of_table(table) {
            let source = source(config, setting);
            let _ = match setting.value(&values) {
                Some(value) => writeln!(
                    text,
                    "{} = {}  # {source}",
                    setting.key,
                    masked(config, setting, value)
                ),
                None => writeln!(text, "#{} is not set", setting.key),
            };
        }
        text.push('\n');
    }
    for warning in &config.warnings {
        let _ = writeln!(text, "# warning: {warning}");
    }
    print(text.trim_end())
}

/// Returns the values of a configuration in a table by flags.
fn values(config: &Config) -> Outcome<Table> {
    Table::try_from(config).explain(FailureKind::Other, "settings")
}

/// Hides the password of the database's URL, and the parameters, which may hold one.
fn masked(config: &Config, setting: &Setting, value: &Value) -> String {
    match &config.database {
        Some(url) if setting.flag == "database" => Value::String(url.to_string()).to_string(),
        _ => value.to_string(),
    }
}

fn source(config: &Config, setting: &Setting) -> String {
    match config.sources.get(setting.flag) {
        None => "default".to_owned(),
        Some(Source::Flag(flag)) => format!("flag {flag}"),
        Some(Source::Variable(name)) => format!("environment variable {name}"),
        Some(Source::File {
            path,
            line: Some(line),
            ..
        }) => format!("{} line {line}", path.display()),
        Some(Source::File {
            path, line: None, ..
        }) => path.display().to_string(),
    }
}
