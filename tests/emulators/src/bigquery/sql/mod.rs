//! As much of GoogleSQL as the rules need: where statements begin, what they do, and to which tables.
//!
//! This is no parser. It reads tokens, so that words in strings and comments do not count, and looks at the first few of
//! each statement. What it does not know it calls [`Action::Other`] and leaves to the emulator.

mod tokens;

use serde_json::{Value, json};

use self::tokens::{Kind, Token, tokens};
use super::name::Table;

/// A name as written, in parts.
pub(crate) type Name = Vec<String>;

/// One statement of a script.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) action: Action,
    /// Whether it stands between BEGIN TRANSACTION and COMMIT or ROLLBACK.
    pub(crate) in_transaction: bool,
    /// All names of two or more parts, and single ones after FROM and JOIN. Some are columns.
    pub(crate) names: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    CreateTable(CreateTable),
    CreateView {
        name: Name,
        query: String,
    },
    Drop {
        name: Name,
    },
    Alter {
        name: Name,
    },
    Truncate {
        name: Name,
    },
    /// INSERT, UPDATE, DELETE or MERGE.
    Change {
        name: Name,
    },
    /// Definitions of what lives in a dataset but is no table: schemas, functions, procedures.
    OtherDefinition,
    Query,
    Begin,
    End,
    Other,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CreateTable {
    pub(crate) name: Name,
    pub(crate) temporary: bool,
    pub(crate) clone_of: Option<Name>,
    /// `timePartitioning` or `rangePartitioning`, and `clustering`, as the REST resource has them.
    pub(crate) layout: serde_json::Map<String, Value>,
}

impl Action {
    /// Whether it defines something that stays, which no transaction may do.
    pub(crate) fn is_permanent_definition(&self) -> bool {
        match self {
            Self::CreateTable(table) => !table.temporary,
            Self::CreateView { .. } | Self::Drop { .. } | Self::Alter { .. } | Self::OtherDefinition => true,
            _ => false,
        }
    }

    /// The table it changes, if any.
    pub(crate) fn target(&self) -> Option<&Name> {
        match self {
            Self::CreateTable(CreateTable { name, .. })
            | Self::CreateView { name, .. }
            | Self::Drop { name }
            | Self::Alter { name }
            | Self::Truncate { name }
            | Self::Change { name } => Some(name),
            _ => None,
        }
    }
}

/// The table that a name means.
pub(crate) fn resolve(name: &Name, project: &str, default_dataset: Option<&str>) -> Option<Table> {
    match name.as_slice() {
        [table] => Some(Table::new(project, default_dataset?, table)),
        [dataset, table] => Some(Table::new(project, dataset, table)),
        [project, dataset, table] => Some(Table::new(project, dataset, table)),
        _ => None,
    }
}

/// The statements of a script, in order.
pub(crate) fn statements(source: &str) -> Vec<Statement> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let mut in_transaction = false;
    for part in parts(&tokens) {
        let mut reader = Reader { source, tokens: part, at: 0 };
        let action = reader.action();
        match action {
            Action::Begin => in_transaction = true,
            Action::End => in_transaction = false,
            _ => {}
        }
        found.push(Statement { in_transaction, names: names(part), action });
    }
    found
}

/// Cuts where a statement ends or a nested one begins.
fn parts<'a>(tokens: &'a [Token<'a>]) -> impl Iterator<Item = &'a [Token<'a>]> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" if token.kind == Kind::Symbol => depth += 1,
            ")" if token.kind == Kind::Symbol => depth -= 1,
            _ => {}
        }
        let opens_block = token.is("begin")
            && at == start
            && !tokens.get(at + 1).is_none_or(|next| next.is(";") || next.is("transaction"));
        let opens_branch =
            ["then", "else", "do", "loop"].iter().any(|word| token.is(word)) && is_control(&tokens[start]);
        if depth <= 0 && (token.is(";") || opens_block || opens_branch) {
            parts.push(&tokens[start..at]);
            start = at + 1;
        }
    }
    parts.push(&tokens[start..]);
    parts.into_iter().filter(|part| !part.is_empty())
}

fn is_control(first: &Token<'_>) -> bool {
    ["if", "elseif", "while", "for", "loop", "repeat", "else"].iter().any(|word| first.is(word))
}

fn names(tokens: &[Token<'_>]) -> Vec<Name> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (name, length) = name_at(&tokens[at..]);
        let is_source = at > 0 && ["from", "join"].iter().any(|word| tokens[at - 1].is(word));
        if name.len() > 1 || (is_source && length > 0) {
            names.push(name);
        }
        at += length.max(1);
    }
    names
}

/// The name at the start and how many tokens it takes. A project may contain dashes without being quoted.
fn name_at(tokens: &[Token<'_>]) -> (Name, usize) {
    let Some(first) = tokens.first().filter(|token| token.is_name()) else { return (Name::new(), 0) };
    let mut name: Name = first.text.split('.').map(str::to_owned).collect();
    let mut end = first.end;
    let mut length = 1;
    while let [separator, next, ..] = &tokens[length..] {
        let is_close = separator.start == end && next.start == separator.end;
        match separator.text {
            "." if next.is_name() => name.extend(next.text.split('.').map(str::to_owned)),
            "-" if is_close && name.len() == 1 && matches!(next.kind, Kind::Word | Kind::Number) => {
                let project = format!("{}-{}", name[0], next.text);
                name = project.split('.').map(str::to_owned).collect();
            }
            _ => break,
        }
        end = next.end;
        length += 2;
    }
    (name, length)
}

struct Reader<'a> {
    source: &'a str,
    tokens: &'a [Token<'a>],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self, word: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token.is(word))
    }

    /// Passes these words if they come next.
    fn pass(&mut self, words: &[&str]) -> bool {
        let next = self.tokens.get(self.at..self.at + words.len());
        let found = next.is_some_and(|tokens| tokens.iter().zip(words).all(|(token, word)| token.is(word)));
        if found {
            self.at += words.len();
        }
        found
    }

    fn name(&mut self) -> Name {
        let (name, length) = name_at(&self.tokens[self.at..]);
        self.at += length;
        name
    }

    fn action(&mut self) -> Action {
        if self.pass(&["create"]) {
            return self.create();
        }
        if self.pass(&["drop"]) {
            return self.drop();
        }
        if self.pass(&["alter"]) {
            let is_relation = self.pass(&["table"]) || self.pass(&["view"]) || self.pass(&["materialized", "view"]);
            if !is_relation {
                return Action::OtherDefinition;
            }
            self.pass(&["if", "exists"]);
            return Action::Alter { name: self.name() };
        }
        if self.pass(&["truncate", "table"]) {
            return Action::Truncate { name: self.name() };
        }
        for words in [["insert", "into"], ["delete", "from"], ["merge", "into"]] {
            if self.pass(&words) {
                return Action::Change { name: self.name() };
            }
        }
        for word in ["insert", "delete", "merge", "update"] {
            if self.pass(&[word]) {
                return Action::Change { name: self.name() };
            }
        }
        if self.peek("begin") {
            return Action::Begin;
        }
        if self.peek("commit") || self.peek("rollback") {
            return Action::End;
        }
        if self.peek("select") || self.peek("with") || self.peek("(") || self.peek("from") {
            return Action::Query;
        }
        Action::Other
    }

    fn create(&mut self) -> Action {
        self.pass(&["or", "replace"]);
        let temporary = self.pass(&["temp"]) || self.pass(&["temporary"]);
        if self.pass(&["table"]) && !self.peek("function") {
            self.pass(&["if", "not", "exists"]);
            let name = self.name();
            let clone_of = self.pass(&["clone"]).then(|| self.name());
            return Action::CreateTable(CreateTable { name, temporary, clone_of, layout: self.layout() });
        }
        if self.pass(&["view"]) || self.pass(&["materialized", "view"]) {
            self.pass(&["if", "not", "exists"]);
            let name = self.name();
            let body = self.tokens[self.at..].iter().find(|token| token.is("as"));
            let end = self.tokens.last().map_or(0, |token| token.end);
            let query = body.map(|token| self.source[token.end..end].trim().to_owned()).unwrap_or_default();
            return Action::CreateView { name, query };
        }
        if temporary { Action::Other } else { Action::OtherDefinition }
    }

    fn drop(&mut self) -> Action {
        let is_relation = ["table", "view"].iter().any(|word| self.pass(&[word]))
            || self.pass(&["snapshot", "table"])
            || self.pass(&["materialized", "view"]);
        if !is_relation || self.peek("function") {
            return Action::OtherDefinition;
        }
        self.pass(&["if", "exists"]);
        Action::Drop { name: self.name() }
    }

    /// PARTITION BY and CLUSTER BY, wherever they stand before the query.
    fn layout(&mut self) -> serde_json::Map<String, Value> {
        let mut layout = serde_json::Map::new();
        let mut depth = 0;
        while self.at < self.tokens.len() {
            if depth == 0 && self.pass(&["partition", "by"]) {
                layout.extend(self.partitioning());
            } else if depth == 0 && self.pass(&["cluster", "by"]) {
                layout.insert("clustering".to_owned(), json!({"fields": self.columns()}));
            } else if depth == 0 && self.peek("as") {
                break;
            } else {
                depth += i32::from(self.peek("(")) - i32::from(self.peek(")"));
                self.at += 1;
            }
        }
        layout
    }

    fn columns(&mut self) -> Vec<String> {
        let mut columns = Vec::new();
        loop {
            columns.extend(self.name().into_iter().next_back());
            if !self.pass(&[","]) {
                return columns;
            }
        }
    }

    /// <https://docs.cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#partition_expression>
    fn partitioning(&mut self) -> Option<(String, Value)> {
        let time = |unit: &str, field: &str| {
            let is_pseudo =
                field.eq_ignore_ascii_case("_PARTITIONDATE") || field.eq_ignore_ascii_case("_PARTITIONTIME");
            let mut value = json!({"type": unit.to_ascii_uppercase()});
            if !is_pseudo {
                value["field"] = json!(field);
            }
            Some(("timePartitioning".to_owned(), value))
        };
        let first = self.name().pop()?;
        if !self.pass(&["("]) {
            return time("DAY", &first);
        }
        let field = self.name().pop()?;
        if first.eq_ignore_ascii_case("range_bucket") {
            self.pass(&[","]);
            self.pass(&["generate_array"]);
            let numbers = self.numbers();
            let [start, end, rest @ ..] = numbers.as_slice() else { return None };
            let interval = rest.first().map_or("1", String::as_str);
            let range = json!({"start": start, "end": end, "interval": interval});
            return Some(("rangePartitioning".to_owned(), json!({"field": field, "range": range})));
        }
        let unit = if self.pass(&[","]) { self.name().pop()? } else { "DAY".to_owned() };
        self.pass(&[")"]);
        time(&unit, &field)
    }

    /// The numbers up to the next but one closing bracket.
    fn numbers(&mut self) -> Vec<String> {
        let mut numbers = Vec::new();
        let mut sign = "";
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token.kind {
                Kind::Number => numbers.push(format!("{}{}", std::mem::take(&mut sign), token.text)),
                Kind::Symbol if token.text == "-" => sign = "-",
                Kind::Symbol if token.text == ")" => break,
                _ => {}
            }
        }
        self.pass(&[")"]);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(source: &str) -> Vec<Action> {
        statements(source).into_iter().map(|statement| statement.action).collect()
    }

    fn name(text: &str) -> Name {
        text.split('.').map(str::to_owned).collect()
    }

    fn table(source: &str) -> CreateTable {
        match actions(source).remove(0) {
            Action::CreateTable(table) => table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_in_strings_and_comments_do_not_count() {
        let source =
            "/* drop table a.b; */ select 'x; drop table a.b' -- drop\n, \"\"\"it's; 'q'\"\"\", r'\\' # create\n";
        assert_eq!(actions(source), [Action::Query]);
    }

    #[test]
    fn statements_end_at_semicolons() {
        let source = "insert into d.t values (1); delete `p.d.t` where true; update p-1.d.t set a = 1; merge d.u using x on true";
        let targets: Vec<_> = actions(source).iter().filter_map(|action| action.target().cloned()).collect();
        assert_eq!(targets, [name("d.t"), name("p.d.t"), name("p-1.d.t"), name("d.u")]);
    }

    #[test]
    fn a_transaction_reaches_from_begin_to_commit() {
        let source =
            "begin transaction; create table d.t as select 1; commit transaction; create table d.u as select 1";
        let flags: Vec<_> = statements(source).iter().map(|statement| statement.in_transaction).collect();
        assert_eq!(flags, [true, true, false, false]);
        assert!(statements("begin; drop table d.t; rollback")[1].in_transaction);
    }

    #[test]
    fn statements_in_blocks_and_branches_are_seen() {
        let source = "begin create table d.t (a int64); end; if (select true) then drop table d.u; end if";
        let found = actions(source);
        assert!(found.iter().any(|action| action.target() == Some(&name("d.t"))), "{found:?}");
        assert!(found.contains(&Action::Drop { name: name("d.u") }), "{found:?}");
    }

    #[test]
    fn a_case_expression_is_no_branch() {
        assert_eq!(actions("select case when a then b else c end from d.t"), [Action::Query]);
    }

    #[test]
    fn clones_name_their_source() {
        let found = table("create or replace table `p`.`d`.`t` clone p.e.s;");
        assert_eq!(found.name, name("p.d.t"));
        assert_eq!(found.clone_of, Some(name("p.e.s")));
    }

    #[test]
    fn layouts_are_read() {
        let layout =
            |clause: &str| Value::from(table(&format!("create table d.t (a int64) {clause} as select 1")).layout);
        assert_eq!(layout("partition by d"), json!({"timePartitioning": {"type": "DAY", "field": "d"}}));
        assert_eq!(layout("partition by date(ts)"), json!({"timePartitioning": {"type": "DAY", "field": "ts"}}));
        assert_eq!(
            layout("partition by timestamp_trunc(ts, hour)\ncluster by a, `b` options(x='cluster by c')"),
            json!({"timePartitioning": {"type": "HOUR", "field": "ts"}, "clustering": {"fields": ["a", "b"]}})
        );
        assert_eq!(
            layout("partition by range_bucket(n, generate_array(-10, 100, 10)) cluster by n"),
            json!({
                "rangePartitioning": {"field": "n", "range": {"start": "-10", "end": "100", "interval": "10"}},
                "clustering": {"fields": ["n"]},
            })
        );
    }

    #[test]
    fn a_view_keeps_its_query() {
        let found = actions("create or replace view d.v options(description='as') as select 1 as a;\n");
        assert_eq!(found, [Action::CreateView { name: name("d.v"), query: "select 1 as a".to_owned() }]);
    }

    #[test]
    fn names_after_from_and_join_are_found() {
        let found = &statements("select a.x from t join `p.d.u` on true, d.v")[0];
        assert_eq!(found.names, [name("a.x"), name("t"), name("p.d.u"), name("d.v")]);
    }

    #[test]
    fn temporary_tables_are_no_permanent_definitions() {
        assert!(!actions("create temp table x as select 1")[0].is_permanent_definition());
        assert!(actions("create table x as select 1")[0].is_permanent_definition());
        assert!(actions("create function d.f() as (1)")[0].is_permanent_definition());
        assert!(!actions("create temp function f() as (1)")[0].is_permanent_definition());
    }
}
