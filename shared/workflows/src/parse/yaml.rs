//! YAML text -> a tree whose every node knows its line.

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::Fault;

/// Far beyond any workflow; bounds recursion over the tree.
const MAX_DEPTH: usize = 100;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// `plain` when it stands without quotes, so that it may be a number, a boolean or null.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: Node,
}

/// Parses a file of exactly one document.
pub(super) fn parse(source: &str) -> Result<Node, Fault> {
    let mut reader = Reader { events: Parser::new_from_str(source), line: 1 };
    let root = loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => {
                return Err(Fault::new(reader.line, "the file holds no workflow"));
            }
            event => break reader.node(event, 0)?,
        }
    };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(root),
            (Event::DocumentEnd, _) => {}
            (_, span) => {
                return Err(Fault::new(
                    span.start.line(),
                    "a workflow file holds one YAML document, and here a second one starts",
                ));
            }
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    /// Of the last event.
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        loop {
            let (event, span) = match self.events.next() {
                Some(Ok(next)) => next,
                Some(Err(error)) => {
                    return Err(Fault::new(error.marker().line(), format!("invalid YAML: {}", error.info())));
                }
                None => return Err(Fault::new(self.line, "invalid YAML: the file ends too early")),
            };
            self.line = span.start.line();
            if event.tag().is_some() {
                return Err(Fault::new(self.line, "YAML tags are not supported in a workflow"));
            }
            if event.anchor_id().is_some() || event.is_alias() {
                return Err(Fault::new(self.line, "YAML anchors and aliases are not supported in a workflow"));
            }
            if event.is_node() || is_structure(&event) {
                return Ok((event, span));
            }
        }
    }

    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, Fault> {
        let line = span.start.line();
        if depth > MAX_DEPTH {
            return Err(Fault::new(line, format!("YAML nests deeper than {MAX_DEPTH} levels")));
        }
        let content = match event {
            Event::Scalar(text, style, ..) => {
                Content::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Content::List(items),
                        event => items.push(self.node(event, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => self.entries(depth)?,
            _ => return Err(Fault::new(line, "invalid YAML: a value is missing")),
        };
        Ok(Node { line, content })
    }

    fn entries(&mut self, depth: usize) -> Result<Content, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (line, key) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Map(entries)),
                (Event::Scalar(key, ..), span) => (span.start.line(), key.into_owned()),
                (_, span) => return Err(Fault::new(span.start.line(), "the key of a map must be a string")),
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                return Err(Fault::new(line, format!("\"{key}\" stands here twice, first at line {}", first.line)));
            }
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            entries.push(Entry { line, key, value });
        }
    }
}

fn is_structure(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd
    )
}

impl Node {
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(self.line, message)
    }

    /// What the node is, for error messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Scalar { .. } => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    pub(super) fn list(&self, what: &str) -> Result<&[Node], Fault> {
        match &self.content {
            Content::List(items) => Ok(items),
            _ => Err(self.fault(format!("{what} must be a list, not {}", self.kind()))),
        }
    }

    pub(super) fn map(&self, what: &str) -> Result<&[Entry], Fault> {
        match &self.content {
            Content::Map(entries) => Ok(entries),
            _ => Err(self.fault(format!("{what} must be a map, not {}", self.kind()))),
        }
    }

    /// The map's only entry: the shape of a step, a branch and an assignment.
    pub(super) fn single(&self, what: &str) -> Result<&Entry, Fault> {
        match self.map(what)? {
            [entry] => Ok(entry),
            entries => Err(self
                .fault(format!("{what} must be a map of one name, not of {}; check the indentation", entries.len()))),
        }
    }

    pub(super) fn text(&self, what: &str) -> Result<&str, Fault> {
        match &self.content {
            Content::Scalar { text, .. } => Ok(text),
            _ => Err(self.fault(format!("{what} must be a string, not {}", self.kind()))),
        }
    }
}
