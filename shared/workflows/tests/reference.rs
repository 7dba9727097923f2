//! What Google's reference and published samples say about the language, a row each: the topic, and what comes out. The facts are
//! theirs, the workflows are not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{World, json_response, tags};
use serde_json::{Value, json};

/// An expression, and its value or the tag of the error that it raises.
type Row = (&'static str, &'static str, Result<Value, &'static str>);

fn expressions() -> Vec<Row> {
    vec![
        // syntax/datatypes, order of operations: () . [] not - */ +- comparisons and or
        ("order of operations", "2 + 3 * 4", Ok(json!(14))),
        ("order of operations", "(2 + 3) * 4", Ok(json!(20))),
        ("order of operations", "20 // 4 * 2 % 6", Ok(json!(4))),
        ("order of operations", "1 - 2 - 3", Ok(json!(-4))),
        ("order of operations", "-2 * 3 + 1", Ok(json!(-5))),
        ("order of operations", "1 + 1 == 2 and 3 > 2 + 2 or true", Ok(json!(true))),
        ("order of operations", "not false and false", Ok(json!(false))),
        ("order of operations", "1 + 1 in [2, 3]", Ok(json!(true))),
        // syntax/datatypes, literals and logical operators in lower and upper case
        ("data types", "TRUE and True and true", Ok(json!(true))),
        ("data types", "FALSE or False or false", Ok(json!(false))),
        ("logical operators", "NOT false AND true OR false", Ok(json!(true))),
        ("logical operators", "1 and true", Err("TypeError")),
        // syntax/datatypes, implicit conversions: the table of +
        ("implicit conversions", "1 + 2", Ok(json!(3))),
        ("implicit conversions", "1 + 2.5", Ok(json!(3.5))),
        ("implicit conversions", "2.5 + 2.5", Ok(json!(5.0))),
        ("implicit conversions", r#"1 + "a""#, Ok(json!("1a"))),
        ("implicit conversions", r#"2.5 + "a""#, Ok(json!("2.5a"))),
        ("implicit conversions", r#""a" + 1"#, Ok(json!("a1"))),
        ("implicit conversions", r#""a" + true"#, Ok(json!("atrue"))),
        ("implicit conversions", r#"false + "a""#, Ok(json!("falsea"))),
        ("implicit conversions", "true + 1", Err("TypeError")),
        ("implicit conversions", "2.5 + true", Err("TypeError")),
        ("implicit conversions", "true + true", Err("TypeError")),
        // syntax/expressions: / is a division of doubles, // rounds down
        ("expressions", "9 / 2", Ok(json!(4.5))),
        ("expressions", "8 / 2", Ok(json!(4.0))),
        ("expressions", "9 // 2", Ok(json!(4))),
        ("expressions", "9 % 2", Ok(json!(1))),
        ("expressions", r#""one, " + "two""#, Ok(json!("one, two"))),
        // stdlib/expression-helpers
        ("helpers", r#"default(map.get(m, "nothing"), "instead")"#, Ok(json!("instead"))),
        ("helpers", "keys(m)", Ok(json!(["k", "n"]))),
        ("helpers", "[len(l), len(m), len(s)]", Ok(json!([3, 2, 4]))),
        ("helpers", r#"[int("12"), int(2.7), double("1.5"), string(7)]"#, Ok(json!([12, 2, 1.5, "7"]))),
        ("helpers", r#"if(len(l) == 3, "three", "others")"#, Ok(json!("three"))),
        ("helpers", r#"["k" in m, "z" in m, 20 in l]"#, Ok(json!([true, false, true]))),
        // stdlib/text
        ("text.find_all", r#"text.find_all("00000", "00")"#, Ok(json!([0, 2]))),
        ("text.find_all", r#"text.find_all("Hello World", "l")"#, Ok(json!([2, 3, 9]))),
        ("text.find_all", r#"text.find_all("äöä", "ä")"#, Ok(json!([0, 2]))),
        (
            "text.find_all_regex",
            r#"text.find_all_regex("HelloWorld", "Hello|World")"#,
            Ok(json!([{"index": 0, "match": "Hello"}, {"index": 5, "match": "World"}])),
        ),
        // Of matches that begin at one place the longest counts.
        ("text.find_all_regex", r#"text.find_all_regex("abc", "a|ab|abc")[0].match"#, Ok(json!("abc"))),
        ("text.find_all_regex", r#"text.find_all_regex("abc", "[")"#, Err("ValueError")),
        ("text.find_all_regex", r#"text.find_all_regex("x", "y")"#, Ok(json!([]))),
        (
            "text.match_regex",
            r#"[text.match_regex("run-7", "\\d$"), text.match_regex("٣", "\\d")]"#,
            Ok(json!([true, false])),
        ),
        (
            "text.replace_all_regex",
            r#"text.replace_all_regex("one two", "one|two", "three")"#,
            Ok(json!("three three")),
        ),
        // No references to groups; an empty expression matches before, between and behind the characters.
        ("text.replace_all_regex", r#"text.replace_all_regex("ab", "(a)", "\\1$1")"#, Ok(json!("\\1$1b"))),
        ("text.replace_all_regex", r#"text.replace_all_regex("ab", "", "-")"#, Ok(json!("-a-b-"))),
        ("text.split", r#"text.split("us-central1", "-")[0]"#, Ok(json!("us"))),
        ("text.encode", r#"text.decode(text.encode("Grüße", "UTF-8"), "UTF-8")"#, Ok(json!("Grüße"))),
        // stdlib/hash: bytes in, bytes out
        (
            "hash.compute_checksum",
            r#"base64.encode(hash.compute_checksum(text.encode("Hello World"), "SHA256"))"#,
            Ok(json!("pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4=")),
        ),
        ("hash.compute_checksum", r#"hash.compute_checksum("Hello World", "SHA256")"#, Err("TypeError")),
        ("hash.compute_checksum", r#"hash.compute_checksum(text.encode("x"), "CRC32")"#, Err("ValueError")),
        (
            // The second test of RFC 4231.
            "hash.compute_hmac",
            r#"base64.encode(hash.compute_hmac(text.encode("Jefe"), text.encode("what do ya want for nothing?"), "SHA256"))"#,
            Ok(json!("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=")),
        ),
        // stdlib/base64: line ends are ignored, padding is expected unless it is said otherwise
        ("base64.decode", r#"text.decode(base64.decode("aGVs\nbG8=\r\n"))"#, Ok(json!("hello"))),
        ("base64.decode", r#"text.decode(base64.decode("aGVsbG8", false))"#, Ok(json!("hello"))),
        ("base64.decode", r#"base64.decode("aGVsbG8")"#, Err("ValueError")),
        ("base64.encode", r#"base64.encode(text.encode("hello"), false)"#, Ok(json!("aGVsbG8"))),
        // stdlib/json: indented by four spaces unless it is said otherwise
        ("json.encode_to_string", "json.encode_to_string(m)", Ok(json!(r#"{"k":"v","n":null}"#))),
        (
            "json.encode_to_string",
            r#"json.encode_to_string([1], true) + "|" + json.encode_to_string([1], options)"#,
            Ok(json!("[\n    1\n]|[\n> .1\n> ]")),
        ),
        ("json.encode", r#"json.encode(text.encode("bytes"))"#, Err("ValueError")),
        ("json.decode", r#"json.decode(text.encode("{\"a\": [1, 2.5]}")).a[1]"#, Ok(json!(2.5))),
        // stdlib/math, list, map
        ("math", "[math.abs(-3), math.abs(-2.5), math.floor(2.7), math.floor(-2.1)]", Ok(json!([3, 2.5, 2, -3]))),
        ("math", "[math.max(2, 7), math.min(2.5, 7), math.max(1.5, 2)]", Ok(json!([7, 2.5, 2]))),
        ("math", r#"math.max("2", 7)"#, Err("TypeError")),
        ("list", "[list.concat(l, 40), list.prepend(l, 0), len(l)]", Ok(json!([[10, 20, 30, 40], [0, 10, 20, 30], 3]))),
        ("map.get", r#"[map.get(m, "z"), map.get(m, ["k", "z"]), map.get(m, ["k"])]"#, Ok(json!([null, null, "v"]))),
        ("map.merge", r"map.merge(m, options)", Ok(json!({"k": "v", "n": null, "prefix": "> ", "indent": "."}))),
        // syntax/error-types
        ("error tags", "l[3]", Err("IndexError")),
        ("error tags", "m.z", Err("KeyError")),
        ("error tags", "1 % 0", Err("ZeroDivisionError")),
        ("error tags", "s - 1", Err("TypeError")),
        ("error tags", r#"int("twelve")"#, Err("ValueError")),
        ("error tags", r#"sys.get_env("NOBODY_SET_IT")"#, Err("KeyError")),
        // stdlib/sys/get_env
        ("sys.get_env", r#"sys.get_env("NOBODY_SET_IT", "by default")"#, Ok(json!("by default"))),
        ("sys.get_env", r#"sys.get_env("NOBODY_SET_IT", 7)"#, Err("TypeError")),
    ]
}

#[test]
fn expressions_have_these_values() {
    let rows = expressions();
    for (topic, expression, expected) in &rows {
        let source = VARIABLES.replace("EXPRESSION", &expression.replace('\'', "''"));
        match (common::run(&source, json!(null)), expected) {
            (Ok(value), Ok(expected)) => assert_eq!(&value, expected, "{topic}: {expression}"),
            (Err(raised), Err(tag)) => {
                assert_eq!(tags(&raised).first().unwrap(), tag, "{topic}: {expression}: {raised}");
            }
            (outcome, expected) => panic!("{topic}: {expression}: {outcome:?} instead of {expected:?}"),
        }
    }
    assert!(rows.len() >= 60, "{}", rows.len());
}

const VARIABLES: &str = r#"
- given:
    assign:
      - s: "text"
      - l: [10, 20, 30]
      - m: {"k": "v", "n": null}
      - options: {"prefix": "> ", "indent": "."}
- result:
    return: '${EXPRESSION}'
"#;

/// A workflow, and what it returns or the tag that it ends with. Requests are answered by their path: a number is the status, the
/// second time 200, and other paths are returned as the body.
fn workflows() -> Vec<Row> {
    vec![
        ("iteration, range", include_str!("reference/range.yaml"), Ok(json!([45, 13.5, 1, [2, 4]]))),
        ("iteration, in", include_str!("reference/collections.yaml"), Ok(json!([15, 60, [3, 2, 1], ["a0", "b1"]]))),
        (
            "conditions and jumps",
            include_str!("reference/jumps.yaml"),
            Ok(json!(["foobar", "increased to 8", "large"])),
        ),
        (
            "subworkflows",
            include_str!("reference/subworkflows.yaml"),
            Ok(json!(["Hello Ada Lovelace from England", 120, 3])),
        ),
        (
            "maps",
            include_str!("reference/maps.yaml"),
            Ok(json!({"first": "Jo", "middle": "A.", "at": {"city": "X", "n": [0, 2]}})),
        ),
        ("errors, catch", include_str!("reference/catch.yaml"), Ok(json!(["not found", "how odd!", 55, "fell back"]))),
        ("errors, retry", include_str!("reference/retry.yaml"), Ok(json!(["503 again", "202 again", 2]))),
        ("errors, not caught", "- a:\n    raise:\n      code: 55\n      tags: [Own]\n", Err("Own")),
        (
            "parallel, shared",
            include_str!("reference/parallel.yaml"),
            Ok(json!([6, ["x", "y", "z"], {"left": 1, "right": 2}])),
        ),
        ("parallel, errors", include_str!("reference/branches.yaml"), Ok(json!([["1", "3", "5"], "how odd!", true]))),
        ("loop scope", include_str!("reference/scope.yaml"), Ok(json!([8, "KeyError"]))),
        ("call stack depth", include_str!("reference/recursion.yaml"), Err("RecursionError")),
        ("memory", include_str!("reference/memory.yaml"), Err("ResourceLimitError")),
        ("sleeping", include_str!("reference/sleep.yaml"), Ok(json!("2024-07-12T12:50:33.250000Z"))),
    ]
}

#[test]
fn workflows_come_to_these_ends() {
    for (topic, source, expected) in workflows() {
        let seen = std::sync::Mutex::new(std::collections::HashSet::new());
        let world = World::new(move |request, _| {
            let path = request.url.rsplit('/').next().unwrap_or_default().to_owned();
            let code = path.parse().ok().filter(|_| seen.lock().unwrap().insert(path.clone())).unwrap_or(200);
            Ok(json_response(code, &format!("\"{path}\"")))
        });
        match (world.run(source, json!(null)), expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{topic}"),
            (Err(raised), Err(tag)) => assert_eq!(tags(&raised).first().unwrap(), tag, "{topic}: {raised}"),
            (outcome, expected) => panic!("{topic}: {outcome:?} instead of {expected:?}"),
        }
    }
}
