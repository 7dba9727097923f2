//! Words, names, literals and signs of GoogleSQL, without comments.
//!
//! <https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/lexical>

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// Between backquotes.
    Quoted,
    Text,
    Number,
    Symbol,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind != Kind::Quoted && self.kind != Kind::Text && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }
}

pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let (kind, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if let Some(length) = comment(rest) {
            at += length;
            continue;
        } else if let Some(length) = text(rest) {
            (Kind::Text, length)
        } else if first == '`' {
            (Kind::Quoted, rest[1..].find('`').map_or(rest.len(), |end| end + 2))
        } else if first.is_ascii_digit() {
            (Kind::Number, rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len()))
        } else if first.is_alphabetic() || first == '_' || first == '@' {
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '@';
            (Kind::Word, rest.find(|c: char| !word(c)).unwrap_or(rest.len()))
        } else {
            (Kind::Symbol, first.len_utf8())
        };
        let end = at + length;
        let text = source[at..end].trim_matches('`');
        tokens.push(Token { kind, text, start: at, end });
        at = end;
    }
    tokens
}

/// The length of the comment at the start, if there is one.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    let is_line = rest.starts_with("--") || rest.starts_with('#');
    is_line.then(|| rest.find('\n').unwrap_or(rest.len()))
}

/// The length of the string literal at the start, with its prefix, if there is one.
fn text(rest: &str) -> Option<usize> {
    let prefix = rest.find(['\'', '"']).filter(|at| {
        let prefix = rest[..*at].to_ascii_lowercase();
        matches!(prefix.as_str(), "" | "r" | "b" | "rb" | "br")
    })?;
    let is_raw = rest[..prefix].to_ascii_lowercase().contains('r');
    let body = &rest[prefix..];
    let quote = &body[..1];
    let quote = if body.starts_with(&quote.repeat(3)) { &body[..3] } else { quote };
    let mut at = prefix + quote.len();
    while at < rest.len() {
        if rest[at..].starts_with(quote) {
            return Some(at + quote.len());
        }
        let next = rest[at..].chars().next()?;
        let escaped = if next == '\\' && !is_raw { rest[at + 1..].chars().next() } else { None };
        at += next.len_utf8() + escaped.map_or(0, char::len_utf8);
    }
    Some(rest.len())
}
