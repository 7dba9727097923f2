//! Queries: estimated, run as a job, and read by pages.

use serde::Deserialize;
use serde_json::Value;
use wap::{Digest, Slot};

use super::BigQuery;
use super::jobs::Purpose;
use super::rows::Digester;
use super::schema::{Field, Schema};
use super::tables::TableName;
use super::values::to_json;
use crate::{DEPLOYMENT, Error, Place, Rows};

/// Rows of one page. BigQuery makes a page shorter where rows are long (10 MB).
const PAGE_ROWS: usize = 20_000;

/// A page of an answer. Each part may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    job_complete: bool,
    schema: Schema,
    rows: Vec<Row>,
    #[serde(rename = "pageToken")]
    next: Option<String>,
}

/// A row as BigQuery writes it: `{"f": [{"v": ...}, ...]}`.
#[derive(Debug, Default, Deserialize)]
struct Row {
    f: Vec<Cell>,
}

#[derive(Debug, Deserialize)]
struct Cell {
    v: Value,
}

impl BigQuery {
    /// The rows of a query, at most `limit`.
    pub(super) async fn read_rows(&self, place: &Place, sql: &str, limit: usize) -> Result<Rows, Error> {
        self.check_place(place).await?;
        let what = what_of("querying", place);
        let bytes = self.check_select(sql, &what).await?;
        self.rows(slot_of(place), sql, bytes, limit, &what).await
    }

    /// All rows of a query of this project's own.
    pub(super) async fn read_own(&self, slot: &Slot, sql: &str) -> Result<Vec<Vec<Value>>, Error> {
        let what = format!("inspecting slot {slot}");
        let bytes = self.estimate(sql).await.map_err(|error| error.context(&what))?.bytes;
        Ok(self.rows(Some(slot), sql, bytes, usize::MAX, &what).await?.rows)
    }

    async fn rows(&self, slot: Option<&Slot>, sql: &str, bytes: u64, limit: usize, what: &str) -> Result<Rows, Error> {
        let mut rows = Vec::new();
        let mut columns = Vec::new();
        let mut is_cut = false;
        // One more than is wanted tells whether there are more.
        let most = limit.saturating_add(1);
        self.pages(slot, sql, bytes, what, most, |fields, page| {
            if columns.is_empty() {
                columns = fields.iter().map(|field| field.name.clone()).collect();
            }
            for row in page {
                if rows.len() == limit {
                    is_cut = true;
                    return Ok(());
                }
                let values = fields.iter().zip(row).map(|(field, value)| to_json(field, value));
                rows.push(values.collect::<Result<Vec<_>, Error>>()?);
            }
            Ok(())
        })
        .await?;
        Ok(Rows { columns, rows, is_cut })
    }

    /// The digest of all rows of a query, with one page in memory.
    pub(super) async fn digest_rows(&self, place: &Place, sql: &str) -> Result<Digest, Error> {
        self.check_place(place).await?;
        let what = what_of("digesting", place);
        let bytes = self.check_select(sql, &what).await?;
        let mut digester = None;
        self.pages(slot_of(place), sql, bytes, &what, usize::MAX, |fields, page| {
            if digester.is_none() {
                digester = Some(Digester::new(fields)?);
            }
            digester.as_mut().map_or(Ok(()), |digester| digester.add(fields, page))
        })
        .await?;
        digester.map(|digester| digester.finish()).ok_or_else(|| Error::internal("a query gave no answer"))
    }

    /// Gives each page of an answer to `each`, with the columns; also an empty one. Stops after `most` rows.
    async fn pages(
        &self,
        slot: Option<&Slot>,
        sql: &str,
        bytes: u64,
        what: &str,
        most: usize,
        mut each: impl FnMut(&[Field], Vec<Vec<Value>>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let job = self.execute_estimated(&Purpose::once("query"), slot, sql, bytes, what).await?;
        let path = format!("/queries/{}", job.reference.job_id);
        let size = PAGE_ROWS.min(most).to_string();
        let mut page: Option<String> = None;
        let mut seen = 0_usize;
        loop {
            let mut options = vec![
                ("location", self.location.as_ref()),
                ("maxResults", &size),
                // As whole microseconds; the default is a float, which has too few digits for late ones.
                ("formatOptions.useInt64Timestamp", "true"),
            ];
            if let Some(token) = &page {
                options.push(("pageToken", token));
            }
            let found: Option<Page> = self.rest.get(&path, &options).await.map_err(|error| error.context(what))?;
            let Some(found) = found.filter(|found| found.job_complete) else {
                return Err(Error::internal(format!("the answer was gone while {what}; run the step again")));
            };
            seen += found.rows.len();
            let rows = found.rows.into_iter().map(|row| row.f.into_iter().map(|cell| cell.v).collect()).collect();
            each(&found.schema.fields, rows)?;
            page = found.next.filter(|token| !token.is_empty());
            if page.is_none() || seen >= most {
                return Ok(());
            }
        }
    }

    /// Refuses what is no query: it would run with rights that only this project's own statements should have. Returns
    /// the bytes that it will read.
    async fn check_select(&self, sql: &str, what: &str) -> Result<u64, Error> {
        let estimate = self.estimate(sql).await.map_err(|error| error.context(what))?;
        match estimate.statement_type.as_str() {
            "SELECT" => Ok(estimate.bytes),
            other => Err(Error::rejected(format!(
                "{what} takes one SELECT, and this is {}: nothing may be changed here",
                if other.is_empty() { "something else" } else { other }
            ))),
        }
    }

    /// Tells readers of nothing so.
    async fn check_place(&self, place: &Place) -> Result<(), Error> {
        let Place::Live = place else { return Ok(()) };
        let deployment = TableName::new(self.names.live.as_str(), DEPLOYMENT);
        match self.table(&deployment).await? {
            Some(_) => Ok(()),
            None => Err(Error::NotFound {
                what: "a published cycle".to_owned(),
                next: "run `bgp run daily` first".to_owned(),
            }),
        }
    }
}

fn what_of(action: &str, place: &Place) -> String {
    match place {
        Place::Live => format!("{action} what is published"),
        Place::Slot(slot) => format!("{action} slot {slot}"),
    }
}

fn slot_of(place: &Place) -> Option<&Slot> {
    match place {
        Place::Live => None,
        Place::Slot(slot) => Some(slot),
    }
}
