//! The configuration: flags override environment variables, these override the file, and the file
//! overrides the defaults.

mod bytes;
mod check;
mod derived;
mod fields;
mod file;
mod layers;
mod refusal;
mod replaced;
mod setting;
mod settings;
mod show;
mod source;
mod tables;
mod values;

pub(crate) use check::check_file;
pub(crate) use derived::NewLogs;
pub(crate) use fields::Config;
pub(crate) use layers::{Given, read_small};
pub(crate) use replaced::refused_setting;
pub(crate) use setting::{Empty, Setting};
pub(crate) use settings::SETTINGS;
pub(crate) use show::{sample, show};
pub(crate) use source::Source;
pub(crate) use tables::{TABLES, by_flag, of_table};
pub(crate) use values::LogFormat;

#[cfg(test)]
mod tests;
