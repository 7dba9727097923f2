//! Facets: what is said of a run, a job or a dataset beyond its name.

use serde_json::{Value, json};

/// Who says it.
pub(super) const PRODUCER: &str = concat!("https://bluegreenprint.dev/", env!("CARGO_PKG_VERSION"));

/// The version of each facet's schema.
const VERSIONS: [(&str, &str); 7] = [
    ("DataQualityAssertionsDatasetFacet", "1-1-0"),
    ("DocumentationDatasetFacet", "1-1-0"),
    ("ErrorMessageRunFacet", "1-0-1"),
    ("JobTypeJobFacet", "2-0-4"),
    ("OutputStatisticsOutputDatasetFacet", "1-0-2"),
    ("ParentRunFacet", "1-2-0"),
    ("SchemaDatasetFacet", "1-2-0"),
];

/// What is said, with who says it and by which schema.
pub(super) fn facet(name: &str, mut said: Value) -> Value {
    let version = VERSIONS.iter().find(|(found, _)| *found == name).map_or("1-0-0", |(_, version)| version);
    said["_producer"] = json!(PRODUCER);
    said["_schemaURL"] = json!(format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}"));
    said
}
