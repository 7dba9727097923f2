use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Kind, Node, Source};

/// How a model kept as `touched` finds the units (business dates or keys) that must be computed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// An expression over the model's own columns.
    pub unit: String,
    /// What the model reads row by row: a change of a row touches the row's unit.
    pub rows: Vec<Rows>,
    /// Histories that the model looks up as of a fact's time.
    pub as_of: Vec<AsOf>,
    /// What the model reads in any other way: a change rebuilds the model. Ids of nodes and sources.
    pub whole: Vec<String>,
}

/// Something read row by row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// Id of the node or source.
    pub id: String,
    /// The unit as an expression over its columns.
    pub unit: String,
}

/// A history looked up as of a fact's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AsOf {
    /// Id of the history.
    pub history: String,
    /// Id of the facts, which stand in `rows` too.
    pub facts: String,
    /// The column of both that joins them.
    pub key: String,
    /// The facts' time.
    pub at: String,
}

/// The configuration as a model writes it, by name.
#[derive(Deserialize)]
struct Written {
    unit: String,
    #[serde(default)]
    rows: Vec<WrittenRows>,
    #[serde(default)]
    as_of: Vec<WrittenAsOf>,
    #[serde(default)]
    whole: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenRows {
    Name(String),
    WithUnit {
        #[serde(rename = "ref")]
        name: String,
        unit: Option<String>,
    },
}

#[derive(Deserialize)]
struct WrittenAsOf {
    history: String,
    facts: String,
    key: String,
    at: String,
}

impl Touched {
    /// Reads a model's configuration and finds its names among the model's parents.
    pub(crate) fn read(
        node: &Node,
        config: &serde_json::Map<String, Value>,
        names: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let id = &node.id;
        let written: Written = serde_json::from_value(Value::Object(config.clone())).map_err(|error| {
            Error::Rejected(format!("{id} is touched, but its configuration can't be read: {error}"))
        })?;
        let find = |name: &String| {
            names.get(name).cloned().ok_or_else(|| {
                let known: Vec<&str> = names.keys().map(String::as_str).collect();
                Error::Rejected(format!("{id} names {name}, which it does not read; it reads {}", known.join(", ")))
            })
        };
        let rows = written.rows.into_iter().map(|entry| {
            let (name, unit) = match entry {
                WrittenRows::Name(name) => (name, None),
                WrittenRows::WithUnit { name, unit } => (name, unit),
            };
            Ok(Rows { id: find(&name)?, unit: unit.unwrap_or_else(|| written.unit.clone()) })
        });
        let as_of = written.as_of.into_iter().map(|entry| {
            Ok(AsOf { history: find(&entry.history)?, facts: find(&entry.facts)?, key: entry.key, at: entry.at })
        });
        Ok(Self {
            rows: rows.collect::<Result<_, Error>>()?,
            as_of: as_of.collect::<Result<_, Error>>()?,
            whole: written.whole.iter().map(find).collect::<Result<_, _>>()?,
            unit: written.unit,
        })
    }

    /// Refuses what could not be followed: a parent that stands in no list, changes of a parent that keeps none.
    pub(crate) fn check(
        &self,
        node: &Node,
        nodes: &BTreeMap<String, Node>,
        sources: &BTreeMap<String, Source>,
    ) -> Result<(), Error> {
        let id = &node.id;
        let followed = self.rows.iter().map(|entry| &entry.id).chain(self.as_of.iter().map(|entry| &entry.history));
        let followed: BTreeSet<&String> = followed.collect();
        for parent in &node.parents {
            if !followed.contains(parent) && !self.whole.contains(parent) {
                return Err(Error::Rejected(format!(
                    "{id} is touched and reads {parent}, which stands in none of its lists; add it to rows, as_of or whole"
                )));
            }
        }
        for parent in followed {
            let keeps_changes =
                nodes.get(parent).is_some_and(|parent| matches!(parent.materialized.as_str(), "touched" | "rowwise"))
                    || sources.contains_key(parent);
            if !keeps_changes {
                return Err(Error::Rejected(format!(
                    "{id} follows the rows of {parent}, which keeps no changes; make that touched or rowwise, or name it in whole"
                )));
            }
        }
        if let Some(entry) = self.as_of.iter().find(|entry| !self.rows.iter().any(|rows| rows.id == entry.facts)) {
            return Err(Error::Rejected(format!(
                "{id} looks up {} as of {}, which does not stand in its rows; add it there",
                entry.history, entry.facts
            )));
        }
        Ok(())
    }
}

/// Refuses a rowwise view whose changes can't be the same view of its parent's changes.
pub(crate) fn check_rowwise(node: &Node) -> Result<(), Error> {
    if node.kind == Kind::Model && node.parents.len() == 1 {
        return Ok(());
    }
    Err(Error::Rejected(format!(
        "{} is rowwise and reads {} relations; a rowwise view reads exactly one",
        node.id,
        node.parents.len()
    )))
}
