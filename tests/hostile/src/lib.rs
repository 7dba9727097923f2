//! Values that nobody should send: one of each class, for whatever takes a value.
//!
//! A class is a way in which programs have been broken, or people deceived. What takes them all with an honest answer is
//! not proven to be safe, but it is not naive.

mod texts;
mod values;

/// One value, as it stands in a JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Names the class; unique.
    pub class: &'static str,
    /// What stands in the place of the value. Not JSON itself for those classes that break the document.
    pub json: String,
    text: Option<String>,
}

impl Payload {
    fn of_text(class: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { class, json: serde_json::Value::from(text.as_str()).to_string(), text: Some(text) }
    }

    fn of_json(class: &'static str, json: impl Into<String>) -> Self {
        Self { class, json: json.into(), text: None }
    }

    /// The value where there are only texts: on a command line, in the environment, in an address.
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or(&self.json)
    }

    /// Whether it is a text in JSON too.
    pub fn is_text(&self) -> bool {
        self.text.is_some()
    }

    /// The beginning, for messages.
    pub fn shown(&self) -> String {
        format!("{} {:?}", self.class, self.text().chars().take(60).collect::<String>())
    }
}

/// One payload of each class.
pub fn payloads() -> Vec<Payload> {
    let mut payloads = texts::texts();
    payloads.extend(values::values());
    payloads
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_at_least_two_hundred_classes_and_no_two_are_the_same() {
        let all = payloads();
        let classes: BTreeSet<&str> = all.iter().map(|payload| payload.class).collect();
        let contents: BTreeSet<&str> = all.iter().map(|payload| payload.json.as_str()).collect();
        assert_eq!((classes.len(), contents.len()), (all.len(), all.len()));
        assert!(all.len() >= 200, "only {}", all.len());
    }
}
