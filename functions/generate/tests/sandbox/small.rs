//! The small tables: keys, references, histories, and that something happens to every one of them.

use crate::support::{World, settings};
use generate::Sandbox;

/// Every small log and its key.
const LOGS: [(&str, &str); 14] = [
    ("authors", "author_id"),
    ("publishers", "publisher_id"),
    ("suppliers", "supplier_id"),
    ("categories", "category_id"),
    ("products", "product_id"),
    ("authors_products", "author_id, product_id"),
    ("categories_products", "category_id, product_id"),
    ("publishers_products", "publisher_id, product_id"),
    ("suppliers_products", "supplier_id, product_id"),
    ("promotion_groups", "promotion_group_id"),
    ("promotion_groups_products", "promotion_group_id, product_id"),
    ("promotions", "promotion_id"),
    ("payment_types", "payment_type_id"),
    ("employees", "employee_id"),
];

/// Every foreign key of the small tables: from, column, to, column.
const REFERENCES: [(&str, &str, &str, &str); 15] = [
    ("authors_products", "author_id", "authors", "author_id"),
    ("authors_products", "product_id", "products", "product_id"),
    ("categories_products", "category_id", "categories", "category_id"),
    ("categories_products", "product_id", "products", "product_id"),
    ("publishers_products", "publisher_id", "publishers", "publisher_id"),
    ("publishers_products", "product_id", "products", "product_id"),
    ("suppliers_products", "supplier_id", "suppliers", "supplier_id"),
    ("suppliers_products", "product_id", "products", "product_id"),
    ("promotion_groups_products", "promotion_group_id", "promotion_groups", "promotion_group_id"),
    ("promotion_groups_products", "product_id", "products", "product_id"),
    ("categories", "parent_category_id", "categories", "category_id"),
    ("suppliers", "merged_into_supplier_id", "suppliers", "supplier_id"),
    ("promotion_groups", "category_id", "categories", "category_id"),
    ("promotions", "promotion_group_id", "promotion_groups", "promotion_group_id"),
    ("employees", "channel_id", "channels", "channel_id"),
];

fn a_while(seed: u64) -> World {
    // Small tables do not depend on the scale.
    World::of_days(Sandbox { seed, ..settings(0.001) }, 90)
}

#[test]
fn every_small_table_has_a_well_formed_history_in_which_everything_happens() {
    for seed in [42, 7] {
        let world = a_while(seed);
        for (table, key) in LOGS {
            let history = format!(
                "(SELECT *, lag(valid_from) OVER w AS valid_before, lag(is_deleted) OVER w AS was_deleted,
                    row_number() OVER w AS version FROM {table}_log WINDOW w AS (PARTITION BY {key} ORDER BY change_sequence))"
            );
            let malformed = format!(
                "{history} WHERE (version = 1) <> (operation = 'insert') OR valid_from <= valid_before OR was_deleted
                   OR is_deleted <> (operation = 'delete') OR valid_from > changed_at
                   OR valid_from < changed_at - INTERVAL 3 DAY"
            );
            assert_eq!(world.count(&malformed), 0, "{table} of {seed}");
            let ambiguous = format!("(SELECT 1 FROM {table}_log GROUP BY change_sequence HAVING count(*) > 1)");
            assert_eq!(world.count(&ambiguous), 0, "{table} of {seed}");
            let out_of_order = format!(
                "(SELECT changed_at, lag(changed_at) OVER (ORDER BY change_sequence) AS before FROM {table}_log)
                 WHERE changed_at < before"
            );
            assert_eq!(world.count(&out_of_order), 0, "{table} of {seed}");
            for operation in ["insert", "update", "delete"] {
                // Of the very small ones not everything happens within a quarter.
                let later =
                    format!("{table}_log WHERE operation = '{operation}' AND changed_at > TIMESTAMP '2025-08-02'");
                if !["payment_types", "promotion_groups", "employees"].contains(&table) {
                    assert!(world.count(&later) > 0, "no {operation} of {table} of {seed}");
                }
            }
            let columns: String = world.ask(&format!(
                "SELECT string_agg(column_name, ', ' ORDER BY column_index) FROM duckdb_columns() WHERE table_name = '{table}'"
            ));
            let folded = format!(
                "SELECT {columns} FROM (SELECT unnest(arg_max(l, change_sequence)) FROM {table}_log l GROUP BY {key})
                 WHERE NOT is_deleted"
            );
            let differing =
                format!("((FROM {table} EXCEPT ALL ({folded})) UNION ALL (({folded}) EXCEPT ALL FROM {table}))");
            assert_eq!(world.count(&differing), 0, "{table} of {seed}");
        }
    }
}

#[test]
fn every_reference_is_to_a_row_that_is_there_when_it_is_told() {
    for seed in [42, 7, 1_000_003] {
        let world = a_while(seed);
        for (from, column, to, key) in REFERENCES {
            let there = if to == "channels" {
                format!("channels t WHERE t.{key} = f.{column}")
            } else {
                format!(
                    "(SELECT arg_max(is_deleted, change_sequence) AS is_gone FROM {to}_log t
                      WHERE t.{key} = f.{column} AND t.changed_at <= f.changed_at) WHERE NOT is_gone"
                )
            };
            let dangling =
                format!("{from}_log f WHERE NOT f.is_deleted AND f.{column} IS NOT NULL AND NOT EXISTS (FROM {there})");
            assert_eq!(world.count(&dangling), 0, "{from}.{column} of {seed}");
        }
        // And it stays there for as long as it is referred to.
        for (from, column, to, key) in REFERENCES.iter().filter(|(from, ..)| from.ends_with("_products")) {
            let orphans = format!("{from} f ANTI JOIN {to} t ON t.{key} = f.{column}");
            assert_eq!(world.count(&orphans), 0, "{from}.{column} of {seed}");
        }
    }
}

#[test]
fn rules_of_the_catalogue_hold() {
    let world = a_while(42);
    let none = |from: &str| assert_eq!(world.count(from), 0, "{from}");
    // One primary category and one preferred supplier a product, as soon as it has any.
    none("(SELECT product_id FROM categories_products GROUP BY 1 HAVING count_if(is_primary) <> 1)");
    none("(SELECT product_id FROM suppliers_products GROUP BY 1 HAVING count_if(is_preferred) <> 1)");
    // The tree has three levels, and products are at its leaves.
    none(
        "categories c LEFT JOIN categories p ON p.category_id = c.parent_category_id
          WHERE c.level <> coalesce(p.level, 0) + 1 OR c.level NOT BETWEEN 1 AND 3",
    );
    none("categories_products JOIN categories USING (category_id) WHERE level <> 3");
    // Merged suppliers have passed on what they delivered.
    none("suppliers_products JOIN suppliers USING (supplier_id) WHERE status = 'merged'");
    none("suppliers WHERE (status = 'merged') <> (merged_into_supplier_id IS NOT NULL)");
    assert!(world.count("suppliers_log WHERE status = 'merged'") > 0);
    none("promotion_groups WHERE (group_type = 'Category') <> (category_id IS NOT NULL)");
    none("promotion_groups_products JOIN promotion_groups USING (promotion_group_id) WHERE group_type <> 'Custom'");
    none("promotions_log WHERE ends_at <= starts_at OR discount_value <= 0 OR minimum_quantity < 1
          OR (discount_level = 'ORDER' AND (promotion_group_id IS NOT NULL OR discount_type IN ('FIXED_PRICE', 'BUY_X_GET_Y')))");
    none("employees_log WHERE channel_id <> 5");
    none("products_log WHERE unit_price_cents <= 0 OR msrp_cents <= 0 OR cost_price_cents <= 0 OR maximum_players < minimum_players
          OR maximum_minutes < minimum_minutes OR average_rating_hundredths NOT BETWEEN 100 AND 1000");
    // Codes and addresses of the web name one row each.
    for (table, column, key) in [
        ("promotions_log", "code", "promotion_id"),
        ("publishers_log", "website", "publisher_id"),
        ("employees_log", "email", "employee_id"),
    ] {
        none(&format!("(SELECT {column} FROM {table} GROUP BY 1 HAVING count(DISTINCT {key}) > 1)"));
    }
    let founding =
        |table: &str| world.count(&format!("{table}_log WHERE changed_at < TIMESTAMP '2025-08-01 04:00:01'"));
    let sizes: Vec<i64> = LOGS.iter().map(|(table, _)| founding(table)).collect();
    assert_eq!(sizes[..5], [450, 1_200, 24, 80, 5_000]);
    assert_eq!((sizes[9], sizes[11], sizes[12], sizes[13]), (8, 12, 8, 60));
    assert!(sizes[5..9].iter().all(|&pairs| pairs > 5_000), "{sizes:?}");
}

#[test]
fn holidays_are_those_of_the_law() {
    let world = World::new(settings(0.01));
    let names = |day: &str| -> String {
        world.ask(&format!(
            "SELECT string_agg(concat_ws(' ', country, subdivision, name), ', ' ORDER BY country, subdivision NULLS FIRST)
             FROM holidays WHERE date_day = '{day}' AND (subdivision IS NULL OR country = 'CA')"
        ))
    };
    assert_eq!(names("2025-12-25"), "CA Christmas Day, US Christmas Day");
    assert_eq!(
        names("2025-08-04"),
        "CA BC British Columbia Day, CA NB New Brunswick Day, CA NT Civic Holiday, CA NU Civic Holiday, CA SK Saskatchewan Day"
    );
    assert_eq!(
        world.count(
            "(SELECT 1 FROM holidays GROUP BY date_day, country, coalesce(subdivision, '') HAVING count(*) > 1)"
        ),
        0
    );
    assert_eq!(world.count("(SELECT DISTINCT country, subdivision FROM holidays WHERE country = 'CA')"), 14);
    assert!(world.count("(SELECT DISTINCT subdivision FROM holidays WHERE country = 'US')") > 50);
    let missing = "date_dimension d WHERE d.is_holiday <> EXISTS
        (FROM holidays h WHERE h.date_day = d.date_day AND h.country = 'CA')";
    assert_eq!(world.count(missing), 0);
}
