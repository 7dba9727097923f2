//! A table as it was: BigQuery remembers every state of a table for as long as its dataset's time travel goes back.
//! <https://cloud.google.com/bigquery/docs/table-clones-create>

use jiff::Timestamp;
use wap::{Identifier, Slot};

use super::BigQuery;
use super::jobs::Purpose;
use super::names::Names;
use super::tables::TableName;
use crate::Error;

impl BigQuery {
    /// Clones a table as it was. Asked again, it finds the clone.
    pub(super) async fn restore_table(
        &self,
        slot: &Slot,
        schema: &str,
        relation: &str,
        at: Timestamp,
        into: &Identifier,
    ) -> Result<String, Error> {
        check_dataset(&self.names, into)?;
        let from = TableName::new(self.names.dataset(slot, schema), relation);
        let to = TableName::new(into.as_str(), format!("{relation}_{}", at.strftime("%Y%m%dT%H%M%S%6fZ")));
        let sql = statement(&self.sql(&from), &self.sql(&to), at);
        self.define(&Purpose::once("restore"), Some(slot), &sql, &format!("restoring table {from} as of {at}")).await?;
        Ok(to.to_string())
    }
}

/// Nothing may be written where readers, slots or loads are.
fn check_dataset(names: &Names, into: &Identifier) -> Result<(), Error> {
    let own = [&names.raw, &names.live, &names.operations];
    if own.contains(&into) || names.slot_of(into.as_str()).is_some() {
        return Err(Error::rejected(format!(
            "dataset {into} is one that the pipeline writes; restore into one of your own"
        )));
    }
    Ok(())
}

fn statement(from: &str, to: &str, at: Timestamp) -> String {
    let at = at.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00");
    format!("CREATE TABLE IF NOT EXISTS {to} CLONE {from} FOR SYSTEM_TIME AS OF TIMESTAMP '{at}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_names_the_time_to_the_microsecond() {
        let at: Timestamp = "2025-08-01T12:00:00.000001-04:00".parse().unwrap();
        assert_eq!(
            statement("`p.s.t`", "`p.mine.t_1`", at),
            "CREATE TABLE IF NOT EXISTS `p.mine.t_1` CLONE `p.s.t` FOR SYSTEM_TIME AS OF \
             TIMESTAMP '2025-08-01 16:00:00.000001+00:00'"
        );
    }

    #[test]
    fn nothing_is_restored_into_datasets_of_the_pipeline() {
        let name = |text: &str| Identifier::new(text).unwrap();
        let names = Names {
            project: "acme".to_owned(),
            prefix: name("shop"),
            raw: name("raw"),
            live: name("live"),
            operations: name("ops"),
        };
        for own in ["raw", "live", "ops", "shop_blue_7_4f09c1ab22_mart"] {
            assert!(check_dataset(&names, &name(own)).is_err(), "{own}");
        }
        assert!(check_dataset(&names, &name("mine")).is_ok());
    }
}
