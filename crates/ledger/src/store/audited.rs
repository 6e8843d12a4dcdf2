//! Rows as fsck reads them: a value that cannot be decoded is a finding, and the rest of its row is
//! still compared.

use std::fmt;

use super::error::{StoreError, StoreResult};

/// A row and those of its values that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited<T> {
    /// The row. Values that cannot be decoded are empty or zero.
    pub row: T,
    /// Those values.
    pub unreadable: Vec<Unreadable>,
}

/// A stored value that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its table.
    pub table: &'static str,
    /// Its column.
    pub column: &'static str,
    /// Why it cannot be decoded.
    pub fault: String,
}

impl Unreadable {
    /// Returns the finding of fsck. `row` names the row.
    pub fn finding(&self, row: impl fmt::Display) -> String {
        let Self {
            table,
            column,
            fault,
        } = self;
        format!("table {table}: column {column} of {row} cannot be read: {fault}")
    }
}

impl<T> Audited<T> {
    /// Returns a row whose values were all decoded.
    pub fn whole(row: T) -> Self {
        Self {
            row,
            unreadable: Vec::new(),
        }
    }

    /// Returns the row, or the error of the first value that cannot be decoded.
    pub fn strictly(self) -> StoreResult<T> {
        match self.unreadable.into_iter().next() {
            None => Ok(self.row),
            Some(Unreadable { table, fault, .. }) => {
                Err(StoreError::Damaged(format!("table {table}: {fault}")))
            }
        }
    }
}

/// The values of a table's row that could not be decoded so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Unreadable>);

impl Faults {
    /// Returns the value, or notes that the column cannot be decoded and returns `instead`.
    pub(crate) fn or<T>(
        &mut self,
        (table, column): (&'static str, &'static str),
        value: StoreResult<T>,
        instead: T,
    ) -> T {
        match value {
            Ok(value) => value,
            Err(error) => {
                let fault = match error {
                    StoreError::Damaged(fault) => fault,
                    other => other.to_string(),
                };
                self.0.push(Unreadable {
                    table,
                    column,
                    fault,
                });
                instead
            }
        }
    }

    /// Returns a text, whose invalid bytes are replaced and noted.
    pub(crate) fn text(&mut self, of: (&'static str, &'static str), bytes: Vec<u8>) -> String {
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let (table, column) = of;
                let fault = StoreError::Damaged(format!("{table}.{column} is no UTF-8"));
                self.or(of, Err(fault), shown)
            }
        }
    }

    /// Adds those of a part of the row.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Returns the row with what was noted.
    pub(crate) fn of<T>(self, row: T) -> Audited<T> {
        Audited {
            row,
            unreadable: self.0,
        }
    }
}
