//! `bgp init table NAME`: the entry of a table in the pipeline file.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use pipeline::{Pipeline, RelationName, Source};
use service::{Config, Secrets};
use wap::Identifier;

use crate::arguments::InitTableOptions;
use crate::failure::Failure;
use crate::output;

/// Prints the entry of a table of a source, or writes it into the pipeline file.
pub(crate) async fn table(config: &Config, options: &InitTableOptions) -> Result<(), Failure> {
    let file = &config.pipeline_file;
    let shown = file.display().to_string();
    let text = Pipeline::text(file)?;
    let sources = Pipeline::sources(&shown, &text)?;
    let source = match &options.source {
        Some(name) => sources.get(name.as_str()).cloned().ok_or_else(|| none_such(&shown, name, sources.keys()))?,
        None if sources.len() == 1 => sources[0].clone(),
        None => {
            let names: Vec<&str> = sources.keys().map(Identifier::as_str).collect();
            return Err(Failure::new(format!(
                "{shown} has several sources; say --source {}",
                names.join(" or --source ")
            )));
        }
    };
    let relation = match &options.relation {
        Some(relation) => relation.clone(),
        None => options.name.as_str().parse::<RelationName>().map_err(Failure::new)?,
    };
    let entry = described(config, source, relation, options.name.clone()).await?;
    if options.write {
        let appended = pipeline::draft::append(&shown, &text, &entry)?;
        replace(file, &appended)?;
        output::print(&format!("{shown} has table {} now; look at what is marked as a guess", entry.name))?;
    } else {
        output::print(entry.text.trim_end())?;
    }
    for reason in &entry.unmapped {
        eprintln!("bgp: left out: {reason}");
    }
    Ok(())
}

async fn described(
    config: &Config,
    source: Source,
    relation: RelationName,
    name: Identifier,
) -> Result<pipeline::draft::Entry, Failure> {
    let access = Secrets::of(config).access(source, &std::path::absolute(&config.home)?).await?;
    let draft = tokio::task::spawn_blocking(move || extract::describe(&access, &relation, &name)).await??;
    Ok(draft.entry())
}

fn none_such<'a>(file: &str, name: &str, sources: impl Iterator<Item = &'a Identifier>) -> Failure {
    let accepted: Vec<&str> = sources.map(Identifier::as_str).collect();
    Failure::new(format!("{file} has no source {name:?}; accepted: {}", accepted.join(", ")))
}

/// Puts a text in the place of a file's, whole or not at all.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    // What a link names is replaced, and not the link.
    let file = file.canonicalize()?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.as_file().set_permissions(fs::metadata(&file)?.permissions())?;
    draft.as_file().sync_all()?;
    draft.persist(&file).map_err(|failed| failed.error)?;
    Ok(())
}
