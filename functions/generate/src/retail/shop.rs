//! Everything small that the retailer keeps, each table folded from the start.

use arrow::array::RecordBatch;

use super::{
    authors::{self, Author},
    authors_products::{self, Role},
    calendar::Days,
    categories::{self, Category},
    categories_products::{self, Place},
    employees::{self, Employee},
    history::History,
    links::Link,
    payment_types::{self, PaymentType},
    products::{self, Product},
    promotion_groups::{self, Group},
    promotion_groups_products::{self, Member},
    promotions::{self, Promotion},
    publishers::{self, Publisher},
    publishers_products::{self, Region},
    random::Random,
    suppliers::{self, Supplier},
    suppliers_products::{self, Terms},
    table::Table,
};
use crate::Error;

/// The tables, as [`Shop::batch`] counts them.
pub(super) const TABLES: [&Table; 14] = [
    &authors::AUTHORS,
    &publishers::PUBLISHERS,
    &suppliers::SUPPLIERS,
    &categories::CATEGORIES,
    &products::PRODUCTS,
    &authors_products::AUTHORS_PRODUCTS,
    &categories_products::CATEGORIES_PRODUCTS,
    &publishers_products::PUBLISHERS_PRODUCTS,
    &suppliers_products::SUPPLIERS_PRODUCTS,
    &promotion_groups::PROMOTION_GROUPS,
    &promotion_groups_products::PROMOTION_GROUPS_PRODUCTS,
    &promotions::PROMOTIONS,
    &payment_types::PAYMENT_TYPES,
    &employees::EMPLOYEES,
];

/// The histories of all small tables up to a day.
#[derive(Debug)]
pub(super) struct Shop {
    authors: History<Author>,
    publishers: History<Publisher>,
    suppliers: History<Supplier>,
    pub(super) categories: History<Category>,
    pub(super) products: History<Product>,
    authors_products: History<Link<Role>>,
    pub(super) categories_products: History<Link<Place>>,
    publishers_products: History<Link<Region>>,
    suppliers_products: History<Link<Terms>>,
    pub(super) promotion_groups: History<Group>,
    pub(super) promotion_groups_products: History<Link<Member>>,
    pub(super) promotions: History<Promotion>,
    pub(super) payment_types: History<PaymentType>,
    pub(super) employees: History<Employee>,
}

impl Shop {
    /// Folds every table from the start to the last day. The numbers of the nodes are part of the format.
    pub(super) fn new(random: Random, days: &Days) -> Self {
        let authors = authors::fold(random.split(0), days);
        let publishers = publishers::fold(random.split(1), days);
        let suppliers = suppliers::fold(random.split(2), days);
        let categories = categories::fold(random.split(3), days);
        let products = products::fold(random.split(4), days);
        let promotion_groups = promotion_groups::fold(random.split(9), days);
        Self {
            authors_products: authors_products::fold(random.split(5), days, &products, &authors),
            categories_products: categories_products::fold(random.split(6), days, &products, &categories),
            publishers_products: publishers_products::fold(random.split(7), days, &products, &publishers),
            suppliers_products: suppliers_products::fold(random.split(8), days, &products, &suppliers),
            promotion_groups_products: promotion_groups_products::fold(
                random.split(10),
                days,
                &products,
                &promotion_groups,
            ),
            promotions: promotions::fold(random.split(11), days),
            payment_types: payment_types::fold(random.split(12), days),
            employees: employees::fold(random.split(13), days),
            authors,
            publishers,
            suppliers,
            categories,
            products,
            promotion_groups,
        }
    }

    /// The log rows of a day of one of the [`TABLES`].
    ///
    /// # Errors
    /// `Internal` when the batch can't be assembled.
    pub(super) fn batch(&self, table: usize, ordinal: u32) -> Result<RecordBatch, Error> {
        match table {
            0 => self.authors.batch(ordinal),
            1 => self.publishers.batch(ordinal),
            2 => self.suppliers.batch(ordinal),
            3 => self.categories.batch(ordinal),
            4 => self.products.batch(ordinal),
            5 => self.authors_products.batch(ordinal),
            6 => self.categories_products.batch(ordinal),
            7 => self.publishers_products.batch(ordinal),
            8 => self.suppliers_products.batch(ordinal),
            9 => self.promotion_groups.batch(ordinal),
            10 => self.promotion_groups_products.batch(ordinal),
            11 => self.promotions.batch(ordinal),
            12 => self.payment_types.batch(ordinal),
            _ => self.employees.batch(ordinal),
        }
    }
}
