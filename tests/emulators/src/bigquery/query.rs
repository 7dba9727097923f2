//! Query jobs.

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::bytes::{self, Estimate};
use super::cloud::{Cloud, is_partitioned};
use super::jobs::{Outcome, failure};
use super::ledger::{Cloned, Facts};
use super::limits::CLONE_DEPTH;
use super::name::Table;
use super::sql::{self, Action, CreateTable, Name, Statement};
use crate::refusal::Refusal;

/// A query as its configuration asks for it.
struct Query<'a> {
    project: &'a str,
    default_dataset: Option<String>,
    statements: Vec<Statement>,
}

impl Query<'_> {
    fn resolve(&self, name: &Name) -> Option<Table> {
        sql::resolve(name, self.project, self.default_dataset.as_deref())
    }

    /// The tables that are changed and stay, each once, with the first statement that does so.
    fn targets(&self) -> Vec<(Table, &Statement)> {
        let mut targets: Vec<(Table, &Statement)> = Vec::new();
        for statement in &self.statements {
            if matches!(&statement.action, Action::CreateTable(table) if table.temporary) {
                continue;
            }
            let Some(table) = statement.action.target().and_then(|name| self.resolve(name)) else { continue };
            if !targets.iter().any(|(known, _)| *known == table) {
                targets.push((table, statement));
            }
        }
        targets
    }
}

impl Cloud {
    /// Runs a query job. Its rows stay in the emulator under the id of the job.
    pub(crate) async fn query(&mut self, project: &str, id: &str, configuration: &Value) -> Result<Outcome, Refusal> {
        let query = read(project, configuration)?;
        check_transactions(&query.statements)?;
        let estimate = bytes::estimate(self, &query.statements, project, query.default_dataset.as_deref()).await?;
        estimate.check(number(&configuration["query"]["maximumBytesBilled"]))?;
        for (table, statement) in query.targets() {
            self.admit_target(&table, &statement.action).await?;
        }
        let clones = self.clones(&query).await?;

        let request = json!({"jobReference": {"projectId": project, "jobId": id}, "configuration": configuration});
        let job = self.call(Method::POST, &format!("/bigquery/v2/projects/{project}/jobs"), Some(&request)).await?;
        let failed = failure(&job);
        // A script that failed did what came before.
        self.follow(&query, clones, failed.is_none()).await?;
        match failed {
            Some(refusal) => Err(refusal),
            None => Ok(Outcome {
                statistics: statistics(job["statistics"].clone(), &estimate),
                destination: job.pointer("/configuration/query/destinationTable").cloned(),
            }),
        }
    }

    /// What a query would give and cost.
    pub(crate) async fn dry_run(&mut self, project: &str, configuration: &Value) -> Result<Value, Refusal> {
        let query = read(project, configuration)?;
        check_transactions(&query.statements)?;
        let mut configuration = configuration.clone();
        if let [Statement { action: Action::Query, .. }] = query.statements.as_slice() {
            let text = configuration["query"]["query"].as_str().unwrap_or_default();
            // The emulator finds out the columns by running the query.
            let bounded = format!("SELECT * FROM (\n{}\n) LIMIT 0", text.trim().trim_end_matches(';'));
            configuration["query"]["query"] = json!(bounded);
        }
        let request = json!({"configuration": configuration});
        let job = self.call(Method::POST, &format!("/bigquery/v2/projects/{project}/jobs"), Some(&request)).await?;
        if let Some(refusal) = failure(&job) {
            return Err(refusal);
        }
        let estimate = bytes::estimate(self, &query.statements, project, query.default_dataset.as_deref()).await?;
        let mut found = job["statistics"].clone();
        if found.pointer("/query/schema").is_none() && job.get("schema").is_some() {
            found["query"]["schema"] = job["schema"].clone();
            found["query"]["statementType"] = job["statementType"].clone();
        }
        Ok(statistics(found, &estimate))
    }

    /// The clones that a query makes, in order, each checked.
    async fn clones(&self, query: &Query<'_>) -> Result<Vec<(Table, Facts)>, Refusal> {
        let mut clones: Vec<(Table, Facts)> = Vec::new();
        let mut made: Vec<Table> = Vec::new();
        for statement in &query.statements {
            let Action::CreateTable(CreateTable { name, clone_of, .. }) = &statement.action else { continue };
            let Some(table) = query.resolve(name) else { continue };
            if let Some(source) = clone_of {
                let unqualified = || format!("Table \"{}\" must be qualified with a dataset", source.join("."));
                let source = query.resolve(source).ok_or_else(|| Refusal::invalid_query(unqualified()))?;
                let earlier = clones.iter().rev().find(|(clone, _)| *clone == source);
                let depth = match earlier.and_then(|(_, facts)| facts.clone.as_ref()) {
                    Some(cloned) => cloned.depth,
                    None if made.contains(&source) => 0,
                    None => {
                        self.check_is_table(&source).await?;
                        self.ledger.clone_depth(&source)
                    }
                };
                clones.push((table.clone(), self.cloned_facts(&source, depth)?));
            }
            made.push(table);
        }
        Ok(clones)
    }

    /// <https://docs.cloud.google.com/bigquery/docs/table-clones-intro#limitations>
    pub(crate) async fn check_is_table(&self, source: &Table) -> Result<(), Refusal> {
        let resource = self.bare_table(source).await?;
        let resource = resource.ok_or_else(|| Refusal::not_found(format_args!("Table {source}")))?;
        match resource["type"].as_str() {
            Some("TABLE" | "CLONE" | "SNAPSHOT") => Ok(()),
            kind => {
                let kind = kind.unwrap_or("thing without a type");
                Err(Refusal::invalid(format!(
                    "{source} is not allowed for this operation because it is currently a {kind}."
                )))
            }
        }
    }

    /// What a clone of a table of this depth has.
    pub(crate) fn cloned_facts(&self, source: &Table, depth: u32) -> Result<Facts, Refusal> {
        if depth >= CLONE_DEPTH {
            return Err(Refusal::invalid(format!(
                "{source} is a clone of depth {CLONE_DEPTH}, which can't be cloned; copy it to begin anew"
            )));
        }
        let mut facts = self.copied_facts(source);
        let at = Timestamp::now().to_string();
        facts.clone = Some(Cloned { depth: depth + 1, base: source.reference(), at });
        Ok(facts)
    }

    /// What a copy has of its source: columns and layout, but no labels.
    pub(crate) fn copied_facts(&self, source: &Table) -> Facts {
        let mut facts = self.ledger.facts(source).cloned().unwrap_or_default();
        facts.declared.retain(|key, _| !["labels", "expirationTime"].contains(&key.as_str()));
        facts.clone = None;
        facts
    }

    async fn admit_target(&mut self, table: &Table, action: &Action) -> Result<(), Refusal> {
        match action {
            Action::CreateTable(_) => {
                let partitioned = self.bare_table(table).await?.is_some_and(|resource| is_partitioned(&resource));
                self.admit_write(table, partitioned)
            }
            Action::Alter { .. } | Action::CreateView { .. } => self.rates.table(table, false),
            // DML is exempt.
            _ => Ok(()),
        }
    }

    /// Brings what is remembered in line with what a query did.
    async fn follow(&mut self, query: &Query<'_>, clones: Vec<(Table, Facts)>, succeeded: bool) -> Result<(), Refusal> {
        for statement in &query.statements {
            let Some(table) = statement.action.target().and_then(|name| query.resolve(name)) else { continue };
            match &statement.action {
                Action::CreateTable(CreateTable { clone_of: None, temporary: false, layout, .. }) if succeeded => {
                    self.forget(&table);
                    self.ledger.facts_mut(&table).declared.clone_from(layout);
                    self.touch(&table);
                }
                Action::CreateView { query, .. } if succeeded => {
                    self.forget(&table);
                    let view = json!({"query": query, "useLegacySql": false});
                    self.ledger.facts_mut(&table).declared.insert("view".to_owned(), view);
                }
                Action::Drop { .. } if succeeded => self.forget(&table),
                Action::Alter { .. } => {
                    self.touch(&table);
                    self.refresh_columns(&table).await?;
                }
                Action::CreateTable(CreateTable { temporary: true, .. }) => {}
                _ => self.touch(&table),
            }
        }
        for (table, facts) in clones.into_iter().filter(|_| succeeded) {
            self.forget(&table);
            *self.ledger.facts_mut(&table) = facts;
            self.touch(&table);
        }
        self.save()
    }
}

/// <https://docs.cloud.google.com/bigquery/docs/transactions#limitations>
fn check_transactions(statements: &[Statement]) -> Result<(), Refusal> {
    if statements.iter().any(|statement| statement.in_transaction && statement.action.is_permanent_definition()) {
        return Err(Refusal::invalid_query(
            "DDL statements are not supported in a transaction, except for those applying to temporary tables or \
             temporary functions",
        ));
    }
    Ok(())
}

fn read<'a>(project: &'a str, configuration: &Value) -> Result<Query<'a>, Refusal> {
    let settings = &configuration["query"];
    let text = settings["query"].as_str().unwrap_or_default();
    // Legacy SQL is the default of the interface, and hardly what anybody wants.
    // https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationQuery.FIELDS.use_legacy_sql
    if settings["useLegacySql"] != false && !text.trim_start().to_ascii_lowercase().starts_with("#standardsql") {
        return Err(Refusal::not_emulated("legacy SQL, which is what a query without useLegacySql=false is in"));
    }
    if settings.get("destinationTable").is_some() {
        return Err(Refusal::not_emulated("query destination tables; write CREATE TABLE or INSERT"));
    }
    let default_dataset = settings["defaultDataset"]["datasetId"].as_str().map(str::to_owned);
    Ok(Query { project, default_dataset, statements: sql::statements(text) })
}

/// A 64-bit number, which JSON APIs of Google have as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn statistics(mut found: Value, estimate: &Estimate) -> Value {
    if !found.is_object() {
        found = json!({});
    }
    let processed = json!(estimate.bytes.to_string());
    found["totalBytesProcessed"] = processed.clone();
    found["query"]["totalBytesProcessed"] = processed;
    found["query"]["totalBytesBilled"] = json!(estimate.billed().to_string());
    let references: Vec<Value> = estimate.tables.iter().map(Table::reference).collect();
    found["query"]["referencedTables"] = json!(references);
    for key in ["creationTime", "startTime", "endTime"] {
        if let Some(statistics) = found.as_object_mut() {
            statistics.remove(key);
        }
    }
    found
}
