//! Reading the YAML tree as typed values: every refusal is noted with its line and key path, and reading goes on, so
//! that one pass finds all mistakes of a file.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;

use indexmap::IndexMap;
use jiff::civil::Date;
use wap::{Identifier, InvalidName};

use crate::error::Problem;
use crate::names::{Word, accepted, quoted};
use crate::yaml::{Node, Value};

/// The mistakes found so far in one file.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: RefCell<Vec<Problem>>,
}

/// A value and where it stands. Reading methods return `None` after they noted what is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    node: &'a Node,
    /// The line of its key, or of the item of a list.
    line: u64,
    path: String,
    problems: &'a Problems,
}

/// A mapping with known keys; [`Fields::finish`] refuses the others.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    place: Place<'a>,
    entries: IndexMap<&'a str, Place<'a>>,
    asked: Vec<&'static str>,
}

impl Problems {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: RefCell::new(Vec::new()) }
    }

    pub(crate) fn add(&self, line: u64, key: &str, message: String) {
        self.found.borrow_mut().push(Problem { file: self.file.clone(), line, key: key.to_owned(), message });
    }

    /// All mistakes, in the order of the file.
    pub(crate) fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| problem.line);
        found
    }
}

impl<'a> Place<'a> {
    pub(crate) fn root(node: &'a Node, problems: &'a Problems) -> Self {
        Self { node, line: node.line, path: String::new(), problems }
    }

    /// Notes a mistake here.
    pub(crate) fn refuse(&self, message: impl Into<String>) {
        self.problems.add(self.line, &self.path, message.into());
    }

    fn refuse_type<T>(&self, expected: &str) -> Option<T> {
        self.refuse(format!("{} is not {expected}", self.described()));
        None
    }

    fn described(&self) -> String {
        match &self.node.value {
            Value::Null => "an empty value".to_owned(),
            Value::Boolean(boolean) => boolean.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => quoted(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Text, not empty.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text),
            Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => {
                self.refuse_type("text; put it in quotes if it is meant as text")
            }
            _ => self.refuse_type("text"),
        }
    }

    /// The text, if it is one: for values that no message may repeat.
    pub(crate) fn text_as_it_is(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    pub(crate) fn owned_text(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// A folder, file or prefix: harmless between the quotes of a statement, and never outside where it belongs.
    pub(crate) fn path(&self) -> Option<String> {
        let text = self.text()?;
        let harmless = |character: char| !character.is_control() && !"'\"`\\".contains(character);
        if text.chars().all(harmless) && !text.split('/').any(|part| part == "..") {
            Some(text.to_owned())
        } else {
            self.refuse_type("a path; it may hold no quotes, backslashes, control characters or `..`")
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.node.value {
            Value::Boolean(boolean) => Some(boolean),
            _ => self.refuse_type("a boolean; accepted: true, false"),
        }
    }

    /// A whole number within bounds.
    pub(crate) fn integer<T>(&self, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let number = match self.node.value {
            Value::Integer(number) => T::try_from(number).ok(),
            _ => None,
        };
        number
            .filter(|number| bounds.contains(number))
            .or_else(|| self.refuse_type(&format!("a whole number from {} to {}", bounds.start(), bounds.end())))
    }

    /// A number above zero, up to `most`.
    pub(crate) fn positive(&self, most: f64) -> Option<f64> {
        let number = match self.node.value {
            // Integers beyond 2^53 are above every bound anyway.
            #[expect(clippy::cast_precision_loss)]
            Value::Integer(number) => Some(number as f64),
            Value::Number(number) => Some(number),
            _ => None,
        };
        number
            .filter(|number| *number > 0.0 && *number <= most)
            .or_else(|| self.refuse_type(&format!("a number above 0, at most {most}")))
    }

    /// A number of bytes, such as `268435456` or `256MiB`.
    pub(crate) fn bytes(&self, bounds: RangeInclusive<u64>) -> Option<u64> {
        let number = match &self.node.value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::Text(text) => bytes(text),
            _ => None,
        };
        number.filter(|number| bounds.contains(number)).or_else(|| {
            self.refuse_type(&format!(
                "a number of bytes from {} to {}, written as 268435456 or 256MiB (KiB, MiB, GiB, TiB)",
                written(*bounds.start()),
                written(*bounds.end())
            ))
        })
    }

    pub(crate) fn date(&self) -> Option<Date> {
        let date = match &self.node.value {
            // The length rules out times and signed years, which the parser of dates would accept.
            Value::Text(text) if text.len() == "2025-08-01".len() => text.parse().ok(),
            _ => None,
        };
        date.or_else(|| self.refuse_type("a date of the calendar, written YYYY-MM-DD"))
    }

    pub(crate) fn identifier(&self) -> Option<Identifier> {
        self.identifier_from(self.text()?)
    }

    fn identifier_from(&self, text: &str) -> Option<Identifier> {
        let refuse = |error: InvalidName| {
            self.refuse(format!("{} is not an identifier; accepted: {}", quoted(text), error.expected));
        };
        Identifier::new(text).map_err(refuse).ok()
    }

    /// One of the words of `T`.
    pub(crate) fn word<T: Word>(&self) -> Option<T> {
        let text = self.text()?;
        T::from_word(text).or_else(|| {
            let words = T::ALL.iter().map(|(word, _)| *word);
            self.refuse(format!("{} is not a {}{}", quoted(text), T::KIND, accepted(text, words)));
            None
        })
    }

    /// A name that must be among `names`, whose kind is called `kind`.
    pub(crate) fn known(&self, kind: &str, names: &[Identifier]) -> Option<Identifier> {
        self.known_name(self.text()?, kind, names)
    }

    /// As [`Place::known`], for a name that does not stand in the value.
    pub(crate) fn known_name(&self, text: &str, kind: &str, names: &[Identifier]) -> Option<Identifier> {
        names.iter().find(|name| name.as_str() == text).cloned().or_else(|| {
            let hint = accepted(text, names.iter().map(Identifier::as_str));
            self.refuse(format!("{} is not a {kind}{hint}", quoted(text)));
            None
        })
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<Vec<Place<'a>>> {
        let Value::List(nodes) = &self.node.value else {
            return self.refuse_type("a list");
        };
        let item = |(index, node)| Self {
            node,
            line: node.line,
            path: format!("{}[{index}]", self.path),
            problems: self.problems,
        };
        Some(nodes.iter().enumerate().map(item).collect())
    }

    /// The items of a list that `read` accepts; the others are noted.
    pub(crate) fn list<T>(&self, read: impl FnMut(Place<'a>) -> Option<T>) -> Option<Vec<T>> {
        Some(self.items()?.into_iter().filter_map(read).collect())
    }

    /// The entries of a mapping whose keys are free.
    pub(crate) fn entries(&self) -> Option<Vec<(&'a str, Place<'a>)>> {
        let Value::Map(entries) = &self.node.value else {
            return self.refuse_type("a mapping");
        };
        let mut places: IndexMap<&str, Place<'a>> = IndexMap::new();
        for entry in entries {
            let place =
                Self { node: &entry.node, line: entry.line, path: self.below(&entry.key), problems: self.problems };
            if let Some(first) = places.get(entry.key.as_str()) {
                place.refuse(format!("the key is already on line {}; a key may come once", first.line));
            } else {
                places.insert(&entry.key, place);
            }
        }
        Some(places.into_iter().collect())
    }

    /// The entries of a mapping whose keys are identifiers.
    pub(crate) fn named_entries(&self) -> Option<Vec<(Identifier, Place<'a>)>> {
        let named = |(key, place): (&str, Place<'a>)| Some((place.identifier_from(key)?, place));
        Some(self.entries()?.into_iter().filter_map(named).collect())
    }

    /// A mapping with known keys.
    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        let entries = self.entries()?.into_iter().collect();
        Some(Fields { place: self.clone(), entries, asked: Vec::new() })
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Any value, as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        json_of(self.node)
    }
}

impl<'a> Fields<'a> {
    /// The mapping itself, to note a mistake that concerns several keys.
    pub(crate) fn place(&self) -> &Place<'a> {
        &self.place
    }

    /// The value of a key, if the file has one.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Place<'a>> {
        self.asked.push(key);
        self.entries.get(key).filter(|place| !matches!(place.node.value, Value::Null)).cloned()
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T>(&mut self, key: &'static str, read: impl FnOnce(&Place<'a>) -> Option<T>) -> Option<T> {
        let Some(place) = self.get(key) else {
            self.place.refuse(format!("the key `{key}` is missing"));
            return None;
        };
        read(&place)
    }

    /// The value of a key that may be absent.
    pub(crate) fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(&Place<'a>) -> Option<T>) -> Option<T> {
        read(&self.get(key)?)
    }

    /// The mapping under a key; an empty one where the file has none.
    pub(crate) fn section(&mut self, key: &'static str) -> Fields<'a> {
        let absent = |place: &Place<'a>| Fields {
            place: Place { path: place.below(key), ..place.clone() },
            entries: IndexMap::new(),
            asked: Vec::new(),
        };
        self.optional(key, Place::fields).unwrap_or_else(|| absent(&self.place))
    }

    /// Refuses every key that was not asked for.
    pub(crate) fn finish(self) {
        for (key, place) in &self.entries {
            if !self.asked.contains(key) {
                place.refuse(format!("unknown key{}", accepted(key, self.asked.iter().copied())));
            }
        }
    }
}

fn json_of(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(boolean) => (*boolean).into(),
        // JSON's numbers end at 64 bits; the text keeps the digits of larger ones.
        Value::Integer(number) => i64::try_from(*number).map_or_else(|_| number.to_string().into(), Into::into),
        Value::Number(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.node))).collect(),
    }
}

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

fn bytes(text: &str) -> Option<u64> {
    let (digits, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor))).unwrap_or((text, 1));
    digits.trim_end().parse::<u64>().ok()?.checked_mul(factor)
}

fn written(bytes: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| bytes.to_string(), |(unit, factor)| format!("{}{unit}", bytes / factor))
}
