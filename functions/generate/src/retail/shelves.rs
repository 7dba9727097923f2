//! What is on sale at which price, and what is bought together: the catalogue as the till asks for it.

use super::{
    categories_products::Place,
    history::History,
    links::Link,
    products::Product,
    random::{Random, scale},
};

/// The price of a product from an instant on.
#[derive(Clone, Copy, Debug)]
struct Price {
    valid_from: i64,
    cents: i32,
    is_sold: bool,
}

/// The catalogue from an instant on.
#[derive(Debug)]
pub(super) struct Shelves {
    random: Random,
    /// By product, then by `valid_from`.
    prices: Vec<Price>,
    /// Where a product's prices begin; one more at the end.
    begins: Vec<u32>,
    /// When each product was launched, rising.
    launches: Vec<i64>,
    /// Products at the first instant.
    founding: u32,
    /// Each product's kind.
    kinds: Vec<u32>,
    /// The products of each kind, rising.
    of_kind: Vec<Vec<u32>>,
}

/// Draws until a product is found that is on sale.
const ATTEMPTS: u32 = 16;

impl Shelves {
    /// The catalogue as of an instant and later.
    pub(super) fn new(
        random: Random,
        products: &History<Product>,
        categories: &History<Link<Place>>,
        begin: i64,
        from: i64,
    ) -> Self {
        let mut shelves = Self {
            random,
            prices: Vec::new(),
            begins: vec![0],
            launches: Vec::new(),
            founding: 0,
            kinds: vec![0; products.rows() as usize],
            of_kind: Vec::new(),
        };
        for row in 0..products.rows() {
            let first = shelves.prices.len();
            let mut launched = from;
            for version in products.versions(row) {
                launched = version.valid_from;
                // Of what held before, only what still holds matters.
                if shelves.prices[first..].last().is_none_or(|earliest| earliest.valid_from > from) {
                    shelves.prices.push(Price {
                        valid_from: version.valid_from,
                        cents: i32::try_from(version.state.unit_price).unwrap_or(i32::MAX),
                        is_sold: version.state.is_sold() && !version.is_deleted(),
                    });
                }
            }
            shelves.prices[first..].reverse();
            shelves.begins.push(u32::try_from(shelves.prices.len()).unwrap_or(u32::MAX));
            shelves.founding += u32::from(launched <= begin);
            shelves.launches.push(launched);
        }
        // A product's kind is the category it started with: people know it as that, whatever the catalogue says later.
        for row in 0..categories.rows() {
            let Some(first) = categories.versions(row).last() else { continue };
            let product = first.state.product as usize;
            if first.state.is_lead() && first.valid_from == shelves.launches[product] {
                shelves.kinds[product] = first.state.partner;
            }
        }
        let kinds = shelves.kinds.iter().max().map_or(0, |&most| most as usize + 1);
        shelves.of_kind = vec![Vec::new(); kinds];
        for (product, &kind) in (0..).zip(&shelves.kinds) {
            shelves.of_kind[kind as usize].push(product);
        }
        shelves
    }

    /// How many products have been launched before an instant.
    pub(super) fn launched(&self, before: i64) -> u32 {
        u32::try_from(self.launches.partition_point(|&launch| launch < before)).unwrap_or(u32::MAX)
    }

    /// Picks one of the first `launched` products that can be sold at both instants, the popular ones more often.
    /// Somebody who has chosen one already likes to take its companion or another of its kind.
    ///
    /// Product 0 can always be sold and is the last resort.
    #[inline]
    pub(super) fn pick(&self, random: Random, chosen: Option<u32>, launched: u32, earliest: i64, latest: i64) -> u32 {
        let is_sold = |product: u32| {
            self.price(product, earliest).is_some_and(|price| price.is_sold)
                && (latest == earliest || self.price(product, latest).is_some_and(|price| price.is_sold))
        };
        let mut bits = random.split(0);
        if let Some(chosen) = chosen {
            let together = match scale(random.high(), 100) {
                0..15 => Some(self.companion(chosen)),
                15..45 => self.same_kind(bits, chosen, launched),
                _ => None,
            };
            if let Some(product) = together.filter(|&product| product != chosen && is_sold(product)) {
                return product;
            }
        }
        for _ in 0..ATTEMPTS {
            let product = scale(scale(bits.high(), bits.high()), launched);
            if is_sold(product) {
                return product;
            }
            bits = bits.split(0);
        }
        0
    }

    /// The unit price that is valid at an instant, in cents.
    #[inline]
    pub(super) fn unit_price(&self, product: u32, at: i64) -> i64 {
        self.price(product, at).map_or(0, |price| i64::from(price.cents))
    }

    /// What goes with a product, always the same.
    fn companion(&self, product: u32) -> u32 {
        let bits = self.random.split(u64::from(product));
        scale(scale(bits.high(), bits.high()), self.founding)
    }

    fn same_kind(&self, random: Random, chosen: u32, launched: u32) -> Option<u32> {
        let kin = &self.of_kind[self.kinds[chosen as usize] as usize];
        let count = kin.partition_point(|&product| product < launched);
        let place = scale(scale(random.low(), random.low()), u32::try_from(count).unwrap_or_default());
        kin.get(place as usize).copied()
    }

    #[inline]
    fn price(&self, product: u32, at: i64) -> Option<&Price> {
        let product = product as usize;
        let prices = &self.prices[self.begins[product] as usize..self.begins[product + 1] as usize];
        prices.iter().rev().find(|price| price.valid_from <= at)
    }
}
