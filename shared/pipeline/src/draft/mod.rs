//! A first version of a table's entry in the pipeline file, from what its source says of it.
//!
//! What the source does not say is guessed from names and types, and marked as a guess: whoever knows the table has less to write
//! and has to look once.

mod append;
mod guess;

use wap::Identifier;

use crate::column::{Column, ColumnType, Mode};
use guess::Guess;

pub use append::append;

/// A table as its source describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDraft {
    /// What it is to be called.
    pub name: Identifier,
    pub source: Identifier,
    /// What it is called in the source, where that differs.
    pub relation: Option<String>,
    /// In the order of the source.
    pub columns: Vec<DraftColumn>,
    /// The columns of its primary key; empty where the source declares none.
    pub key: Vec<String>,
}

/// A column of a source, as far as there is a type for it.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftColumn {
    pub name: String,
    /// The type in the source's words.
    pub source_type: String,
    /// The type and mode here, or what to write in the table's query instead.
    pub mapped: Result<(ColumnType, Mode), String>,
}

/// The text of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: Identifier,
    /// YAML, without indentation; its first line is the table's name.
    pub text: String,
    /// Columns that are left out, each with the reason and what to do.
    pub unmapped: Vec<String>,
}

impl TableDraft {
    /// The entry that is proposed.
    pub fn entry(&self) -> Entry {
        let mut columns = Vec::new();
        let mut unmapped = Vec::new();
        for column in &self.columns {
            match self.column(column) {
                Ok(column) => columns.push(column),
                Err(reason) => unmapped.push(format!("{} ({}): {reason}", column.name, column.source_type)),
            }
        }
        let guess = Guess::of(self.name.as_str(), &columns, &self.key);
        let mut lines = vec![format!("{}:", self.name), format!("  source: {}", self.source)];
        if let Some(relation) = &self.relation {
            lines.push(format!("  relation: {relation}"));
        }
        lines.extend(guess.lines().into_iter().map(|line| format!("  {line}")));
        if columns.iter().any(|column| column.personal) {
            lines.push(
                "  # Which columns are personal is a guess, by their names. They are masked wherever rows are shown."
                    .to_owned(),
            );
        }
        lines.push("  columns:".to_owned());
        for column in &columns {
            column_lines(column, 4, &mut lines);
        }
        for reason in &unmapped {
            lines.push(format!("    # left out: {}", reason.replace('\n', " ")));
        }
        Entry { name: self.name.clone(), text: lines.join("\n") + "\n", unmapped }
    }

    /// The column that is proposed to say to which partition a row belongs.
    pub fn time_column(&self) -> Option<String> {
        let columns: Vec<Column> = self.columns.iter().filter_map(|column| self.column(column).ok()).collect();
        Guess::of(self.name.as_str(), &columns, &self.key).time_column()
    }

    fn column(&self, found: &DraftColumn) -> Result<Column, String> {
        let (column_type, mode) = found.mapped.clone()?;
        let name = Identifier::new(found.name.as_str()).map_err(|_| {
            format!("its name is no identifier; select \"{}\" under another name in the table's `query`", found.name)
        })?;
        if let Some(reason) = crate::read::reserved(&name) {
            return Err(format!("{reason}; select it under another name in the table's `query`"));
        }
        let is_first = |other: &&DraftColumn| other.name.eq_ignore_ascii_case(name.as_str());
        if self.columns.iter().find(is_first).is_some_and(|first| first.name != found.name) {
            return Err(
                "another column has the same name but for the case of letters; rename it in the table's `query`"
                    .to_owned(),
            );
        }
        let personal = guess::is_personal(name.as_str());
        Ok(Column { name, column_type, mode, description: None, personal, rounding: None })
    }
}

/// A column as an item of a list; records take lines of their own.
fn column_lines(column: &Column, indent: usize, lines: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    let mode = match column.mode {
        Mode::Nullable => "",
        Mode::Required => ", mode: required",
        Mode::Repeated => ", mode: repeated",
    };
    let personal = if column.personal { ", personal: true" } else { "" };
    if let ColumnType::Record(fields) = &column.column_type {
        lines.push(format!("{pad}- name: {}", column.name));
        let mut more = vec!["type: record".to_owned()];
        more.extend([mode, personal].iter().filter(|part| !part.is_empty()).map(|part| part[2..].to_owned()));
        more.push("fields:".to_owned());
        lines.extend(more.into_iter().map(|line| format!("{pad}  {line}")));
        for field in fields {
            column_lines(field, indent + 4, lines);
        }
        return;
    }
    lines.push(format!("{pad}- {{name: {}, type: {}{mode}{personal}}}", column.name, type_text(&column.column_type)));
}

/// A type as the pipeline file has it.
fn type_text(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::String => "string".to_owned(),
        ColumnType::Integer => "integer".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::Time => "time".to_owned(),
        ColumnType::Datetime => "datetime".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Numeric { precision, scale } => format!("\"numeric({precision},{scale})\""),
        ColumnType::Bignumeric { precision, scale } => format!("\"bignumeric({precision},{scale})\""),
        ColumnType::Float => "float".to_owned(),
        ColumnType::Bytes => "bytes".to_owned(),
        ColumnType::Json => "json".to_owned(),
        ColumnType::Geography => "geography".to_owned(),
        ColumnType::Record(_) => "record".to_owned(),
    }
}

impl ColumnType {
    /// The type for exact decimals of a source; none where it has more digits than both back ends.
    pub fn decimal(precision: u8, scale: u8) -> Option<Self> {
        let whole = precision.checked_sub(scale)?;
        match (precision, scale) {
            (1..=38, 0..=9) if whole <= 29 => Some(Self::Numeric { precision, scale }),
            (1..=38, 0..=38) => Some(Self::Bignumeric { precision, scale }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
