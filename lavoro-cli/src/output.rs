//! Text, tables and JSON for people and programs.

use crate::exit::{Failure, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Where results go: as text or as JSON, one document per line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Output in JSON, or as text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints `value` as JSON or, for people, what `text` makes; at once.
    pub(crate) fn print(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let text = if self.json { to_json(value)? } else { text() };
        if text.is_empty() {
            return Ok(());
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.write_all(end.as_bytes()))
            .and_then(|()| stdout.flush())
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => Failure::unheard(),
                _ => Failure::io("cannot write the output", &error),
            })
    }

    /// Prints why a command failed.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.is_silent() {
        } else if self.json {
            json_error(failure.code(), failure.message());
        } else {
            let message = printable(failure.message());
            // Nothing is left to tell it to if stderr is gone.
            let _ = writeln!(io::stderr(), "error [{}]: {message}", failure.code());
        }
    }
}

/// Prints an error as JSON.
pub(crate) fn json_error(code: &str, message: &str) {
    let error = serde_json::json!({"error": {"code": code, "message": message}});
    let _ = writeln!(io::stderr(), "{error}");
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Failure::io("cannot write the output as JSON", &error.into()))
}

/// Text that is safe on a terminal: control characters, save the ends of lines and tabs, are
/// shown and not obeyed.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// Columns, aligned: those with numbers to the right.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    numeric: Vec<bool>,
}

impl Table {
    /// A table with these headings; a `>` before one aligns its column to the right.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let numeric = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let heads = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned());
        Self { rows: vec![heads.collect()], numeric }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: &[impl AsRef<str>]) {
        self.rows.push(cells.iter().map(|cell| printable(cell.as_ref())).collect());
    }

    /// The table as text.
    pub(crate) fn render(&self) -> String {
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.numeric.len()).map(width_of).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), numeric) in row.iter().zip(&widths).zip(&self.numeric) {
                // Writing to a String cannot fail.
                let _ = if *numeric {
                    write!(line, "{cell:>width$}  ")
                } else {
                    write!(line, "{cell:<width$}  ")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["NAME", ">N"]);
        table.row(&["a", "1"]);
        table.row(&["größe", "1000"]);
        assert_eq!(table.render(), "NAME      N\na         1\ngröße  1000\n");
    }

    #[test]
    fn a_terminal_is_not_given_orders() {
        assert_eq!(printable("a\u{1b}[2Jb\tc\n"), "a\\u{1b}[2Jb\tc\n");
    }
}
