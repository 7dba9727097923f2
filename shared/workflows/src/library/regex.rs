//! The functions of `text.*` that take a regular expression, in the syntax of RE2. The longest of several matches that begin
//! at one place is the match.

use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::exception::Exception;
use crate::library::{Arguments, Body, Function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "text.find_all_regex",
        parameters: &["source", "regexp"],
        required: 2,
        body: Body::Pure(|arguments, _| find_all(arguments)),
    },
    Function {
        name: "text.match_regex",
        parameters: &["source", "regexp"],
        required: 2,
        body: Body::Pure(|arguments, _| {
            let source = arguments.text(0)?;
            Ok(Value::Bool(Pattern::new(arguments)?.next(source, 0).is_some()))
        }),
    },
    Function {
        name: "text.replace_all_regex",
        parameters: &["source", "regexp", "repl"],
        required: 3,
        body: Body::Pure(|arguments, _| replace_all(arguments)),
    },
];

/// What a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

fn find_all(arguments: &Arguments) -> Result<Value, Exception> {
    let source = arguments.text(0)?;
    let matches = Pattern::new(arguments)?.all(source).into_iter().map(|(start, end)| {
        let index = i64::try_from(source[..start].chars().count()).unwrap_or(i64::MAX);
        Value::map([("index", Value::Int(index)), ("match", Value::text(&source[start..end]))])
    });
    Ok(Value::list(matches.collect()))
}

/// What replaces is taken as it is: there are no references to groups.
fn replace_all(arguments: &Arguments) -> Result<Value, Exception> {
    let (source, replacement) = (arguments.text(0)?, arguments.text(2)?);
    let mut replaced = String::with_capacity(source.len());
    let mut kept = 0;
    for (start, end) in Pattern::new(arguments)?.all(source) {
        replaced.push_str(&source[kept..start]);
        replaced.push_str(replacement);
        kept = end;
    }
    replaced.push_str(&source[kept..]);
    Ok(Value::text(replaced))
}

struct Pattern {
    /// Finds where the next match begins.
    first: PikeVM,
    /// Finds how far a match reaches.
    longest: PikeVM,
}

impl Pattern {
    fn new(arguments: &Arguments) -> Result<Self, Exception> {
        let given = arguments.text(1)?;
        let pattern = from_re2(given);
        let compile = |kind| {
            PikeVM::builder()
                .configure(pikevm::Config::new().match_kind(kind))
                .thompson(thompson::Config::new().nfa_size_limit(Some(PATTERN_BYTES)))
                .syntax(syntax::Config::new().nest_limit(100))
                .build(&pattern)
                .map_err(|error| {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                    Exception::value_error(format!("{given:?} is no regular expression of RE2: {error}{cause}"))
                })
        };
        Ok(Self { first: compile(MatchKind::LeftmostFirst)?, longest: compile(MatchKind::All)? })
    }

    /// The first match that begins at `from` or behind it.
    fn next(&self, source: &str, from: usize) -> Option<(usize, usize)> {
        let input = Input::new(source).range(from..);
        let found = self.first.find(&mut self.first.create_cache(), input)?;
        let input = Input::new(source).range(found.start()..).anchored(Anchored::Yes);
        let longest = self.longest.find(&mut self.longest.create_cache(), input);
        Some((found.start(), longest.map_or(found.end(), |longest| longest.end())))
    }

    /// Matches that do not overlap. An empty one does not stand right behind another.
    fn all(&self, source: &str) -> Vec<(usize, usize)> {
        let mut matches: Vec<(usize, usize)> = Vec::new();
        let mut from = 0;
        while let Some((start, end)) = self.next(source, from) {
            let is_behind = matches.last().is_some_and(|(_, last)| start == end && *last == start);
            if !is_behind {
                matches.push((start, end));
            }
            from = end;
            if start == end {
                match source[end..].chars().next() {
                    Some(character) => from += character.len_utf8(),
                    None => break,
                }
            }
        }
        matches
    }
}

/// RE2's classes are those of ASCII, and a class holds no other class.
fn from_re2(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len() + 16);
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('d') => translated.push_str("[0-9]"),
                Some('D') => translated.push_str("[^0-9]"),
                Some('w') => translated.push_str("[0-9A-Za-z_]"),
                Some('W') => translated.push_str("[^0-9A-Za-z_]"),
                Some('s') => translated.push_str("[\\t\\n\\f\\r ]"),
                Some('S') => translated.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') if !in_class => translated.push_str("(?-u:\\b)"),
                Some('Q') => {
                    let rest: String = characters.by_ref().collect();
                    let (literal, behind) = rest.split_once("\\E").unwrap_or((&rest, ""));
                    translated.push_str(&regex_syntax::escape(literal));
                    translated.push_str(&from_re2(behind));
                }
                Some(other) => translated.extend(['\\', other]),
                None => translated.push('\\'),
            },
            '[' if in_class && characters.peek() == Some(&':') => {
                translated.push('[');
                for inner in characters.by_ref() {
                    translated.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '[' if in_class => translated.push_str("\\["),
            '[' => {
                in_class = true;
                translated.push('[');
                translated.extend(characters.next_if_eq(&'^'));
                if characters.next_if_eq(&']').is_some() {
                    translated.push_str("\\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                translated.push(']');
            }
            '&' | '~' if in_class => translated.extend(['\\', character]),
            _ => translated.push(character),
        }
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_re2() {
        let table = [
            (r"\d+", "[0-9]+"),
            (r"[\d-]", "[[0-9]-]"),
            (r"[a[b]", r"[a\[b]"),
            (r"[[:alpha:]_]", "[[:alpha:]_]"),
            (r"[]a]", r"[\]a]"),
            (r"[^]a&&]", r"[^\]a\&\&]"),
            (r"\Qa.b\E.", r"a\.b."),
            (r"\bat\b", r"(?-u:\b)at(?-u:\b)"),
        ];
        for (given, expected) in table {
            assert_eq!(from_re2(given), expected);
        }
    }
}
