//! From the YAML tree to a [`Pipeline`]. Names are checked where they are read: what they refer to was read before.

mod columns;
mod sections;
mod sources;
mod tables;

use indexmap::IndexMap;
use jiff::tz::TimeZone;
use wap::Identifier;

use crate::error::{Error, Problem};
use crate::names::{nearest, quoted};
use crate::pipeline::Pipeline;
use crate::place::{Fields, Place, Problems};
use crate::source::Source;
use crate::yaml::{self, Value};

pub(crate) use columns::reserved;

/// The format of pipeline.yaml that this program reads.
const VERSION: u32 = 1;

/// Reads the text of a pipeline file.
pub(crate) fn pipeline(file_name: &str, source: &str) -> Result<Pipeline, Error> {
    read(file_name, source, read_pipeline)
}

/// Reads the sources of a pipeline file that may have no tables yet, and looks at nothing else.
pub(crate) fn sources(file_name: &str, source: &str) -> Result<IndexMap<Identifier, Source>, Error> {
    read(file_name, source, |mut fields| fields.required("sources", sources::sources))
}

fn read<T>(file_name: &str, source: &str, read: impl FnOnce(Fields<'_>) -> Option<T>) -> Result<T, Error> {
    let node = yaml::load(source).map_err(|error| {
        let (line, message) = (error.line, format!("this is not YAML that can be read: {}", error.message));
        Error::InvalidFile(vec![Problem { file: file_name.to_owned(), line, key: String::new(), message }])
    })?;
    let problems = Problems::new(file_name);
    let value = match node.value {
        Value::Null => {
            problems.add(0, "", "the file is empty".to_owned());
            None
        }
        _ => Place::root(&node, &problems).fields().and_then(read),
    };
    let found = problems.into_sorted();
    match value {
        Some(value) if found.is_empty() => Ok(value),
        _ => Err(Error::InvalidFile(found)),
    }
}

fn read_pipeline(mut fields: Fields<'_>) -> Option<Pipeline> {
    fields.required("version", version);
    let name = fields.required("name", Place::identifier);
    let time_zone = fields.required("time_zone", time_zone);
    let start = fields.required("start", Place::date);
    let sources = fields.required("sources", sources::sources).unwrap_or_default();
    let source_names: Vec<Identifier> = sources.keys().cloned().collect();
    let sandbox = fields.optional("sandbox", |place| sections::sandbox(place.fields()?, &sources, &source_names));
    let lake = sections::lake(fields.section("lake"));
    let raw = sections::raw(fields.section("raw"));
    let dbt = sections::dbt(fields.section("dbt"));
    let live = sections::live(fields.section("live"), name.as_ref(), raw.as_ref(), dbt.as_ref());
    let audit = sections::audit(fields.section("audit"));
    let retention = sections::retention(fields.section("retention"));
    let lease_seconds = sections::lease(fields.section("lease"));
    let approval = fields.optional("approval", Place::boolean).unwrap_or(false);
    let limits = sections::limits(fields.section("limits"));
    let schedule = sections::schedule(fields.section("schedule"));
    let defaults = tables::Defaults {
        sources: &source_names,
        // What stands in for a value that was refused only has to let reading go on.
        time_zone: time_zone.clone().unwrap_or(TimeZone::UTC),
        start: start.unwrap_or_default(),
        lake: &lake,
        raw: raw.as_ref(),
    };
    let tables = fields.required("tables", |place| tables::tables(place, &defaults));
    fields.finish();
    Some(Pipeline {
        name: name?,
        time_zone: time_zone?,
        start: start?,
        sources,
        sandbox,
        lake,
        raw: raw?,
        tables: tables?,
        dbt: dbt?,
        live: live?,
        audit,
        retention,
        lease_seconds,
        approval,
        limits,
        schedule: schedule?,
    })
}

fn version(place: &Place<'_>) -> Option<()> {
    let version: u32 = place.integer(1..=u32::MAX)?;
    if version != VERSION {
        place.refuse(format!("{version} is not a version that this program reads; accepted: {VERSION}"));
        return None;
    }
    Some(())
}

fn time_zone(place: &Place<'_>) -> Option<TimeZone> {
    let text = place.text()?;
    let database = jiff::tz::db();
    // Only names in the spelling of the database: other programs that read the file take no other.
    if let Some(time_zone) = database.get(text).ok().filter(|zone| zone.iana_name() == Some(text)) {
        return Some(time_zone);
    }
    let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
    let meant = nearest(text, names.iter().map(String::as_str));
    let meant = meant.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    place.refuse(format!(
        "{} is not a time zone; accepted: names of the IANA database such as America/Toronto or UTC{meant}",
        quoted(text)
    ));
    None
}

/// Notes a name that repeats an earlier one. Letter case makes no difference: it makes none to a warehouse.
fn refuse_repeated(place: &Place<'_>, kind: &str, name: &Identifier, earlier: &[Identifier]) -> bool {
    let repeated = earlier.iter().any(|other| other.as_str().eq_ignore_ascii_case(name.as_str()));
    if repeated {
        place.refuse(format!("the {kind} {name} comes twice; letter case makes no difference"));
    }
    repeated
}

/// A mapping of named things, refused when empty.
fn named<'a, T>(
    place: &Place<'a>,
    kind: &str,
    mut read: impl FnMut(&Identifier, Fields<'a>) -> Option<T>,
) -> Option<IndexMap<Identifier, T>> {
    let mut values = IndexMap::new();
    let mut names = Vec::new();
    let entries = place.named_entries()?;
    if entries.is_empty() {
        place.refuse(format!("there is no {kind}; at least one is needed"));
    }
    for (name, entry) in entries {
        refuse_repeated(&entry, kind, &name, &names);
        names.push(name.clone());
        if let Some(value) = entry.fields().and_then(|fields| read(&name, fields)) {
            values.insert(name, value);
        }
    }
    Some(values)
}

/// A list of names, each of them once.
fn names<'a>(place: &Place<'a>, kind: &str, mut read: impl FnMut(&Place<'a>) -> Option<Identifier>) -> Vec<Identifier> {
    let mut names: Vec<Identifier> = Vec::new();
    for item in place.items().unwrap_or_default() {
        if let Some(name) = read(&item)
            && !refuse_repeated(&item, kind, &name, &names)
        {
            names.push(name);
        }
    }
    names
}
