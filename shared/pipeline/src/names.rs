//! Enumerations that are written as words, and the search for the word that was meant.

/// A longer list of accepted names is cut.
const MOST_NAMED: usize = 20;

/// A type whose values are written as one of a few words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// What a value is called in an error: `granularity`.
    const KIND: &'static str;
    /// Every word and its value.
    const ALL: &'static [(&'static str, Self)];

    /// The value that is written `text`.
    fn from_word(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }

    /// The word for this value.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// The candidate most like `text`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&text, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= 0.75)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// `; accepted: a, b, c` and, where one is near, `; did you mean `b`?`.
pub(crate) fn accepted<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if candidates.is_empty() {
        return "; there is none yet".to_owned();
    }
    let mut list = candidates[..candidates.len().min(MOST_NAMED)].join(", ");
    if candidates.len() > MOST_NAMED {
        list = format!("{list} and {} more", candidates.len() - MOST_NAMED);
    }
    let meant = nearest(text, candidates).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("; accepted: {list}{meant}")
}

/// The text in quotes, cut to 80 characters, control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}
