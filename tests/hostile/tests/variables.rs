//! Every variable of the environment, given what nobody should set.

use std::collections::BTreeMap;

use hostile::payloads;
use service::Config;

/// The file that knows every variable; a new one is tested by itself.
const SOURCE: &str = include_str!("../../../shared/service/src/config.rs");

/// Variables that say where files are, are secret, or are Google's, take any text.
const FREE: [&str; 11] = [
    "BGP_CONFIG",
    "BGP_HOME",
    "BGP_CACHE",
    "BGP_PYTHON",
    "BGP_DBT_PARSED",
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "BGP_TOKEN",
    "OPENLINEAGE_API_KEY",
];

/// No message may say what they hold.
const SECRETS: [&str; 2] = ["BGP_TOKEN", "OPENLINEAGE_API_KEY"];

/// To a log filter most words are names of modules; the name of a topic, a path of a server and a namespace may hold
/// nearly everything that a word is made of.
const WORDS: [&str; 4] = ["BGP_LOG", "BGP_TOPIC", "OPENLINEAGE_ENDPOINT", "OPENLINEAGE_NAMESPACE"];

fn variables() -> Vec<&'static str> {
    let names = SOURCE.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    names.collect()
}

#[test]
fn every_variable_takes_every_payload() {
    let mut pairs = 0;
    let mut accepted = BTreeMap::<&str, usize>::new();
    for variable in variables() {
        for payload in payloads() {
            let mut environment = BTreeMap::from([
                ("HOME".to_owned(), "/somebody".to_owned()),
                (variable.to_owned(), payload.text().to_owned()),
            ]);
            // Each of these needs the other.
            match variable {
                "BGP_AUDIENCE" => environment.insert("BGP_CALLERS".to_owned(), "a@b.example".to_owned()),
                "BGP_CALLERS" => environment.insert("BGP_AUDIENCE".to_owned(), "https://load.example".to_owned()),
                _ => None,
            };
            pairs += 1;
            match Config::from_variables(&environment) {
                Ok(_) => *accepted.entry(variable).or_default() += 1,
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.contains(variable), "{variable} {}: {said}", payload.shown());
                    assert!(said.len() < 700, "{variable} {}: {} bytes", payload.shown(), said.len());
                    assert!(
                        !SECRETS.contains(&variable) || payload.text().len() < 8 || !said.contains(payload.text()),
                        "{said}"
                    );
                }
            }
        }
    }
    println!("{} variables, {pairs} pairs; accepted: {accepted:?}", variables().len());
    for (variable, count) in accepted {
        // Names, numbers and short words are right for some; the rest is refused.
        let most = payloads().len() * if WORDS.contains(&variable) { 2 } else { 1 } / 3;
        assert!(FREE.contains(&variable) || count < most, "{variable} takes {count} payloads");
    }
}
