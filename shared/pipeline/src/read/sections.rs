//! The sections beside `tables`.

use indexmap::IndexMap;
use wap::Identifier;

use super::{names, refuse_repeated};
use crate::names::{Word, quoted};
use crate::pipeline::{
    Audit, Dbt, DbtGit, Limits, Live, RawDataset, Retention, Rule, RuleCheck, Sandbox, Schedule, Severity,
};
use crate::place::{Fields, Place};
use crate::source::{Source, SourceKind};
use crate::table::{Compression, LakeLayout};

/// Ten years; a longer time is a slip of the keyboard.
pub(super) const MOST_DAYS: u32 = 3660;
const MOST_HOURS: u32 = MOST_DAYS * 24;

/// The words for kinds of audit rules.
#[derive(Clone, Copy, PartialEq)]
enum RuleWord {
    Sql,
    Volume,
    Freshness,
    Drift,
    Balance,
}

impl Word for RuleWord {
    const KIND: &'static str = "kind of rule";
    const ALL: &'static [(&'static str, Self)] = &[
        ("sql", Self::Sql),
        ("volume", Self::Volume),
        ("freshness", Self::Freshness),
        ("drift", Self::Drift),
        ("balance", Self::Balance),
    ];
}

pub(super) fn sandbox(
    mut fields: Fields<'_>,
    sources: &IndexMap<Identifier, Source>,
    names: &[Identifier],
) -> Option<Sandbox> {
    let source = fields.required("source", |place| {
        let name = place.known("source", names)?;
        if matches!(sources.get(&name)?.kind, SourceKind::Duckdb { .. }) {
            return Some(name);
        }
        place.refuse(format!("the source {name} is not of kind duckdb; the sandbox writes DuckDB files only"));
        None
    });
    let seed = fields.optional("seed", |place| place.integer(0..=u64::MAX));
    let scale = fields.optional("scale", |place| place.positive(10_000.0));
    fields.finish();
    Some(Sandbox { source: source?, seed: seed.unwrap_or(42), scale: scale.unwrap_or(1.0) })
}

/// The defaults of every table's layout; `path` is their common prefix.
pub(super) fn lake(mut fields: Fields<'_>) -> LakeLayout {
    let path = fields.optional("prefix", object_prefix).unwrap_or_else(|| "lake".to_owned());
    let standard =
        LakeLayout { path, compression: Compression::Zstd, object_rows: 5_000_000, object_bytes: 256 * 1024 * 1024 };
    let layout = object_layout(&mut fields, &standard);
    fields.finish();
    layout
}

/// What `fields` say about objects; the rest is as in `standard`.
pub(super) fn object_layout(fields: &mut Fields<'_>, standard: &LakeLayout) -> LakeLayout {
    let compression = fields.optional("compression", Place::word);
    let object_rows = fields.optional("object_rows", |place| place.integer(1..=1_000_000_000));
    let object_bytes = fields.optional("object_bytes", |place| place.bytes(65_536..=10 * 1024 * 1024 * 1024));
    LakeLayout {
        path: standard.path.clone(),
        compression: compression.unwrap_or(standard.compression),
        object_rows: object_rows.unwrap_or(standard.object_rows),
        object_bytes: object_bytes.unwrap_or(standard.object_bytes),
    }
}

/// The prefix of objects' keys, which are file names in a folder store.
pub(super) fn object_prefix(place: &Place<'_>) -> Option<String> {
    let text = place.text()?;
    let harmless = |part: &str| {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=.".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(word)
    };
    if text.len() <= 256 && text.split('/').all(harmless) {
        return Some(text.to_owned());
    }
    place.refuse(format!(
        "{} is not a prefix of objects; accepted: parts of letters, digits and _ - = . with a slash between them, \
         such as lake/customers",
        quoted(text)
    ));
    None
}

pub(super) fn raw(mut fields: Fields<'_>) -> Option<RawDataset> {
    let dataset = dataset(&mut fields, "raw");
    let description = fields.optional("description", Place::owned_text);
    let labels = fields.optional("labels", labels).unwrap_or_default();
    let expiration_days = fields.optional("expiration_days", |place| place.integer(1..=MOST_DAYS));
    let time_travel_hours = fields.optional("time_travel_hours", |place| {
        let hours = place.integer(48..=168)?;
        if hours % 24 != 0 {
            place.refuse(format!("{hours} is not a number of whole days; accepted: 48, 72, 96, 120, 144, 168"));
        }
        Some(hours)
    });
    fields.finish();
    Some(RawDataset { dataset: dataset?, description, labels, expiration_days, time_travel_hours })
}

pub(super) fn schedule(mut fields: Fields<'_>) -> Option<Schedule> {
    let cron = |fields: &mut Fields<'_>, key: &'static str, standard: &str| match fields.get(key) {
        None => standard.parse().ok(),
        Some(place) => {
            let text = place.text()?;
            text.parse()
                .map_err(|error: String| place.refuse(format!("{} is not a schedule: {error}", quoted(text))))
                .ok()
        }
    };
    let daily = cron(&mut fields, "daily", "30 3 * * *");
    let cleanup = cron(&mut fields, "cleanup", "0 5 * * 0");
    fields.finish();
    Some(Schedule { daily: daily?, cleanup: cleanup? })
}

/// Labels by the rules of BigQuery.
fn labels(place: &Place<'_>) -> Option<IndexMap<String, String>> {
    let fits = |text: &str| {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        text.len() <= 63 && text.bytes().all(word)
    };
    let mut labels = IndexMap::new();
    for (key, entry) in place.entries()? {
        let Some(value) = entry.text() else { continue };
        if fits(key) && key.starts_with(|first: char| first.is_ascii_lowercase()) && fits(value) {
            labels.insert(key.to_owned(), value.to_owned());
        } else {
            entry.refuse(format!(
                "{} is not a label; accepted: a key and a value of lower-case letters, digits, _ and -, up to 63 \
                 characters, the key beginning with a letter",
                quoted(&format!("{key}: {value}"))
            ));
        }
    }
    Some(labels)
}

pub(super) fn dbt(mut fields: Fields<'_>) -> Option<Dbt> {
    let git = fields.get("git");
    let project = match fields.get("project") {
        Some(place) if git.is_some() => {
            place.refuse("a project is either a folder or in git; with `git` its folder there is `subdirectory`");
            None
        }
        Some(place) => place.path(),
        None => Some("dbt".to_owned()),
    };
    let git = git_source(&mut fields, git);
    let layers = fields.optional("layers", |place| Some(names(place, "layer", Place::identifier)));
    let publish = fields.required("publish", |place| {
        let publish = place.list(|item| item.path())?;
        if publish.is_empty() {
            place.refuse("the list is empty; name a folder such as models/mart, or models, that readers see");
        }
        Some(publish)
    });
    let vars = fields.optional("vars", |place| {
        Some(place.entries()?.into_iter().map(|(name, value)| (name.to_owned(), value.json())).collect())
    });
    let per_run_vars = fields.optional("per_run_vars", |place| place.list(|item| item.owned_text()));
    fields.finish();
    Some(Dbt {
        project: project?,
        git: git?,
        layers: layers.unwrap_or_default(),
        publish: publish?,
        vars: vars.unwrap_or_default(),
        per_run_vars: per_run_vars.unwrap_or_default(),
    })
}

/// `None` if something was refused.
#[expect(clippy::option_option, reason = "a key that may be absent, and may be refused")]
fn git_source(fields: &mut Fields<'_>, url: Option<Place<'_>>) -> Option<Option<DbtGit>> {
    let Some(place) = url else {
        for key in ["revision", "subdirectory"] {
            if let Some(place) = fields.get(key) {
                place.refuse("only a project in git has it; the key `git` is missing");
                return None;
            }
        }
        return Some(None);
    };
    let url = git_url(&place);
    let revision = fields.required("revision", |place| {
        let text = place.text()?;
        let is_whole = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_whole {
            place.refuse(format!(
                "{} is not a commit; accepted: its name of 40 or 64 hexadecimal digits, as `git rev-parse` prints it. A branch or \
                 tag may name another commit tomorrow",
                quoted(text)
            ));
        }
        is_whole.then(|| text.to_ascii_lowercase())
    });
    let subdirectory = match fields.get("subdirectory") {
        Some(place) => place.path().filter(|path| {
            let is_inside = !path.starts_with('/');
            if !is_inside {
                place.refuse("the folder is one of the repository; leave out the slash that it begins with");
            }
            is_inside
        }),
        None => Some(String::new()),
    };
    Some(Some(DbtGit { url: url?, revision: revision?, subdirectory: subdirectory? }))
}

/// Where a repository is. What git would take for an option or a program is refused, and so are credentials.
fn git_url(place: &Place<'_>) -> Option<String> {
    let text = place.path()?;
    let rest = ["https://", "ssh://", "file://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let is_short = |text: &str| text.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
    let is_known = rest.is_some() || text.starts_with('/') || (is_short(&text) && !text.contains("::"));
    if !is_known || text.starts_with('-') || text.contains(char::is_whitespace) {
        place.refuse(format!(
            "{} is not a repository; accepted: https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or the path of one on this \
             machine",
            quoted(&text)
        ));
        return None;
    }
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':') || text.starts_with("https://")) {
        place.refuse(
            "the URL has credentials in it; leave them out, and give them to git by a credential helper or an SSH key",
        );
        return None;
    }
    Some(text)
}

/// Schemas that an attempt has beside those of its layers; `main` is for models in no layer.
const INNER_SCHEMAS: [&str; 3] = ["main", "raw", "changes"];

pub(super) fn live(
    mut fields: Fields<'_>,
    pipeline: Option<&Identifier>,
    raw: Option<&RawDataset>,
    dbt: Option<&Dbt>,
) -> Option<Live> {
    let dataset = dataset(&mut fields, "live");
    let layers = dbt.iter().flat_map(|dbt| &dbt.layers).map(Identifier::as_str);
    if let Some(dataset) = &dataset
        && INNER_SCHEMAS.into_iter().chain(layers).any(|inner| inner.eq_ignore_ascii_case(dataset.as_str()))
    {
        fields.place().refuse(format!(
            "the dataset of live is {dataset}, where models are built; readers need one of their own, such as live"
        ));
    }
    if let Some((dataset, raw)) = dataset.as_ref().zip(raw)
        && dataset.as_str().eq_ignore_ascii_case(raw.dataset.as_str())
    {
        fields.place().refuse(format!("the datasets of raw and of live are both {dataset}; they must differ"));
    }
    let prefix = match fields.get("prefix") {
        Some(place) => place.identifier(),
        None => pipeline.cloned(),
    };
    fields.finish();
    Some(Live { dataset: dataset?, prefix: prefix? })
}

fn dataset(fields: &mut Fields<'_>, standard: &str) -> Option<Identifier> {
    match fields.get("dataset") {
        Some(place) => place.identifier(),
        None => Identifier::new(standard).ok(),
    }
}

pub(super) fn audit(mut fields: Fields<'_>) -> Audit {
    let sample_rows = fields.optional("sample_rows", |place| place.integer(0..=100));
    let mut seen = Vec::new();
    let rules = fields.optional("rules", |place| {
        place.list(|item| {
            let rule = rule(item.fields()?)?;
            refuse_repeated(&item, "rule", &rule.name, &seen);
            seen.push(rule.name.clone());
            Some(rule)
        })
    });
    fields.finish();
    Audit { sample_rows: sample_rows.unwrap_or(5), rules: rules.unwrap_or_default() }
}

fn rule(mut fields: Fields<'_>) -> Option<Rule> {
    let name = fields.required("name", Place::identifier);
    let model = fields.required("model", Place::identifier);
    let severity = fields.optional("severity", Place::word);
    let check = match fields.required("kind", Place::word)? {
        RuleWord::Sql => fields.required("query", rule_query).map(|query| RuleCheck::Sql { query }),
        RuleWord::Volume => fields
            .required("max_change_ratio", |place| place.positive(1_000_000.0))
            .map(|max_change_ratio| RuleCheck::Volume { max_change_ratio }),
        RuleWord::Freshness => {
            let column = fields.required("column", Place::identifier);
            let max_age_hours = fields.required("max_age_hours", |place| place.integer(1..=MOST_HOURS));
            column.zip(max_age_hours).map(|(column, max_age_hours)| RuleCheck::Freshness { column, max_age_hours })
        }
        RuleWord::Drift => {
            let metric = fields.required("metric", query);
            let max_change_ratio = fields.required("max_change_ratio", |place| place.positive(1_000_000.0));
            let cycles = fields.optional("cycles", |place| place.integer(1..=100)).unwrap_or(7);
            metric.zip(max_change_ratio).map(|(metric, max_change_ratio)| RuleCheck::Drift {
                metric,
                max_change_ratio,
                cycles,
            })
        }
        RuleWord::Balance => {
            let measure = fields.required("measure", query);
            let by = fields.required("by", |place| place.list(|item| item.identifier()));
            let other = fields.required("other", Place::identifier);
            let other_measure = fields.required("other_measure", query);
            if let Some(by) = &by
                && by.is_empty()
            {
                fields.place().refuse("`by` is empty; name the columns of both models that sums are formed by");
            }
            measure
                .zip(by)
                .zip(other.zip(other_measure))
                .map(|((measure, by), (other, other_measure))| RuleCheck::Balance { measure, by, other, other_measure })
        }
    };
    fields.finish();
    Some(Rule { name: name?, model: model?, severity: severity.unwrap_or(Severity::Error), check: check? })
}

/// A query that names the table it checks by `{model}`: any other name would be of the live tables or of nothing.
fn rule_query(place: &Place<'_>) -> Option<String> {
    let query = query(place)?;
    if !query.contains("{model}") {
        place.refuse("the query does not select from {model}, which stands for the table that is checked");
    }
    Some(query)
}

/// The text of one SELECT or of one expression, which goes into a statement as a part of it.
pub(super) fn query(place: &Place<'_>) -> Option<String> {
    let text = place.text()?.trim();
    if text.ends_with(';') {
        place.refuse("the query ends with a semicolon; leave it out, the query becomes part of a longer one");
    }
    Some(text.to_owned())
}

pub(super) fn retention(mut fields: Fields<'_>) -> Retention {
    let kept_slot_hours = fields.optional("kept_slot_hours", |place| place.integer(1..=MOST_HOURS));
    let ended_attempts_hours = fields.optional("ended_attempts_hours", |place| place.integer(1..=MOST_HOURS));
    let lake_days = fields.optional("lake_days", |place| place.integer(1..=MOST_DAYS));
    let receipts_days = fields.optional("receipts_days", |place| place.integer(1..=MOST_DAYS));
    fields.finish();
    Retention {
        kept_slot_hours: kept_slot_hours.unwrap_or(72),
        ended_attempts_hours: ended_attempts_hours.unwrap_or(24),
        lake_days,
        receipts_days,
    }
}

pub(super) fn lease(mut fields: Fields<'_>) -> u32 {
    let seconds = fields.optional("seconds", |place| place.integer(1..=3600));
    fields.finish();
    seconds.unwrap_or(60)
}

pub(super) fn limits(mut fields: Fields<'_>) -> Limits {
    let attempts_per_run = fields.optional("attempts_per_run", |place| place.integer(1..=10));
    let tables_per_call = fields.optional("tables_per_call", |place| place.integer(1..=100));
    // BigQuery bills at least 10 MiB a table that a query reads.
    let max_bytes_billed_per_step =
        fields.optional("max_bytes_billed_per_step", |place| place.bytes(10 * 1024 * 1024..=1 << 50));
    fields.finish();
    Limits {
        attempts_per_run: attempts_per_run.unwrap_or(3),
        tables_per_call: tables_per_call.unwrap_or(1),
        max_bytes_billed_per_step,
    }
}
