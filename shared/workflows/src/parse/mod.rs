//! Source text -> a checked program. Whatever would be refused at deployment, or is not supported here, is refused now.

mod calls;
mod retry;
mod steps;
mod template;
mod variables;
mod waiting;
mod yaml;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Fault;
use crate::limits;
use crate::parse::steps::RoutineParser;
use crate::parse::yaml::{Content, Entry, Node};
use crate::syntax::{Parameter, Program, Routine};
use crate::value::Text;

/// The parameters of every routine, known before any body is parsed.
type Signatures = HashMap<Text, Vec<Parameter>>;

/// The program, or all that is wrong with it, in the order of the lines.
pub(crate) fn parse(source: &str) -> Result<Program, Vec<Fault>> {
    let mut faults = Vec::new();
    match program(source, &mut faults) {
        Ok(Some(program)) if faults.is_empty() => Ok(program),
        outcome => {
            faults.extend(outcome.err());
            faults.sort_by_key(|fault| fault.line);
            Err(faults)
        }
    }
}

fn program(source: &str, faults: &mut Vec<Fault>) -> Result<Option<Program>, Fault> {
    if source.len() > limits::SOURCE_BYTES {
        let (size, limit) = (source.len(), limits::SOURCE_BYTES);
        return Err(Fault::new(1, format!("a source of {size} bytes is over the limit of {limit}")));
    }
    let root = yaml::parse(source)?;
    let headers = match &root.content {
        // Without sub-workflows, the file may be just the steps of main.
        Content::List(_) => vec![Header { name: "main", line: root.line, parameters: Vec::new(), steps: &root }],
        Content::Map(entries) => {
            let mut headers = Vec::new();
            for entry in entries {
                match header(entry) {
                    Ok(header) => headers.push(header),
                    Err(fault) => faults.push(fault),
                }
            }
            headers
        }
        Content::Scalar { .. } => return Err(root.fault("a workflow is a map with \"main\", or a list of steps")),
    };
    let signatures: Signatures =
        headers.iter().map(|header| (Text::from(header.name), header.parameters.clone())).collect();
    let mut routines = HashMap::new();
    let mut calls = Vec::new();
    let is_known = faults.is_empty();
    for header in headers {
        let name = Text::from(header.name);
        let before = faults.len();
        let body = match RoutineParser::new(&signatures, faults).body(header.steps) {
            Ok(body) => body,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        let routine = Routine { name: name.clone(), line: header.line, parameters: header.parameters, body };
        // What a step that could not be read would have assigned is not known.
        if is_known && faults.len() == before {
            calls.extend(variables::check(&routine, &signatures, faults));
        }
        routines.insert(name, Arc::new(routine));
    }
    waiting::check(&routines, calls, faults);
    let Some(main) = routines.get("main").cloned() else {
        if is_known && !signatures.contains_key("main") {
            faults.push(root.fault("\"main\" is missing"));
        }
        return Ok(None);
    };
    if main.parameters.len() > 1 {
        return Err(Fault::new(main.line, "main takes at most one parameter: the argument of the execution"));
    }
    Ok(Some(Program { routines, main }))
}

/// A routine whose steps are still YAML.
struct Header<'a> {
    name: &'a str,
    line: usize,
    parameters: Vec<Parameter>,
    steps: &'a Node,
}

fn header(entry: &Entry) -> Result<Header<'_>, Fault> {
    check_name(entry.line, &entry.key, "a sub-workflow")?;
    let what = format!("\"{}\"", entry.key);
    let mut parameters = Vec::new();
    let mut steps = None;
    if let Content::List(_) = entry.value.content {
        steps = Some(&entry.value);
    } else {
        for field in entry.value.map(&what)? {
            match field.key.as_str() {
                "params" => parameters = field.value.list("params")?.iter().map(parameter).collect::<Result<_, _>>()?,
                "steps" => steps = Some(&field.value),
                other => {
                    return Err(Fault::new(
                        field.line,
                        format!("unknown key \"{other}\" in {what}: known are params and steps"),
                    ));
                }
            }
        }
    }
    if let Some(repeated) = (1..parameters.len())
        .find(|at| parameters[..*at].iter().any(|earlier: &Parameter| earlier.name == parameters[*at].name))
    {
        return Err(Fault::new(
            entry.line,
            format!("{what} has the parameter \"{}\" twice", parameters[repeated].name),
        ));
    }
    let steps = steps.ok_or_else(|| Fault::new(entry.line, format!("{what} has no steps")))?;
    Ok(Header { name: &entry.key, line: entry.line, parameters, steps })
}

/// `name`, or `name: default`.
fn parameter(node: &Node) -> Result<Parameter, Fault> {
    let (name, default) = match &node.content {
        Content::Map(_) => {
            let entry = node.single("a parameter")?;
            (entry.key.as_str(), Some(template::constant(&entry.value, "the default of a parameter")?))
        }
        _ => (node.text("a parameter")?, None),
    };
    check_name(node.line, name, "a parameter")?;
    Ok(Parameter { name: name.into(), default })
}

/// Names of variables, parameters and routines: a letter or underscore, then letters, digits and underscores.
fn check_name(line: usize, name: &str, what: &str) -> Result<(), Fault> {
    let starts = name.starts_with(|character: char| character.is_ascii_alphabetic() || character == '_');
    let reserved = matches!(
        name,
        "and"
            | "or"
            | "not"
            | "in"
            | "AND"
            | "OR"
            | "NOT"
            | "IN"
            | "true"
            | "True"
            | "TRUE"
            | "false"
            | "False"
            | "FALSE"
            | "null"
    );
    if reserved {
        return Err(Fault::new(line, format!("\"{name}\" is a word of the language and cannot name {what}")));
    }
    if starts && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_') {
        return Ok(());
    }
    Err(Fault::new(
        line,
        format!("\"{name}\" cannot name {what}: use letters, digits and underscores, not starting with a digit"),
    ))
}
