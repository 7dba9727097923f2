//! `retry`: a policy of the standard library, or one written out.

use crate::error::Fault;
use crate::parse::Signatures;
use crate::parse::steps::Fields;
use crate::parse::template::{inside, template};
use crate::parse::yaml::{Content, Node};
use crate::syntax::{Predicate, Retry, Template};
use crate::value::Value;

pub(super) fn retry(node: &Node, signatures: &Signatures) -> Result<Retry, Fault> {
    if let Content::Scalar { text, .. } = &node.content {
        let predicate = match inside(text).map(str::trim) {
            Some("http.default_retry") => Predicate::Idempotent,
            Some("http.default_retry_non_idempotent") => Predicate::NonIdempotent,
            _ => {
                return Err(node.fault(format!(
                    "unknown retry policy {text:?}: known are ${{http.default_retry}} and ${{http.default_retry_non_idempotent}}"
                )));
            }
        };
        let (initial_delay, max_delay, multiplier) = default_backoff();
        return Ok(Retry { predicate, max_retries: constant(5), initial_delay, max_delay, multiplier });
    }
    let fields = Fields { entries: node.map("retry")? };
    fields.only(&["predicate", "max_retries", "backoff"], "retry")?;
    let predicate = predicate(&fields.require("predicate", node.line, "retry")?.value, signatures)?;
    let max_retries = template(&fields.require("max_retries", node.line, "retry")?.value)?;
    let (initial_delay, max_delay, multiplier) = backoff(&fields.require("backoff", node.line, "retry")?.value)?;
    Ok(Retry { predicate, max_retries, initial_delay, max_delay, multiplier })
}

fn predicate(node: &Node, signatures: &Signatures) -> Result<Predicate, Fault> {
    let text = node.text("predicate")?;
    let name = inside(text)
        .map(str::trim)
        .ok_or_else(|| node.fault(format!("predicate must be an expression, as in ${{{text}}}")))?;
    match name {
        "http.default_retry_predicate" => return Ok(Predicate::Idempotent),
        "http.default_retry_predicate_non_idempotent" => return Ok(Predicate::NonIdempotent),
        "retry.always" => return Ok(Predicate::Always),
        "retry.never" => return Ok(Predicate::Never),
        _ => {}
    }
    let parameters = signatures.get(name).ok_or_else(|| {
        node.fault(format!(
            "{name} is neither a sub-workflow of this file nor a predicate of the standard library \
             (http.default_retry_predicate, http.default_retry_predicate_non_idempotent, retry.always, retry.never)"
        ))
    })?;
    match parameters.as_slice() {
        [_, rest @ ..] if rest.iter().all(|parameter| parameter.default.is_some()) => {
            Ok(Predicate::Routine(name.into()))
        }
        _ => Err(node.fault(format!("{name} cannot be a predicate: it must take one argument, the error"))),
    }
}

fn backoff(node: &Node) -> Result<(Template, Template, Template), Fault> {
    if let Content::Scalar { text, .. } = &node.content {
        return match inside(text).map(str::trim) {
            Some("retry.default_backoff") => Ok(default_backoff()),
            _ => Err(node.fault(format!("unknown backoff {text:?}: known is ${{retry.default_backoff}}"))),
        };
    }
    let fields = Fields { entries: node.map("backoff")? };
    fields.only(&["initial_delay", "max_delay", "multiplier"], "backoff")?;
    let field = |name| template(&fields.require(name, node.line, "backoff")?.value);
    Ok((field("initial_delay")?, field("max_delay")?, field("multiplier")?))
}

/// `retry.default_backoff`
fn default_backoff() -> (Template, Template, Template) {
    (constant(1), constant(60), Template::Constant(Value::Double(1.25)))
}

fn constant(int: i64) -> Template {
    Template::Constant(Value::Int(int))
}
