//! Names of datasets and tables, and the text by which statements say them.

use wap::{Identifier, Slot};

/// Schema of a slot with the pinned rows.
pub(super) const RAW: &str = "raw";
/// Schema of a slot with the rows of partitions that changed.
pub(super) const CHANGES: &str = "changes";
/// Schema of a slot with its own view `deployment`.
pub(super) const LIVE: &str = "live";

/// The datasets of a pipeline.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) project: String,
    /// First part of the names of slots' datasets.
    pub(super) prefix: Identifier,
    /// What the lake is loaded into.
    pub(super) raw: Identifier,
    /// What readers use.
    pub(super) live: Identifier,
    /// Staging tables of loads.
    pub(super) operations: Identifier,
}

impl Names {
    /// The dataset of a slot for one of its schemas: `shop_blue_7_4f09c1ab22_mart`.
    pub(super) fn dataset(&self, slot: &Slot, schema: &str) -> String {
        format!("{}{schema}", self.stem(&slot.name()))
    }

    /// What the names of all datasets of a slot begin with.
    pub(super) fn stem(&self, slot_name: &str) -> String {
        format!("{}_{slot_name}_", self.prefix)
    }

    /// The slot that a dataset belongs to, and its schema there.
    pub(super) fn slot_of<'name>(&self, dataset: &'name str) -> Option<(Slot, &'name str)> {
        let rest = dataset.strip_prefix(self.prefix.as_str())?.strip_prefix('_')?;
        // Of color, cycle, attempt and schema only the last may hold an underscore.
        let (end, _) = rest.match_indices('_').nth(2)?;
        let (slot, schema) = (Slot::named(&rest[..end])?, &rest[end + 1..]);
        (!schema.is_empty()).then_some((slot, schema))
    }

    /// A table as statements name it.
    pub(super) fn sql(&self, dataset: &str, table: &str) -> String {
        format!("`{}.{dataset}.{table}`", self.project)
    }
}

/// The text of a view of one slot for another. Every dataset of a slot carries the id of its attempt, which is in no other
/// text, so that replacing it can't hit anything else.
pub(super) fn carried(query: &str, names: &Names, from: &Slot, to: &Slot) -> String {
    query.replace(&names.stem(&from.name()), &names.stem(&to.name()))
}

/// A value of a label: BigQuery takes lower-case letters, digits, hyphens and underscores, at most 63.
/// <https://cloud.google.com/bigquery/docs/labels-intro#requirements>
pub(super) fn label(value: &str) -> String {
    let allowed = |character: char| match character.to_ascii_lowercase() {
        character @ ('a'..='z' | '0'..='9' | '-' | '_') => character,
        _ => '-',
    };
    value.chars().map(allowed).take(63).collect()
}

/// A string literal.
pub(super) fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wap::{AttemptId, Color};

    use super::*;

    fn names() -> Names {
        let name = |text: &str| Identifier::new(text).unwrap();
        Names {
            project: "acme-data".to_owned(),
            prefix: name("shop_eu"),
            raw: name("raw"),
            live: name("live"),
            operations: name("ops"),
        }
    }

    fn slot(color: Color, cycle: u64, attempt: &str) -> Slot {
        Slot { color, cycle, attempt: AttemptId::new(attempt).unwrap() }
    }

    #[test]
    fn a_dataset_says_its_slot() {
        let slot = slot(Color::Blue, 7, "4f09c1ab22");
        let dataset = names().dataset(&slot, "dim_products");
        assert_eq!(dataset, "shop_eu_blue_7_4f09c1ab22_dim_products");
        assert_eq!(names().slot_of(&dataset), Some((slot, "dim_products")));
    }

    #[test]
    fn datasets_of_others_are_nobodys_slot() {
        for other in [
            "live",
            "shop_eu",
            "shop_blue_7_4f09c1ab22_mart",
            "shop_eu_red_7_4f09c1ab22_mart",
            "shop_eu_blue_x_4f09c1ab22_mart",
            "shop_eu_blue_007_4f09c1ab22_mart",
            "shop_eu_blue_7_SHOUTING1_mart",
            "shop_eu_blue_7_4f09c1ab22",
            "shop_eu_blue_7_4f09c1ab22_",
        ] {
            assert_eq!(names().slot_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_view_is_carried_into_the_next_slot() {
        let (from, to) = (slot(Color::Blue, 7, "4f09c1ab22"), slot(Color::Green, 8, "91cc02de70"));
        let text = "select 'blue_7' as a from `acme-data`.`shop_eu_blue_7_4f09c1ab22_staging`.`t` \
                    join acme-data.shop_eu_blue_7_4f09c1ab22_raw.u using (id) -- shop_eu_blue_7_4f09c1ab2 stays";
        assert_eq!(
            carried(text, &names(), &from, &to),
            "select 'blue_7' as a from `acme-data`.`shop_eu_green_8_91cc02de70_staging`.`t` \
             join acme-data.shop_eu_green_8_91cc02de70_raw.u using (id) -- shop_eu_blue_7_4f09c1ab2 stays"
        );
    }

    #[test]
    fn labels_hold_what_bigquery_takes() {
        assert_eq!(label("Blue_7"), "blue_7");
        assert_eq!(label("models/mart é"), "models-mart--");
        assert_eq!(label(&"x".repeat(100)).len(), 63);
    }

    #[test]
    fn literals_end_where_they_should() {
        assert_eq!(literal("it's \\ so\n"), r"'it\'s \\ so\n'");
    }

    proptest! {
        #[test]
        fn every_slot_is_found_again(cycle in 0_u64.., attempt in "[a-z0-9]{8,32}", schema in "[a-z_][a-z0-9_]{0,20}") {
            let slot = slot(Color::Green, cycle, &attempt);
            let dataset = names().dataset(&slot, &schema);
            prop_assert_eq!(names().slot_of(&dataset), Some((slot, schema.as_str())));
        }
    }
}
