//! Call steps: which routine or function, and its arguments in order.

use crate::error::{Fault, suggestion};
use crate::library;
use crate::parse::Signatures;
use crate::parse::steps::variable;
use crate::parse::template::{inside, template};
use crate::parse::yaml::{Content, Entry, Node};
use crate::syntax::{Call, Target, Template};
use crate::value::{Text, Value};

pub(super) fn call(
    entry: &Entry,
    arguments: Option<&Entry>,
    result: Option<&Entry>,
    signatures: &Signatures,
) -> Result<Call, Fault> {
    let name = entry.value.text("call")?;
    let arguments = arguments.map(|entry| &entry.value);
    let target = if let Some(parameters) = signatures.get(name) {
        let names: Vec<_> = parameters.iter().map(|parameter| &*parameter.name).collect();
        let required: Vec<_> = parameters.iter().map(|parameter| parameter.default.is_none()).collect();
        let arguments = bind(entry.line, name, &names, &required, arguments)?;
        Target::Routine { name: name.into(), arguments }
    } else {
        if inside(name).is_some() {
            return Err(Fault::new(entry.line, "call takes the name of a function, not an expression"));
        }
        let function = library::find(name).map_err(|message| {
            let near = if name.contains('.') {
                String::new()
            } else {
                suggestion(name, signatures.keys().map(|known| &**known))
            };
            Fault::new(entry.line, message + &near)
        })?;
        let required: Vec<_> = (0..function.parameters.len()).map(|at| at < function.required).collect();
        let arguments = bind(entry.line, name, function.parameters, &required, arguments)?;
        if name.starts_with("http.") {
            check_auth(function.parameters, &arguments, entry.line)?;
        }
        Target::Function { function, arguments }
    };
    let result = result.map(variable).transpose()?;
    Ok(Call { line: entry.line, target, result })
}

/// Arguments by name or by position -> one place a parameter.
fn bind(
    line: usize,
    name: &str,
    parameters: &[&str],
    required: &[bool],
    arguments: Option<&Node>,
) -> Result<Vec<Option<Template>>, Fault> {
    let mut bound: Vec<Option<Template>> = parameters.iter().map(|_| None).collect();
    match arguments.map(|node| (&node.content, node)) {
        None => {}
        Some((Content::Map(entries), _)) => {
            for entry in entries {
                let Some(at) = parameters.iter().position(|parameter| *parameter == entry.key) else {
                    let near = suggestion(&entry.key, parameters.iter().copied());
                    return Err(Fault::new(
                        entry.line,
                        format!("{name} has no parameter \"{}\" here{near}", entry.key),
                    ));
                };
                bound[at] = Some(template(&entry.value)?);
            }
        }
        Some((Content::List(items), node)) => {
            if items.len() > bound.len() {
                let (most, given) = (bound.len(), items.len());
                return Err(node
                    .fault(format!("{name} takes at most {most} arguments ({}), not {given}", parameters.join(", "))));
            }
            for (place, item) in bound.iter_mut().zip(items) {
                *place = Some(template(item)?);
            }
        }
        Some((Content::Scalar { .. }, node)) => return Err(node.fault("args must be a map of names or a list")),
    }
    let missing = bound.iter().zip(required).position(|(argument, required)| argument.is_none() && *required);
    match missing {
        None => Ok(bound),
        Some(at) => Err(Fault::new(line, format!("{name} needs the argument \"{}\"", parameters[at]))),
    }
}

/// `auth` is where a mistake shows only in the cloud, so its keys are checked as far as they are written out.
fn check_auth(parameters: &[&str], arguments: &[Option<Template>], line: usize) -> Result<(), Fault> {
    let auth = parameters
        .iter()
        .zip(arguments)
        .find(|(parameter, _)| **parameter == "auth")
        .and_then(|(_, auth)| auth.as_ref());
    let keys: Vec<Text> = match auth {
        Some(Template::Constant(Value::Map(map))) => map.keys().cloned().collect(),
        Some(Template::Map(entries)) => {
            let written =
                |key: &Template| if let Template::Constant(Value::Text(key)) = key { Some(key.clone()) } else { None };
            entries.iter().filter_map(|(key, _)| written(key)).collect()
        }
        _ => return Ok(()),
    };
    match keys.iter().find(|key| !matches!(&***key, "type" | "audience" | "scope" | "scopes")) {
        None => Ok(()),
        Some(key) => {
            Err(Fault::new(line, format!("auth has no \"{key}\": known are type, audience, scope and scopes")))
        }
    }
}
