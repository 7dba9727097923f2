//! YAML nodes -> values with expressions in them.

use crate::error::Fault;
use crate::expression;
use crate::limits;
use crate::parse::yaml::{Content, Node};
use crate::syntax::{Formula, Template};
use crate::value::Value;

/// A value in which any string may be an expression.
pub(super) fn template(node: &Node) -> Result<Template, Fault> {
    match &node.content {
        Content::Scalar { text, plain } => scalar(node.line, text, *plain),
        Content::List(items) => {
            let items = items.iter().map(template).collect::<Result<Vec<_>, _>>()?;
            Ok(constants(&items).map_or(Template::List(items), |items| Template::Constant(Value::list(items))))
        }
        Content::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| Ok((scalar(entry.line, &entry.key, false)?, template(&entry.value)?)))
                .collect::<Result<Vec<_>, Fault>>()?;
            let constant = entries
                .iter()
                .map(|entry| match entry {
                    (Template::Constant(Value::Text(key)), Template::Constant(value)) => {
                        Some((key.clone(), value.clone()))
                    }
                    _ => None,
                })
                .collect::<Option<Vec<_>>>();
            Ok(constant.map_or(Template::Map(entries), |entries| Template::Constant(Value::map(entries))))
        }
    }
}

/// A value without expressions.
pub(super) fn constant(node: &Node, what: &str) -> Result<Value, Fault> {
    match template(node)? {
        Template::Constant(value) => Ok(value),
        _ => Err(node.fault(format!("{what} must be a plain value, without expressions"))),
    }
}

/// The text between `${` and `}`, when that is all the scalar holds.
pub(super) fn inside(text: &str) -> Option<&str> {
    text.trim().strip_prefix("${")?.strip_suffix('}')
}

/// Parses an expression under the limits of the language.
pub(super) fn formula(line: usize, source: &str) -> Result<Formula, Fault> {
    let length = source.chars().count() + "${}".len();
    if length > limits::EXPRESSION_CHARACTERS {
        let limit = limits::EXPRESSION_CHARACTERS;
        return Err(Fault::new(
            line,
            format!("an expression of {length} characters is over the limit of {limit}; split it by assign steps"),
        ));
    }
    let expression = expression::parse(source).map_err(|message| {
        Fault::new(line, format!("in ${{{}}}: {message}", source.split_whitespace().collect::<Vec<_>>().join(" ")))
    })?;
    Ok(Formula { line, expression })
}

fn scalar(line: usize, text: &str, plain: bool) -> Result<Template, Fault> {
    if let Some(source) = inside(text) {
        return formula(line, source).map(Template::Formula);
    }
    if text.contains("${") {
        return Err(Fault::new(
            line,
            "a string holds ${...} beside other text, which is never replaced: make the whole value one expression, as in ${\"a \" + b}",
        ));
    }
    Ok(Template::Constant(if plain { resolve(text) } else { Value::text(text) }))
}

/// The value of a scalar without quotes, by YAML's core schema.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|character: char| character.is_ascii_digit() || character == '.') {
        return Value::text(text);
    }
    let radix = |prefix, radix| digits.strip_prefix(prefix).and_then(|digits| i64::from_str_radix(digits, radix).ok());
    if let Some(int) = text.parse().ok().or_else(|| radix("0x", 16)).or_else(|| radix("0o", 8)) {
        return Value::Int(int);
    }
    // Rust reads "infinity" and the like as doubles too, but those do not start with a digit or a point.
    text.parse().map_or_else(|_| Value::text(text), Value::Double)
}

fn constants(items: &[Template]) -> Option<Vec<Value>> {
    items
        .iter()
        .map(|item| match item {
            Template::Constant(value) => Some(value.clone()),
            _ => None,
        })
        .collect()
}
