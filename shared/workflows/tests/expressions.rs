//! Values and errors of expressions, a row each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use serde_json::{Value, json};

/// Variables that every row sees.
const VARIABLES: &str = r#"
main:
  steps:
    - variables:
        assign:
          - i: 7
          - d: 2.5
          - s: "text"
          - t: true
          - n: null
          - l: [10, 20, 30]
          - m: {"a": 1, "b": {"c": "deep"}, "with space": 2}
          - e: {"code": 503, "tags": ["HttpError"]}
          - key: "a"
    - result:
        return: '${EXPRESSION}'
"#;

fn evaluate(expression: &str) -> Result<Value, workflows::Raised> {
    common::run(&VARIABLES.replace("EXPRESSION", &expression.replace('\'', "''")), json!(null))
}

#[track_caller]
fn check(table: &[(&str, Value)]) {
    for (expression, expected) in table {
        let result = evaluate(expression).unwrap_or_else(|raised| panic!("{expression}: {raised}"));
        assert_eq!(&result, expected, "{expression}");
        assert_eq!(result.is_f64(), expected.is_f64(), "{expression} has the wrong kind of number: {result}");
    }
}

#[test]
fn operators() {
    let table: &[(&str, Value)] = &[
        // Literals.
        ("1", json!(1)),
        ("-1", json!(-1)),
        ("1.5", json!(1.5)),
        ("2e3", json!(2000.0)),
        ("true", json!(true)),
        ("FALSE", json!(false)),
        ("null", json!(null)),
        (r#""a \"quoted\" \\ \u00e9""#, json!("a \"quoted\" \\ é")),
        // Arithmetic and its precedence.
        ("1 + 2 * 3", json!(7)),
        ("(1 + 2) * 3", json!(9)),
        ("10 - 2 - 3", json!(5)),
        ("7 / 2", json!(3.5)),
        ("6 / 2", json!(3.0)),
        ("7 // 2", json!(3)),
        ("-7 // 2", json!(-4)),
        ("7 % 3", json!(1)),
        ("7.5 // 2", json!(3.0)),
        ("i * d", json!(17.5)),
        ("-i + 1", json!(-6)),
        // Strings, also joined with numbers and booleans.
        (r#""a" + "b""#, json!("ab")),
        (r#""n=" + i"#, json!("n=7")),
        (r#"i + " of " + d"#, json!("7 of 2.5")),
        (r#""is " + t"#, json!("is true")),
        // Comparisons.
        ("1 == 1.0", json!(true)),
        ("i != 7", json!(false)),
        (r#"1 == "1""#, json!(false)),
        ("n == null", json!(true)),
        ("2 < 10", json!(true)),
        (r#""2" < "10""#, json!(false)),
        ("d >= 2.5", json!(true)),
        ("m.b == m.b", json!(true)),
        // Logic: not binds tighter than a comparison, and binds tighter than or; the right side runs only when it matters.
        ("true or false and false", json!(true)),
        ("not t == false", json!(true)),
        ("NOT t OR t", json!(true)),
        ("t or l[99] == 1", json!(true)),
        ("false and l[99] == 1", json!(false)),
        ("not (i == 7 and t)", json!(false)),
        // Membership.
        ("20 in l", json!(true)),
        ("e.code in [429, 503]", json!(true)),
        ("[1, [i, s], []]", json!([1, [7, "text"], []])),
        (r#""b" in m"#, json!(true)),
        (r#"not ("z" in m)"#, json!(true)),
        (r#""HttpError" in e.tags and e.code == 503"#, json!(true)),
        // Members and indices.
        ("m.b.c", json!("deep")),
        (r#"m["with space"]"#, json!(2)),
        ("m[key]", json!(1)),
        ("l[i - 6]", json!(20)),
        ("l[len(l) - 1]", json!(30)),
    ];
    check(table);
}

#[test]
fn functions() {
    let table: &[(&str, Value)] = &[
        // Helpers.
        ("default(n, 5)", json!(5)),
        ("default(i, 5)", json!(7)),
        (r#"if(i > 5, "big", "small")"#, json!("big")),
        ("if(n, 1, 2)", json!(2)),
        ("keys(m)", json!(["a", "b", "with space"])),
        ("len(s)", json!(4)),
        (r#"len("é")"#, json!(1)),
        ("len(m)", json!(3)),
        (r#"int("42")"#, json!(42)),
        ("int(-2.7)", json!(-2)),
        (r#"double("2.7")"#, json!(2.7)),
        ("double(2)", json!(2.0)),
        ("string(1.7)", json!("1.7")),
        ("string(t)", json!("true")),
        // Maps and lists.
        (r#"map.get(m, "a")"#, json!(1)),
        (r#"map.get(m, "z")"#, json!(null)),
        (r#"map.get(n, "z")"#, json!(null)),
        (r#"map.get(m, ["b", "c"])"#, json!("deep")),
        (r#"map.get(m, ["a", "c"])"#, json!(null)),
        (r#"default(map.get(m, "z"), "none")"#, json!("none")),
        (r#"map.delete(m, "b")"#, json!({"a": 1, "with space": 2})),
        (r#"map.merge(m.b, json.decode("{\"c\": 1, \"d\": 2}"))"#, json!({"c": 1, "d": 2})),
        (r#"map.merge_nested(m, json.decode("{\"b\": {\"d\": 1}}")).b"#, json!({"c": "deep", "d": 1})),
        ("list.concat(l, 40)", json!([10, 20, 30, 40])),
        ("list.prepend(l, s)", json!(["text", 10, 20, 30])),
        // Text.
        (r#"text.split("a,b,,c", ",")"#, json!(["a", "b", "", "c"])),
        (r#"text.replace_all("a-b-c", "-", "+")"#, json!("a+b+c")),
        (r#"text.substring("héllo", 1, 3)"#, json!("él")),
        (r#"text.to_upper("aé")"#, json!("AÉ")),
        (r#"text.to_lower("AÉ")"#, json!("aé")),
        (r#"text.url_encode("a b/é")"#, json!("a%20b%2F%C3%A9")),
        (r#"text.url_encode_plus("a b")"#, json!("a+b")),
        (r#"text.url_decode("a%20b%2F%C3%A9")"#, json!("a b/é")),
        // Encodings; integers stay integers.
        ("json.encode_to_string(m.b)", json!(r#"{"c":"deep"}"#)),
        (r#"json.decode("[1, 2.0, null]")"#, json!([1, 2.0, null])),
        ("text.decode(json.encode(l))", json!("[10,20,30]")),
        (r#"base64.encode(text.encode("hi"))"#, json!("aGk=")),
        (r#"text.decode(base64.decode("aGk="))"#, json!("hi")),
        // Time and environment.
        ("sys.now()", json!(1_720_788_633.25)),
        ("time.format(1720788633)", json!("2024-07-12T12:50:33.000000Z")),
        (r#"time.format(1720788633, "GMT")"#, json!("2024-07-12T12:50:33.000000Z")),
        (r#"time.format(1720788633, "Europe/Paris")"#, json!("2024-07-12T14:50:33.000000+02:00")),
        (r#"text.substring(time.format(sys.now(), "Europe/Paris"), 0, 10)"#, json!("2024-07-12")),
        (r#"time.parse("2024-07-12T14:50:33.5+02:00")"#, json!(1_720_788_633.5)),
        (r#"sys.get_env("REGION")"#, json!("here")),
        (r#"sys.get_env("REGION", "elsewhere")"#, json!("here")),
        ("len(uuid.generate())", json!(36)),
    ];
    check(table);
}

#[test]
fn errors() {
    let table = [
        ("m.z", "KeyError", "KeyError: key not found: z"),
        ("m[i]", "TypeError", "a map is indexed by a string"),
        ("l[3]", "IndexError", "index 3 is out of range for a list of 3"),
        ("l[-1]", "IndexError", "out of range"),
        ("l[s]", "TypeError", "a list is indexed by an integer"),
        ("i.z", "TypeError", "integer has no items"),
        ("n.z", "TypeError", "null has no items"),
        ("i + n", "TypeError", "unsupported operand types for +: integer and null"),
        ("s - 1", "TypeError", "for -: string and integer"),
        ("l + l", "TypeError", "for +: list and list"),
        ("t + i", "TypeError", "for +: boolean and integer"),
        ("s < 1", "TypeError", "for <: string and integer"),
        ("not i", "TypeError", "not takes a boolean, not integer"),
        ("i and t", "TypeError", "and takes a boolean"),
        ("1 in s", "TypeError", "for in: integer and string"),
        ("i / 0", "ZeroDivisionError", "division by zero"),
        ("i // 0", "ZeroDivisionError", "division by zero"),
        ("d % 0", "ZeroDivisionError", "division by zero"),
        ("9223372036854775807 + 1", "ValueError", "does not fit a 64-bit integer"),
        (r#"int("seven")"#, "ValueError", "\"seven\" is no integer"),
        ("int(n)", "TypeError", "value must be a string or a number, not null"),
        ("len(i)", "TypeError", "value must be a string, list or map"),
        ("keys(l)", "TypeError", "map must be a map, not list"),
        ("string(m)", "TypeError", "not map"),
        ("map.get(m, 1)", "TypeError", "keys must be a string or a list of strings"),
        (r#"text.substring("abc", 2, 9)"#, "ValueError", "outside a string of 3 characters"),
        (r#"json.decode("{")"#, "ValueError", "json.decode"),
        (r#"base64.decode("!")"#, "ValueError", "base64.decode"),
        (r#"time.parse("yesterday")"#, "ValueError", "time.parse"),
        (r#"time.format(0, "Mars/Olympus")"#, "ValueError", "unknown time zone"),
        (r#"sys.get_env("NOWHERE")"#, "KeyError", "environment variable \"NOWHERE\" is not set"),
        ("json.encode(l)", "ValueError", "bytes cannot be encoded as JSON"),
    ];
    for (expression, tag, message) in table {
        let raised = evaluate(expression).expect_err(expression);
        assert_eq!(common::tags(&raised).first().map(String::as_str), Some(tag), "{expression}: {raised}");
        assert!(raised.to_string().contains(message), "{expression}: {raised}");
    }
}

#[test]
fn an_error_tells_its_steps() {
    let raised = evaluate("m.z").unwrap_err();
    assert_eq!(raised.to_string(), "KeyError: key not found: z\nin step \"result\", routine \"main\", line: 15");
    assert_eq!(common::tags(&raised), ["KeyError", "LookupError"]);
}
