//! One setting: its flag, its environment variable, its key in the file and its paragraph in the
//! sample file.

use clap::builder::{
    BoolValueParser, NonEmptyStringValueParser, PossibleValuesParser, RangedI64ValueParser,
    StringValueParser, TypedValueParser, ValueParser,
};
use toml::Value;

use super::bytes::Bytes;
use crate::listen::ListenAddress;

/// The definition of a setting. Its default is the value of its field in
/// [`super::Config::default`].
#[derive(Debug)]
pub(crate) struct Setting {
    /// The table of the file.
    pub table: &'static str,
    /// The key within that table.
    pub key: &'static str,
    /// The flag without its dashes. It names the setting inside the program as well.
    pub flag: &'static str,
    /// The form of its values.
    pub kind: Kind,
    /// One line for `--help`.
    pub help: &'static str,
    /// The paragraph in the sample file.
    pub text: &'static str,
    /// The value that the sample file shows where there is no default, as TOML.
    pub example: Option<&'static str>,
    /// The meaning of an empty environment variable.
    pub empty: Empty,
}

/// The meaning of a variable that is set and empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// The variable counts as not set: the value of the file or the default, which takes its place,
    /// opens nothing.
    Unset,
    /// The variable is refused: whoever empties it may mean to close what the default leaves open,
    /// and without its database or data folder a second log would be made.
    Refused,
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A text; the placeholder in the help.
    Text(&'static str),
    /// The path of a file.
    File,
    /// The path of a folder.
    Folder,
    /// Host and port.
    Address,
    /// A number of bytes.
    Size,
    /// A whole number; the placeholder in the help.
    Number(&'static str),
    /// True or false; the flag alone means true.
    Switch,
    /// A list of texts, on the command line separated by commas; the placeholder in the help.
    List(&'static str),
    /// One of these words; the placeholder in the help comes first.
    Word(&'static str, &'static [&'static str]),
}

impl Setting {
    /// Defines a setting without an example, whose empty variable is refused.
    pub(super) const fn new(
        table: &'static str,
        key: &'static str,
        flag: &'static str,
        kind: Kind,
    ) -> Self {
        Self {
            table,
            key,
            flag,
            kind,
            help: "",
            text: "",
            example: None,
            empty: Empty::Refused,
        }
    }

    /// Sets the line of `--help`.
    pub(super) const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// Sets the paragraph in the sample file.
    pub(super) const fn text(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// Sets the value that the sample file shows.
    pub(super) const fn example(self, example: &'static str) -> Self {
        Self {
            example: Some(example),
            ..self
        }
    }

    /// Treats an empty variable as not set.
    pub(super) const fn empty_is_unset(self) -> Self {
        Self {
            empty: Empty::Unset,
            ..self
        }
    }

    /// Returns its name in the file, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.table, self.key)
    }

    /// Returns the environment variable.
    pub(crate) fn variable(&self) -> String {
        variable_of(self.flag)
    }

    /// Returns the value of this setting in a table by flags, if it has one.
    pub(super) fn value<'a>(&self, settings: &'a toml::Table) -> Option<&'a Value> {
        match self.flag.split_once('.') {
            Some((table, key)) => settings.get(table)?.get(key),
            None => settings.get(self.flag),
        }
    }

    /// Puts a value of this setting into a table by flags.
    pub(crate) fn put(&self, settings: &mut toml::Table, value: Value) {
        let Some((table, key)) = self.flag.split_once('.') else {
            settings.insert(self.flag.to_owned(), value);
            return;
        };
        let inner = settings
            .entry(table)
            .or_insert_with(|| Value::Table(toml::Table::new()));
        if let Value::Table(inner) = inner {
            inner.insert(key.to_owned(), value);
        }
    }

    /// Defines the flag. Its values are TOML values.
    pub(crate) fn arg(&self) -> clap::Arg {
        let arg = clap::Arg::new(self.flag)
            .long(self.flag)
            .env(self.variable())
            .help(self.help);
        let arg = arg
            .value_name(self.kind.placeholder())
            .value_parser(self.kind.parser());
        // A URL may hold a password.
        let arg = arg.hide_env_values(matches!(self.kind, Kind::Text("URL")));
        match self.kind {
            Kind::Switch => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
            Kind::List(_) => arg.value_delimiter(',').action(clap::ArgAction::Append),
            _ => arg,
        }
    }
}

/// Returns the environment variable of a flag.
pub(super) fn variable_of(flag: &str) -> String {
    let name = flag.to_uppercase().replace(['-', '.'], "_");
    format!("TREEHEAD_{name}")
}

impl Kind {
    /// Returns the value of a setting from the values of its flag.
    pub(crate) fn joined(self, mut values: Vec<Value>) -> Option<Value> {
        match self {
            Self::List(_) => Some(Value::Array(values)),
            _ => values.pop(),
        }
    }

    fn placeholder(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Number(name) | Self::List(name) | Self::Word(name, _) => name,
            Self::File => "FILE",
            Self::Folder => "FOLDER",
            Self::Address => "ADDRESS",
            Self::Size => "SIZE",
            Self::Switch => "BOOL",
        }
    }

    fn parser(self) -> ValueParser {
        let text = StringValueParser::new();
        match self {
            Self::Text(_) | Self::List(_) => ValueParser::new(text.map(Value::String)),
            Self::File | Self::Folder => {
                ValueParser::new(NonEmptyStringValueParser::new().map(Value::String))
            }
            Self::Address => ValueParser::new(
                text.try_map(|text| text.parse::<ListenAddress>().map(|_| Value::String(text))),
            ),
            Self::Size => ValueParser::new(
                text.try_map(|text| text.parse::<Bytes>().map(|_| Value::String(text))),
            ),
            Self::Number(_) => ValueParser::new(
                RangedI64ValueParser::<i64>::new()
                    .range(0..)
                    .map(Value::Integer),
            ),
            Self::Switch => ValueParser::new(BoolValueParser::new().map(Value::Boolean)),
            Self::Word(_, words) => ValueParser::new(
                PossibleValuesParser::new(words.iter().copied()).map(Value::String),
            ),
        }
    }
}
