//! Source text -> a checked program. Whatever would be refused at deployment, or is not supported here, is refused now.

mod calls;
mod retry;
mod steps;
mod template;
mod variables;
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

pub(crate) fn parse(source: &str) -> Result<Program, Fault> {
    if source.len() > limits::SOURCE_BYTES {
        let (size, limit) = (source.len(), limits::SOURCE_BYTES);
        return Err(Fault::new(1, format!("a source of {size} bytes is over the limit of {limit}")));
    }
    let root = yaml::parse(source)?;
    let headers = match &root.content {
        // Without sub-workflows, the file may be just the steps of main.
        Content::List(_) => vec![Header { name: "main", line: root.line, parameters: Vec::new(), steps: &root }],
        Content::Map(entries) => entries.iter().map(header).collect::<Result<_, _>>()?,
        Content::Scalar { .. } => return Err(root.fault("a workflow is a map with \"main\", or a list of steps")),
    };
    let signatures: Signatures =
        headers.iter().map(|header| (Text::from(header.name), header.parameters.clone())).collect();
    let mut routines = HashMap::new();
    for header in headers {
        let name = Text::from(header.name);
        let body = RoutineParser::new(&signatures).body(header.steps)?;
        let routine = Routine { name: name.clone(), line: header.line, parameters: header.parameters, body };
        variables::check(&routine)?;
        routines.insert(name, Arc::new(routine));
    }
    let main = routines.get("main").cloned().ok_or_else(|| root.fault("\"main\" is missing"))?;
    if main.parameters.len() > 1 {
        return Err(Fault::new(main.line, "main takes at most one parameter: the argument of the execution"));
    }
    Ok(Program { routines, main })
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
