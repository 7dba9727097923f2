use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn headers(values: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// Trace, span, and whether it is sampled.
fn found(values: &[(&'static str, &str)]) -> Option<(String, String, bool)> {
    parent(&headers(values))
        .map(|found| (found.trace_id().to_string(), found.span_id().to_string(), found.is_sampled()))
}

fn known(trace: &str, span: &str, is_sampled: bool) -> (String, String, bool) {
    (trace.to_owned(), span.to_owned(), is_sampled)
}

#[test]
fn a_traceparent_names_trace_span_and_whether_it_is_sampled() {
    let said = |text: &str| found(&[("traceparent", text)]);
    assert_eq!(said(&format!("00-{TRACE}-{SPAN}-01")), Some(known(TRACE, SPAN, true)));
    assert_eq!(said(&format!("00-{TRACE}-{SPAN}-00")), Some(known(TRACE, SPAN, false)));
    assert_eq!(said(&format!("00-{TRACE}-{SPAN}-03")), Some(known(TRACE, SPAN, true)));
    // A later version may say more.
    assert_eq!(said(&format!("cc-{TRACE}-{SPAN}-01-more")), Some(known(TRACE, SPAN, true)));
}

#[test]
fn a_traceparent_that_is_none_is_ignored() {
    let upper = TRACE.to_uppercase();
    let zeros = "0".repeat(32);
    for text in [
        String::new(),
        "-".to_owned(),
        "---".to_owned(),
        format!("{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-+1"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("00-{upper}-{SPAN}-01"),
        format!("00-{zeros}-{SPAN}-01"),
        format!("00-{TRACE}-{}-01", &zeros[..16]),
        format!("00-{}-{SPAN}-01", &TRACE[..31]),
        format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!(" 00-{TRACE}-{SPAN}-01 x"),
        format!("00-{TRACE}-{SPAN}-01\u{e9}"),
        "00-".repeat(3000),
    ] {
        assert_eq!(found(&[("traceparent", &text)]), None, "{text:?}");
    }
}

#[test]
fn of_two_traceparents_neither_is_believed() {
    let (one, other) = (format!("00-{TRACE}-{SPAN}-01"), format!("00-{}-{SPAN}-01", "1".repeat(32)));
    assert_eq!(found(&[("traceparent", &one), ("traceparent", &other)]), None);
}

#[test]
fn googles_header_is_read_where_there_is_no_valid_traceparent() {
    let said = |text: &str| found(&[("x-cloud-trace-context", text)]);
    assert_eq!(said(&format!("{TRACE}/67667974448284343;o=1")), Some(known(TRACE, SPAN, true)));
    assert_eq!(said(&format!("{TRACE}/67667974448284343;o=0")), Some(known(TRACE, SPAN, false)));
    assert_eq!(said(&format!("{TRACE}/67667974448284343")), Some(known(TRACE, SPAN, true)));
    assert_eq!(said(&format!("{}/67667974448284343;o=1", TRACE.to_uppercase())), Some(known(TRACE, SPAN, true)));
    for without_span in [TRACE.to_owned(), format!("{TRACE};o=1"), format!("{TRACE}/0;o=1")] {
        let (trace, span, is_sampled) = said(&without_span).unwrap();
        assert!(trace == TRACE && span != "0".repeat(16) && is_sampled, "{without_span}");
    }
    for text in ["", "/", "/;", ";o=1", "x/1;o=1", "1/1;o=1"] {
        assert_eq!(said(text), None, "{text:?}");
    }
    for behind in ["/", "/x", "/-1", "/+1", "/18446744073709551616", "/1;", "/1;o=", "/1;o=x", "/1;1", "/1;o=1;o=1"] {
        assert_eq!(said(&format!("{TRACE}{behind}")), None, "{behind}");
    }

    let (other, google) = ("1".repeat(32), ("x-cloud-trace-context", format!("{TRACE}/67667974448284343;o=1")));
    let w3c = format!("00-{other}-{SPAN}-00");
    assert_eq!(found(&[("traceparent", &w3c), (google.0, &google.1)]), Some(known(&other, SPAN, false)));
    assert_eq!(found(&[("traceparent", "00-none"), (google.0, &google.1)]), Some(known(TRACE, SPAN, true)));
}

proptest! {
    #[test]
    fn every_pair_of_ids_is_read_as_it_was_written(trace in 1_u128.., span in 1_u64.., flags in any::<u8>()) {
        let expected = Some(known(&format!("{trace:032x}"), &format!("{span:016x}"), flags & 1 == 1));
        let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        prop_assert_eq!(&found(&[("traceparent", &text)]), &expected);
        let text = format!("{trace:032x}/{span};o={flags}");
        prop_assert_eq!(&found(&[("x-cloud-trace-context", &text)]), &expected);
    }

    /// Whatever was sent, what is believed of it is the ids that it spells out.
    #[test]
    fn nothing_is_believed_that_was_not_said(
        text in "[0-9a-fA-F]{0,3}[-;/]?[0-9a-fA-F+ ]{30,33}[-/]?[0-9a-f+]{14,20}[-;]?(o=)?[0-9a-f+]{0,3}|[ -~]{0,80}",
    ) {
        for name in ["traceparent", "x-cloud-trace-context"] {
            if let Some((trace, span, _)) = found(&[(name, &text)]) {
                prop_assert!(text.to_lowercase().contains(&trace), "{trace} of {text}");
                let decimal = u64::from_str_radix(&span, 16).unwrap().to_string();
                let is_said = text.contains(&span) || text.contains(&decimal);
                prop_assert!(is_said || name == "x-cloud-trace-context", "{span} of {text}");
                prop_assert!(trace.bytes().any(|byte| byte != b'0') && span.bytes().any(|byte| byte != b'0'));
            }
        }
    }
}
