//! Tokens -> expression, by precedence.
//!
//! From loosest to tightest: `or`; `and`; comparisons and `in`; `+ -`; `* / // %`; unary `-`; `not`; member, index and call.
//! `not` binding tighter than a comparison is Google's published order: `not a == b` is `(not a) == b`.

use crate::expression::lexer::{self, Token};
use crate::expression::{Expression, Operator};
use crate::library;
use crate::value::{Text, Value};

/// Deeper nesting than any readable expression of 400 characters needs; bounds recursion.
const MAX_DEPTH: usize = 40;

/// Parses the text between `${` and `}`.
pub(crate) fn parse(source: &str) -> Result<Expression, String> {
    let mut parser = Parser::new(source)?;
    let expression = parser.or()?;
    match parser.next() {
        None => Ok(expression),
        Some(Token::Not) => Err("unexpected \"not\": write not (a in b) for \"a not in b\"".to_owned()),
        Some(token) => Err(format!("unexpected {} behind the end of the expression", describe(&token))),
    }
}

/// Parses the left side of an assignment: a variable and the keys and indices behind it.
pub(crate) fn parse_target(source: &str) -> Result<(Text, Vec<Expression>), String> {
    let mut parser = Parser::new(source)?;
    let mut expression = parser.postfix()?;
    if let Some(token) = parser.next() {
        return Err(format!("unexpected {} in the name of a variable", describe(&token)));
    }
    let mut path = Vec::new();
    loop {
        match expression {
            Expression::Variable(name) => {
                path.reverse();
                return Ok((name, path));
            }
            Expression::Index(inner, key) => {
                path.push(*key);
                expression = *inner;
            }
            _ => return Err(format!("\"{source}\" is no variable, nor a key or index of one")),
        }
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn new(source: &str) -> Result<Self, String> {
        Ok(Self { tokens: lexer::tokens(source)?.into_iter().peekable(), depth: 0 })
    }

    fn next(&mut self) -> Option<Token> {
        self.tokens.next()
    }

    fn eat(&mut self, token: &Token) -> bool {
        self.tokens.next_if_eq(token).is_some()
    }

    fn or(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("an expression nests deeper than {MAX_DEPTH} levels"));
        }
        let mut left = self.and()?;
        while self.eat(&Token::Or) {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut left = self.binary(0)?;
        while self.eat(&Token::And) {
            left = Expression::And(Box::new(left), Box::new(self.binary(0)?));
        }
        Ok(left)
    }

    /// The binary operators of one level of precedence, from left to right.
    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        if level == 3 {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.tokens.peek().and_then(operator).filter(|operator| operator.level() == level) {
            self.tokens.next();
            left = Expression::Binary(operator, Box::new(left), Box::new(self.binary(level + 1)?));
        }
        Ok(left)
    }

    /// Prefixes, from left to right and applied from right to left.
    fn unary(&mut self) -> Result<Expression, String> {
        let mut prefixes = Vec::new();
        while let Some(prefix) = self.tokens.next_if(|token| matches!(token, Token::Minus | Token::Not)) {
            if prefixes.last() == Some(&Token::Not) && prefix == Token::Minus {
                return Err("\"not -\" makes no sense: not takes a boolean".to_owned());
            }
            prefixes.push(prefix);
        }
        if prefixes.len() > MAX_DEPTH {
            return Err(format!("an expression nests deeper than {MAX_DEPTH} levels"));
        }
        let inner = self.postfix()?;
        Ok(prefixes.into_iter().rev().fold(inner, |inner, prefix| match prefix {
            Token::Not => Expression::Not(Box::new(inner)),
            _ => Expression::Negate(Box::new(inner)),
        }))
    }

    fn postfix(&mut self) -> Result<Expression, String> {
        let mut expression = self.primary()?;
        loop {
            if self.eat(&Token::Dot) {
                let Some(Token::Name(name)) = self.next() else {
                    return Err("a key is missing behind \".\"".to_owned());
                };
                expression = Expression::Index(Box::new(expression), Box::new(Expression::Literal(Value::text(name))));
            } else if self.eat(&Token::OpenBracket) {
                let index = self.or()?;
                if !self.eat(&Token::CloseBracket) {
                    return Err("\"]\" is missing".to_owned());
                }
                expression = Expression::Index(Box::new(expression), Box::new(index));
            } else if self.eat(&Token::OpenParenthesis) {
                let name = dotted(&expression).ok_or("only a named function can be called")?;
                expression = self.call(&name)?;
            } else {
                return Ok(expression);
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Expression, String> {
        let arguments = self.items(&Token::CloseParenthesis, ")")?;
        let Some(function) = library::in_expression(name)? else {
            return Ok(Expression::Routine(name.into(), arguments));
        };
        function.check_count(arguments.len())?;
        Ok(Expression::Call(function, arguments))
    }

    /// Expressions between commas, up to `close`.
    fn items(&mut self, close: &Token, sign: &str) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(self.or()?);
            if self.eat(close) {
                return Ok(items);
            }
            if !self.eat(&Token::Comma) {
                return Err(format!("\"{sign}\" is missing"));
            }
        }
    }

    fn primary(&mut self) -> Result<Expression, String> {
        Ok(match self.next() {
            Some(Token::Int(int)) => Expression::Literal(Value::Int(int)),
            Some(Token::Double(double)) => Expression::Literal(Value::Double(double)),
            Some(Token::Text(text)) => Expression::Literal(Value::text(text)),
            Some(Token::Name(name)) => match name.as_str() {
                "true" | "True" | "TRUE" => Expression::Literal(Value::Bool(true)),
                "false" | "False" | "FALSE" => Expression::Literal(Value::Bool(false)),
                "null" => Expression::Literal(Value::Null),
                _ => Expression::Variable(name.into()),
            },
            Some(Token::OpenParenthesis) => {
                let inner = self.or()?;
                if !self.eat(&Token::CloseParenthesis) {
                    return Err("\")\" is missing".to_owned());
                }
                inner
            }
            Some(Token::OpenBracket) => Expression::List(self.items(&Token::CloseBracket, "]")?),
            Some(token) => return Err(format!("unexpected {}", describe(&token))),
            None => return Err("an expression ends too early".to_owned()),
        })
    }
}

impl Operator {
    fn level(self) -> usize {
        match self {
            Self::Add | Self::Subtract => 1,
            Self::Multiply | Self::Divide | Self::FloorDivide | Self::Remainder => 2,
            _ => 0,
        }
    }
}

fn operator(token: &Token) -> Option<Operator> {
    match token {
        Token::Operator(operator) => Some(*operator),
        Token::Minus => Some(Operator::Subtract),
        _ => None,
    }
}

/// `a.b.c` as the name of a function.
fn dotted(expression: &Expression) -> Option<String> {
    match expression {
        Expression::Variable(name) => Some(name.to_string()),
        Expression::Index(inner, key) => match &**key {
            Expression::Literal(Value::Text(key)) => Some(format!("{}.{key}", dotted(inner)?)),
            _ => None,
        },
        _ => None,
    }
}

fn describe(token: &Token) -> String {
    let sign = match token {
        Token::Name(name) => return format!("\"{name}\""),
        Token::Text(text) => return format!("the string {text:?}"),
        Token::Int(int) => return int.to_string(),
        Token::Double(double) => return double.to_string(),
        Token::Operator(operator) => operator.sign(),
        Token::Minus => "-",
        Token::And => "and",
        Token::Or => "or",
        Token::Not => "not",
        Token::Dot => ".",
        Token::Comma => ",",
        Token::OpenParenthesis => "(",
        Token::CloseParenthesis => ")",
        Token::OpenBracket => "[",
        Token::CloseBracket => "]",
    };
    format!("\"{sign}\"")
}
