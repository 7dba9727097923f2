//! Model digests: what decides a node's content apart from the rows of the sources.
//!
//! Never compiled code and never the name of a relation: those change with the place. Text decides, that of the node and of every macro it can
//! reach. Where dbt does not say what is reached, more counts rather than less.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};
use wap::Digest;

use crate::parsed::{Parsed, RawMacro, RawNode};
use crate::{Error, Settings};

/// Packages of dbt and its adapters. Their texts are covered by their versions.
const DBT_ITSELF: [&str; 3] = ["dbt", "dbt_duckdb", "dbt_bigquery"];

/// A call like `var('name')`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// With a literal name.
    Named(String),
    /// With a name that is only known when it runs.
    Computed,
}

/// The calls of `function` in a Jinja text.
pub(crate) fn calls(text: &str, function: &str) -> Vec<Call> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices(function) {
        let is_part_of_a_word = text[..start].chars().next_back().is_some_and(is_word);
        let rest = text[start + function.len()..].trim_start();
        let Some(argument) = rest.strip_prefix('(').filter(|_| !is_part_of_a_word) else { continue };
        let argument = argument.trim_start();
        let literal = ['\'', '"'].into_iter().find_map(|quote| argument.strip_prefix(quote)?.split_once(quote));
        found.push(match literal {
            // `'a' ~ b` is computed.
            Some((name, after)) if after.trim_start().starts_with([',', ')']) => Call::Named(name.to_owned()),
            _ => Call::Computed,
        });
    }
    found
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character| !is_word(character)).filter(|word| !word.is_empty())
}

/// The part of a node's digest that is not its ancestors'.
#[derive(Serialize)]
struct Content<'a> {
    versions: &'a BTreeMap<String, String>,
    kind: &'a str,
    name: &'a str,
    code: &'a str,
    seed: Option<&'a Digest>,
    config: Value,
    /// Counts where dbt enforces it.
    contract: Option<Value>,
    test: Option<Value>,
    macros: BTreeMap<&'a str, &'a Digest>,
    vars: BTreeMap<String, Value>,
    environment: BTreeMap<String, Option<String>>,
}

/// What nodes and macros reach.
struct Reach<'a> {
    /// Digest, direct references, vars and environment variables of each macro by id.
    macros: BTreeMap<&'a str, (Digest, BTreeSet<&'a str>, Uses)>,
    /// Ids of macros outside dbt itself by name, with and without the prefix that dispatch adds.
    by_name: BTreeMap<&'a str, Vec<&'a str>>,
}

/// The vars and environment variables that a text names.
#[derive(Default, Clone)]
struct Uses {
    vars: BTreeSet<String>,
    all_vars: bool,
    environment: BTreeSet<String>,
    all_environment: bool,
}

impl Uses {
    fn of(text: &str) -> Self {
        let mut uses = Self::default();
        for call in calls(text, "var") {
            match call {
                Call::Named(name) => drop(uses.vars.insert(name)),
                Call::Computed => uses.all_vars = true,
            }
        }
        for call in calls(text, "env_var") {
            match call {
                Call::Named(name) => drop(uses.environment.insert(name)),
                Call::Computed => uses.all_environment = true,
            }
        }
        uses
    }

    fn add(&mut self, other: &Self) {
        self.vars.extend(other.vars.iter().cloned());
        self.all_vars |= other.all_vars;
        self.environment.extend(other.environment.iter().cloned());
        self.all_environment |= other.all_environment;
    }
}

/// The digest of every node's own content by id, ancestors left out.
pub(crate) fn contents(parsed: &Parsed, settings: &Settings) -> Result<BTreeMap<String, Digest>, Error> {
    let reach = Reach::new(&parsed.manifest.macros);
    let mut digests = BTreeMap::new();
    for (id, node) in &parsed.manifest.nodes {
        let content = content(id, node, parsed, settings, &reach);
        digests.insert(id.clone(), of_json(&content)?);
    }
    for (id, test) in &parsed.manifest.unit_tests {
        digests.insert(id.clone(), of_json(&(&parsed.versions, &test.name, &test.checksum))?);
    }
    Ok(digests)
}

pub(crate) fn of_json(value: &impl Serialize) -> Result<Digest, Error> {
    Digest::of_json(value).map_err(|error| Error::internal("failed to write what a digest is of", error))
}

fn content<'a>(
    id: &str,
    node: &'a RawNode,
    parsed: &'a Parsed,
    settings: &Settings,
    reach: &'a Reach<'a>,
) -> Content<'a> {
    let config = Value::Object(node.config.clone());
    // Hooks and the configuration in general may name macros and vars, too.
    let text = format!("{}\n{config}", node.raw_code);
    let materialized = node.config.get("materialized").and_then(Value::as_str).unwrap_or_default();
    let mut direct: BTreeSet<&str> = node.depends_on.macros.iter().map(String::as_str).collect();
    direct.extend(reach.named_in(&text));
    direct.extend(reach.materialization(materialized, settings.target.adapter()));
    let (macros, mut uses) = reach.closure(direct);
    uses.add(&Uses::of(&text));
    let is_enforced =
        node.config.get("contract").and_then(|contract| contract.get("enforced")) == Some(&Value::Bool(true));
    Content {
        versions: &parsed.versions,
        kind: &node.resource_type,
        name: &node.name,
        code: &node.raw_code,
        seed: parsed.seeds.get(id),
        config: canonical(config),
        contract: is_enforced.then(|| contract(&node.columns)),
        test: node.test_metadata.clone().map(canonical),
        macros,
        vars: vars(&uses, parsed, settings),
        environment: environment(&uses, settings),
    }
}

/// What of the documented columns a contract is about.
fn contract(columns: &Map<String, Value>) -> Value {
    let part = |column: &Value, name: &str| column.get(name).cloned().unwrap_or_default();
    let columns = columns.iter().map(|(name, column)| {
        Value::from(vec![Value::from(name.as_str()), part(column, "data_type"), part(column, "constraints")])
    });
    canonical(columns.collect())
}

/// Every value that one of the named vars has, on the command line or anywhere in `dbt_project.yml`.
fn vars(uses: &Uses, parsed: &Parsed, settings: &Settings) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let counts = |name: &str| (uses.all_vars || uses.vars.contains(name)) && !settings.run_vars.contains(name);
    for (name, value) in settings.vars.iter().filter(|(name, _)| counts(name)) {
        found.insert(format!("/{name}"), canonical(value.clone()));
    }
    for (package, value) in &parsed.vars {
        collect_vars(package, value, &counts, &mut found);
    }
    found
}

fn collect_vars(path: &str, value: &Value, counts: &impl Fn(&str) -> bool, found: &mut BTreeMap<String, Value>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        if counts(name) {
            found.insert(path, canonical(value.clone()));
        } else {
            collect_vars(&path, value, counts, found);
        }
    }
}

fn environment(uses: &Uses, settings: &Settings) -> BTreeMap<String, Option<String>> {
    let mut names = uses.environment.clone();
    if uses.all_environment {
        names.extend(settings.environment.keys().cloned());
    }
    names.into_iter().map(|name| (name.clone(), settings.environment.get(&name).cloned())).collect()
}

/// The value with the keys of all its objects sorted.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let sorted: BTreeMap<String, Value> =
                entries.into_iter().map(|(name, value)| (name, canonical(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(values) => values.into_iter().map(canonical).collect(),
        plain => plain,
    }
}

impl<'a> Reach<'a> {
    fn new(macros: &'a BTreeMap<String, RawMacro>) -> Self {
        let is_own = |found: &RawMacro| !DBT_ITSELF.contains(&found.package_name.as_str());
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, found) in macros.iter().filter(|(_, found)| is_own(found)) {
            by_name.entry(&found.name).or_default().push(id);
            if let Some((_, name)) = found.name.split_once("__") {
                by_name.entry(name).or_default().push(id);
            }
        }
        // A macro of dbt itself counts for what it leads to, such as an override in the project.
        let mut reach = Self { macros: BTreeMap::new(), by_name };
        for (id, found) in macros {
            let mut direct: BTreeSet<&str> = found.depends_on.macros.iter().map(String::as_str).collect();
            let mut uses = Uses::default();
            if is_own(found) {
                direct.extend(reach.named_in(&found.macro_sql));
                uses = Uses::of(&found.macro_sql);
            }
            reach.macros.insert(id, (Digest::of(&found.macro_sql), direct, uses));
        }
        reach
    }

    /// Macros whose name stands in a text. dbt does not see those in branches that parsing does not enter.
    fn named_in(&self, text: &str) -> BTreeSet<&'a str> {
        words(text).filter_map(|word| self.by_name.get(word)).flatten().copied().collect()
    }

    fn materialization(&self, name: &str, adapter: &str) -> impl Iterator<Item = &'a str> {
        let endings = [format!(".materialization_{name}_{adapter}"), format!(".materialization_{name}_default")];
        self.macros.keys().copied().filter(move |id| endings.iter().any(|ending| id.ends_with(ending)))
    }

    /// All macros that are reached from some, with their digests, and what they use.
    fn closure(&'a self, direct: BTreeSet<&'a str>) -> (BTreeMap<&'a str, &'a Digest>, Uses) {
        let mut found = BTreeMap::new();
        let mut uses = Uses::default();
        let mut open: Vec<&str> = direct.into_iter().collect();
        while let Some(id) = open.pop() {
            let Some((id, (digest, next, theirs))) = self.macros.get_key_value(id) else { continue };
            if found.insert(*id, digest).is_none() {
                uses.add(theirs);
                open.extend(next);
            }
        }
        (found, uses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_by_whole_words_and_literal_names() {
        let text =
            r#"{{ var('a') }} {{ var ( "b", 1) }} {{ env_var('C') }} {{ var(name) }} {{ var('d' ~ e) }} my_var('f')"#;
        let named = |name: &str| Call::Named(name.to_owned());
        assert_eq!(calls(text, "var"), [named("a"), named("b"), Call::Computed, Call::Computed]);
        assert_eq!(calls(text, "env_var"), [named("C")]);
    }

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_keys() {
        let one: Value = serde_json::from_str(r#"{"a": 1, "b": [{"c": 2, "d": 3}]}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": [{"d": 3, "c": 2}], "a": 1}"#).unwrap();
        assert_eq!(canonical(one).to_string(), canonical(other).to_string());
    }
}
