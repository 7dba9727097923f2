//! What names and types suggest: the key, how changes are found, and what is personal.

use crate::column::{Column, ColumnType, Mode};

/// Names of columns, most telling first. Those that end so come after those that are so.
const CHANGED: [&str; 10] = [
    "updated_at",
    "modified_at",
    "changed_at",
    "last_updated_at",
    "last_modified",
    "date_modified",
    "updated",
    "modified",
    "_updated_at",
    "last_update",
];
const CREATED: [&str; 8] =
    ["created_at", "inserted_at", "recorded_at", "occurred_at", "event_time", "timestamp", "created", "ordered_at"];
const LOG_TIME: [&str; 3] = ["changed_at", "change_time", "committed_at"];
const LOG_SEQUENCE: [&str; 5] = ["change_sequence", "sequence", "change_id", "sequence_number", "lsn"];
const LOG_OPERATION: [&str; 4] = ["operation", "change_type", "op", "dml_type"];

/// Parts of the names of columns that usually hold personal data.
const PERSONAL: [&str; 14] = [
    "email",
    "e_mail",
    "phone",
    "mobile",
    "first_name",
    "last_name",
    "full_name",
    "surname",
    "birth",
    "street",
    "address",
    "iban",
    "passport",
    "ssn",
];

/// What is proposed, beyond columns.
pub(super) struct Guess {
    key: Vec<String>,
    /// Whether the source declares the key.
    is_declared: bool,
    changes: Changes,
}

enum Changes {
    Log { changed_at: String, sequence: String, operation: String },
    Cursor { column: String, is_creation: bool },
    Whole,
}

impl Guess {
    pub(super) fn of(table: &str, columns: &[Column], declared: &[String]) -> Self {
        let known = |name: &String| columns.iter().any(|column| column.name.as_str() == name && can_be_key(column));
        let is_declared = !declared.is_empty() && declared.iter().all(known);
        let key = if is_declared { declared.to_vec() } else { key(table, columns) };
        let changes = log(columns).filter(|_| !key.is_empty()).or_else(|| cursor(columns)).unwrap_or(Changes::Whole);
        Self { key, is_declared, changes }
    }

    /// The column with the time of a change.
    pub(super) fn time_column(self) -> Option<String> {
        match self.changes {
            Changes::Log { changed_at, .. } => Some(changed_at),
            Changes::Cursor { column, .. } => Some(column),
            Changes::Whole => None,
        }
    }

    /// Lines of the entry, between the relation and the columns.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match (&*self.key, self.is_declared) {
            ([], _) => lines.push("# No key was found. With `key: [...]`, the columns that identify a row, `bgp diff` compares row by row.".to_owned()),
            (_, true) => lines.push(format!("key: [{}] # the primary key in the source", self.key.join(", "))),
            (_, false) => lines.push(format!("key: [{}] # a guess, by the name: the source declares no primary key", self.key.join(", "))),
        }
        let granularity = match &self.changes {
            Changes::Log { changed_at, sequence, operation } => {
                lines.push(
                    "# A guess, by the names: the table keeps a row for every change. If it does not, use a cursor."
                        .to_owned(),
                );
                lines.push(format!("log: {{changed_at: {changed_at}, sequence: {sequence}, operation: {operation}}}"));
                "day # a guess: hour, day, week, month or all"
            }
            Changes::Cursor { column, is_creation } => {
                let warning = if *is_creation { " Rows that change later are not found by it." } else { "" };
                lines.push(format!("# A guess, by the name: the column that says to which partition a row belongs; never NULL.{warning}"));
                lines.push(format!("cursor: {{column: {column}}}"));
                "day # a guess: hour, day, week, month or all"
            }
            Changes::Whole => {
                lines.push(
                    "# No column with the time of a change was found, so the table is read whole in every run."
                        .to_owned(),
                );
                "all"
            }
        };
        match granularity.split_once(" # ") {
            Some((word, comment)) => lines.push(format!("partition: {{granularity: {word}}} # {comment}")),
            None => lines.push(format!("partition: {{granularity: {granularity}}}")),
        }
        lines
    }
}

fn can_be_key(column: &Column) -> bool {
    let is_exact = !matches!(
        column.column_type,
        ColumnType::Float | ColumnType::Json | ColumnType::Geography | ColumnType::Record(_)
    );
    is_exact && column.mode != Mode::Repeated
}

/// `id`, or the name of the table in the singular with `_id`, or whatever else is called `..._id` and comes first.
fn key(table: &str, columns: &[Column]) -> Vec<String> {
    let table = table.strip_prefix("raw_").unwrap_or(table).to_lowercase();
    let singular = match (table.strip_suffix("ies"), table.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => table.clone(),
    };
    let wanted = [
        format!("{singular}_id"),
        format!("{table}_id"),
        "id".to_owned(),
        "uuid".to_owned(),
        format!("{singular}_key"),
    ];
    let usable: Vec<&Column> = columns.iter().filter(|column| can_be_key(column)).collect();
    let named = |name: &String| usable.iter().find(|column| column.name.as_str().eq_ignore_ascii_case(name));
    let first = usable.first().filter(|column| column.name.as_str().to_lowercase().ends_with("_id"));
    wanted.iter().find_map(named).or(first).map(|column| vec![column.name.to_string()]).unwrap_or_default()
}

fn log(columns: &[Column]) -> Option<Changes> {
    let one = |names: &[&str], fits: fn(&ColumnType) -> bool| {
        names.iter().find_map(|name| {
            let is_it = |column: &&Column| column.name.as_str().eq_ignore_ascii_case(name) && fits(&column.column_type);
            columns.iter().find(is_it).map(|column| column.name.to_string())
        })
    };
    let is_time = |found: &ColumnType| matches!(found, ColumnType::Timestamp | ColumnType::Datetime);
    Some(Changes::Log {
        changed_at: one(&LOG_TIME, is_time)?,
        sequence: one(&LOG_SEQUENCE, |found| *found == ColumnType::Integer)?,
        operation: one(&LOG_OPERATION, |found| *found == ColumnType::String)?,
    })
}

fn cursor(columns: &[Column]) -> Option<Changes> {
    let usable: Vec<&Column> = columns
        .iter()
        .filter(|column| {
            column.mode != Mode::Repeated
                && matches!(column.column_type, ColumnType::Timestamp | ColumnType::Datetime | ColumnType::Date)
        })
        .collect();
    let lower = |column: &Column| column.name.as_str().to_lowercase();
    let named = |names: &[&str]| {
        names.iter().find_map(|name| {
            usable.iter().find(|column| lower(column) == *name || lower(column).ends_with(&format!("_{name}")))
        })
    };
    let by_ending = || {
        usable
            .iter()
            .find(|column| ["_at", "_time", "_ts", "_date", "_on"].iter().any(|end| lower(column).ends_with(end)))
    };
    let found = |column: &&Column, is_creation| Changes::Cursor { column: column.name.to_string(), is_creation };
    named(&CHANGED)
        .map(|column| found(column, false))
        .or_else(|| named(&CREATED).or_else(by_ending).map(|column| found(column, true)))
}

/// Masks rather too much: a name that says a part of these words.
pub(super) fn is_personal(name: &str) -> bool {
    let name = name.to_lowercase();
    PERSONAL.iter().any(|part| name.contains(part))
}
