//! Tables and JSON on standard output.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)?;
    print(&text)
}

/// Prints a text and a line end. A reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints rows under a heading; columns of numbers are aligned to the right.
pub(crate) fn table(columns: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(columns.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        let is_number = |row: &Vec<String>| {
            row.get(index).is_none_or(|cell| {
                cell.is_empty() || cell.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            })
        };
        let is_date = |row: &Vec<String>| row.get(index).is_some_and(|cell| cell.matches('-').count() > 1);
        if !rows.is_empty() && rows.iter().all(is_number) && !rows.iter().any(is_date) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    print(&table.trim_fmt())
}

/// A JSON value as a cell.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A name and a text beside it, in as many lines of at most a hundred columns as it takes.
pub(crate) fn folded(name: &str, text: &str) -> String {
    const INDENT: usize = 10;
    const COLUMNS: usize = 100;
    let mut lines = vec![format!("{name:<INDENT$}")];
    for word in text.split_whitespace() {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > INDENT && length + 1 + word.chars().count() > COLUMNS {
            lines.push(" ".repeat(INDENT));
        }
        if let Some(line) = lines.last_mut() {
            if line.chars().count() > INDENT {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_folded_at_the_hundredth_column() {
        let text = folded("audit", &"word ".repeat(60));
        assert!(text.lines().count() == 4 && text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_eq!(text.split_whitespace().count(), 61);
        assert!(text.lines().skip(1).all(|line| line.starts_with("          word")), "{text}");
    }
}
