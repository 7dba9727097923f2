//! `bgp init --dbt DIR`: a pipeline file for a dbt project.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use dbt::{Dbt, Engine as _};
use pipeline::draft::{DraftColumn, TableDraft};
use pipeline::{ColumnType, Mode, Pipeline, RelationName, Source, SourceKind};
use service::{Config, SourceAccess, settings_of_folder};
use wap::Identifier;

use crate::failure::Failure;
use crate::output;
use crate::proposal::{Proposal, Proposed, sources_read};

/// Writes the file. One that is there already stays.
pub(crate) async fn project(config: &Config, folder: &Path, source: Option<&Path>) -> Result<(), Failure> {
    let file = &config.pipeline_file;
    if file.exists() {
        return Err(Failure::new(format!(
            "{} is there already; name another file: bgp --config FILE init ...",
            file.display()
        )));
    }
    let folder = std::path::absolute(folder)?;
    let project = Dbt::new(settings_of_folder(config, &folder)).project().await?;
    let read = sources_read(&project);
    if read.is_empty() {
        return Err(Failure::new(format!(
            "the project {} reads no source, so there is nothing to extract for it; declare the tables that it begins with as \
             sources (seeds stay as they are)",
            project.name
        )));
    }
    let name = Identifier::new(read[0].source.as_str()).or_else(|_| Identifier::new("source"))?;
    let kind = match source {
        Some(path) => SourceKind::Duckdb { path: path_in(&config.home, path)? },
        None => SourceKind::Duckdb { path: format!("source/{name}.duckdb") },
    };
    let found = Source { name: name.clone(), description: None, kind };
    let mut tables = Vec::new();
    let mut missing = Vec::new();
    let mut first: Option<String> = None;
    for table in read {
        let drafted = match source {
            Some(_) => from_file(config, &found, table).await,
            None => from_project(table, &name),
        };
        match drafted {
            Ok((draft, day)) => {
                first = [first, day].into_iter().flatten().min();
                tables.push(draft.entry());
            }
            Err(reason) => missing.push(format!("{}: {reason}", table.id)),
        }
    }
    if !missing.is_empty() {
        return Err(Failure::new(missing.join("\n     ")));
    }
    let SourceKind::Duckdb { path } = &found.kind else { return Err(Failure::new("a source of another kind")) };
    let proposal = Proposal {
        project: &project,
        folder: seen_from(file, &folder)?,
        source: (name, format!("{{kind: duckdb, path: {path}}}")),
        tables,
        start: first.unwrap_or_else(|| jiff::Zoned::now().date().to_string()),
    };
    let Proposed { text, notes } = proposal.text().map_err(Failure::new)?;
    let shown = file.display().to_string();
    Pipeline::parse(&shown, &text)?;
    OpenOptions::new().write(true).create_new(true).open(file)?.write_all(text.as_bytes())?;
    output::print(&format!("{shown} is a pipeline for {} now; look at what is marked as a guess", project.name))?;
    for note in notes {
        eprintln!("bgp: {note}");
    }
    if source.is_none() {
        eprintln!("bgp: no --source was named: the tables are expected in {}", config.home.join(path).display());
    }
    Ok(())
}

/// A table as the DuckDB file has it, in the schema that the project names or in the usual one, and the first day of its rows.
async fn from_file(
    config: &Config,
    source: &Source,
    table: &dbt::Source,
) -> Result<(TableDraft, Option<String>), String> {
    let name = Identifier::new(table.table.as_str()).map_err(|_| {
        format!(
            "the table's name {:?} is no identifier; give it an identifier of letters, digits and underscores",
            table.table
        )
    })?;
    let home = std::path::absolute(&config.home).map_err(|error| error.to_string())?;
    let access = SourceAccess::without_password(source.clone(), &home);
    let (schema, table) = (table.schema.clone(), table.table.clone());
    let look = move || {
        let mut failure = String::new();
        for place in [format!("{schema}.{table}"), table] {
            let Ok(relation) = place.parse::<RelationName>() else { continue };
            match extract::describe(&access, &relation, &name) {
                Ok(draft) => {
                    let day = extract::first_day(&access, &relation, &draft);
                    return Ok((draft, day));
                }
                Err(error) => failure = Failure::from(error).to_string(),
            }
        }
        Err(failure)
    };
    tokio::task::spawn_blocking(look).await.map_err(|error| error.to_string())?
}

/// A table as the project documents it.
fn from_project(table: &dbt::Source, source: &Identifier) -> Result<(TableDraft, Option<String>), String> {
    let name = Identifier::new(table.table.as_str()).map_err(|error| error.to_string())?;
    let lacking: Vec<&str> =
        table.columns.iter().filter(|column| column.data_type.is_none()).map(|column| column.name.as_str()).collect();
    if table.columns.is_empty() || !lacking.is_empty() {
        let what =
            if lacking.is_empty() { "its columns".to_owned() } else { format!("data_type of {}", lacking.join(", ")) };
        return Err(format!("the project does not say {what}; name the DuckDB file that has the table: --source FILE"));
    }
    let columns = table.columns.iter().map(|column| {
        let source_type = column.data_type.clone().unwrap_or_default();
        let mapped = of_word(&source_type).map(|found| (found, Mode::Nullable)).ok_or_else(|| {
            "no type of the pipeline is called so; write it by hand, as shared/pipeline/reference.yaml shows".to_owned()
        });
        DraftColumn { name: column.name.clone(), source_type, mapped }
    });
    let columns = columns.collect();
    Ok((TableDraft { name, source: source.clone(), relation: None, columns, key: Vec::new() }, None))
}

/// The type that a warehouse's word stands for.
fn of_word(word: &str) -> Option<ColumnType> {
    let lower = word.trim().to_lowercase();
    let (name, digits) =
        lower.split_once('(').map_or((lower.as_str(), None), |(name, rest)| (name.trim(), rest.strip_suffix(')')));
    Some(match name {
        "string" | "varchar" | "text" | "char" | "character varying" | "uuid" => ColumnType::String,
        "int" | "integer" | "int64" | "bigint" | "smallint" | "tinyint" | "int4" | "int8" => ColumnType::Integer,
        "bool" | "boolean" => ColumnType::Boolean,
        "date" => ColumnType::Date,
        "time" => ColumnType::Time,
        "datetime" | "timestamp without time zone" => ColumnType::Datetime,
        "timestamp" | "timestamptz" | "timestamp with time zone" => ColumnType::Timestamp,
        "float" | "float64" | "double" | "double precision" | "real" => ColumnType::Float,
        "bytes" | "blob" | "bytea" => ColumnType::Bytes,
        "json" | "jsonb" => ColumnType::Json,
        "geography" => ColumnType::Geography,
        "numeric" | "decimal" => match digits {
            None => ColumnType::Numeric { precision: 38, scale: 9 },
            Some(digits) => {
                let (precision, scale) = digits.split_once(',').unwrap_or((digits, "0"));
                ColumnType::decimal(precision.trim().parse().ok()?, scale.trim().parse().ok()?)?
            }
        },
        _ => return None,
    })
}

/// A file as the pipeline file names it: from the home folder where it is in that, else in full.
fn path_in(home: &Path, file: &Path) -> Result<String, Failure> {
    if !file.is_file() {
        return Err(Failure::new(format!("{} is no file; name a DuckDB file", file.display())));
    }
    let (home, file) = (std::path::absolute(home)?, std::path::absolute(file)?);
    let named = file.strip_prefix(&home).unwrap_or(&file);
    named.to_str().map(str::to_owned).ok_or_else(|| Failure::new(format!("{} is no text", file.display())))
}

/// A folder as the pipeline file names it: from its own folder where it is below that, else in full.
fn seen_from(file: &Path, folder: &Path) -> Result<String, Failure> {
    let beside = std::path::absolute(file)?.parent().map(Path::to_path_buf).unwrap_or_default();
    let named = match folder.strip_prefix(&beside) {
        Ok(inside) if inside.as_os_str().is_empty() => Path::new("."),
        Ok(inside) => inside,
        Err(_) => folder,
    };
    named.to_str().map(str::to_owned).ok_or_else(|| Failure::new(format!("{} is no text", folder.display())))
}
