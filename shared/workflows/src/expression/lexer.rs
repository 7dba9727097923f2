//! Text of an expression -> tokens.

use crate::expression::Operator;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Int(i64),
    Double(f64),
    Operator(Operator),
    Minus,
    And,
    Or,
    Not,
    Dot,
    Comma,
    OpenParenthesis,
    CloseParenthesis,
    OpenBracket,
    CloseBracket,
}

/// Splits `source`, or says what it cannot hold.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { rest: source };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token(tokens.last())? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    rest: &'a str,
}

impl Lexer<'_> {
    fn token(&mut self, previous: Option<&Token>) -> Result<Option<Token>, String> {
        self.rest = self.rest.trim_start();
        let mut characters = self.rest.chars();
        let Some(first) = characters.next() else { return Ok(None) };
        let second = characters.next();
        if first.is_ascii_alphabetic() || first == '_' {
            let member = previous == Some(&Token::Dot);
            return Ok(Some(self.name(member)));
        }
        if first.is_ascii_digit() {
            return self.number().map(Some);
        }
        if first == '"' {
            return self.text().map(Some);
        }
        let (token, length) = match (first, second) {
            ('/', Some('/')) => (Token::Operator(Operator::FloorDivide), 2),
            ('=', Some('=')) => (Token::Operator(Operator::Equal), 2),
            ('!', Some('=')) => (Token::Operator(Operator::NotEqual), 2),
            ('<', Some('=')) => (Token::Operator(Operator::LessOrEqual), 2),
            ('>', Some('=')) => (Token::Operator(Operator::GreaterOrEqual), 2),
            ('<', _) => (Token::Operator(Operator::Less), 1),
            ('>', _) => (Token::Operator(Operator::Greater), 1),
            ('+', _) => (Token::Operator(Operator::Add), 1),
            ('-', _) => (Token::Minus, 1),
            ('*', _) => (Token::Operator(Operator::Multiply), 1),
            ('/', _) => (Token::Operator(Operator::Divide), 1),
            ('%', _) => (Token::Operator(Operator::Remainder), 1),
            ('.', _) => (Token::Dot, 1),
            (',', _) => (Token::Comma, 1),
            ('(', _) => (Token::OpenParenthesis, 1),
            (')', _) => (Token::CloseParenthesis, 1),
            ('[', _) => (Token::OpenBracket, 1),
            (']', _) => (Token::CloseBracket, 1),
            ('\'', _) => return Err("a string in an expression stands in double quotes, not in single ones".to_owned()),
            ('&' | '|' | '!', _) => return Err(format!("\"{first}\" is no operator: write and, or, not")),
            ('=', _) => return Err("\"=\" is no operator: write ==".to_owned()),
            ('{' | '}', _) => {
                return Err(format!(
                    "unexpected \"{first}\": map literals and nested ${{...}} are not part of an expression; assign the map to a variable first"
                ));
            }
            _ => return Err(format!("unexpected character {first:?}")),
        };
        self.rest = &self.rest[length..];
        Ok(Some(token))
    }

    /// A keyword or a name; behind a dot a keyword is a key like any other.
    fn name(&mut self, member: bool) -> Token {
        let name = self.take(|character| character.is_ascii_alphanumeric() || character == '_');
        match name {
            _ if member => Token::Name(name.to_owned()),
            "and" | "AND" => Token::And,
            "or" | "OR" => Token::Or,
            "not" | "NOT" => Token::Not,
            "in" | "IN" => Token::Operator(Operator::In),
            _ => Token::Name(name.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Token, String> {
        let whole = self.rest;
        let mut length = self.take(|character| character.is_ascii_digit()).len();
        let mut double = false;
        if let Some(fraction) = self.rest.strip_prefix('.')
            && fraction.starts_with(|character: char| character.is_ascii_digit())
        {
            double = true;
            self.rest = fraction;
            length += 1 + self.take(|character| character.is_ascii_digit()).len();
        }
        if let Some(exponent) = self.rest.strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|character: char| character.is_ascii_digit()) {
                double = true;
                length += self.rest.len() - digits.len();
                self.rest = digits;
                length += self.take(|character| character.is_ascii_digit()).len();
            }
        }
        let number = &whole[..length];
        let invalid = || format!("{number} is too large for a 64-bit integer");
        if double {
            number.parse().map(Token::Double).map_err(|_| invalid())
        } else {
            number.parse().map(Token::Int).map_err(|_| invalid())
        }
    }

    fn text(&mut self) -> Result<Token, String> {
        let mut characters = self.rest.char_indices().skip(1);
        let mut text = String::new();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(Token::Text(text));
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, quoted @ ('"' | '\\' | '/'))) => text.push(quoted),
                    Some((at, 'u')) => {
                        let digits = self.rest.get(at + 1..at + 5).unwrap_or_default();
                        let decoded = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                        text.push(decoded.ok_or_else(|| format!("\"\\u{digits}\" is no character"))?);
                        characters.by_ref().take(4).for_each(drop);
                    }
                    Some((_, other)) => return Err(format!("unknown escape \"\\{other}\" in a string")),
                    None => break,
                },
                _ => text.push(character),
            }
        }
        Err("a string has no closing quote".to_owned())
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|character| !belongs(character)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}
