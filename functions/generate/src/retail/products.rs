//! `products_log`: the catalogue and its changes.

use super::{
    calendar::{Day, Days},
    cells::Cell,
    history::{History, Pace, State, Step},
    names,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const PRODUCTS: Table = Table {
    name: "products_log",
    key: &["product_id"],
    columns: &[
        ("product_id", Type::Integer),
        ("name", Type::Text),
        ("description", Type::Text),
        ("year_published", Type::Integer),
        ("minimum_players", Type::Integer),
        ("maximum_players", Type::Integer),
        ("minimum_minutes", Type::Integer),
        ("maximum_minutes", Type::Integer),
        ("minimum_age", Type::Integer),
        ("users_rated", Type::Integer),
        ("average_rating_hundredths", Type::Integer),
        ("rating_rank", Type::Integer),
        ("cost_price_cents", Type::Integer),
        ("msrp_cents", Type::Integer),
        ("unit_price_cents", Type::Integer),
        ("image_url", Type::Text),
        ("status", Type::Text),
    ],
    log: Log::Versions,
};

/// Products at the first instant of the sandbox.
const FOUNDING: u32 = 5_000;

const LOWEST_PRICE: i64 = 199;

const MECHANICS: [&str; 12] = [
    "worker placement",
    "hand management",
    "set collection",
    "area control",
    "tile laying",
    "route building",
    "auction",
    "drafting",
    "engine building",
    "push your luck",
    "pattern building",
    "hidden roles",
];
const MOODS: [&str; 8] = ["tense", "light", "clever", "lively", "quiet", "fast", "rich", "classic"];
const AGES: [i64; 6] = [6, 8, 10, 10, 12, 14];

/// A product's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    /// What never changes follows from this.
    random: Random,
    /// How often the description was rewritten.
    edition: u8,
    year: i64,
    users_rated: i64,
    rating: i64,
    cost: i64,
    recommended: i64,
    /// The price of a unit, in cents.
    pub(super) unit_price: i64,
    is_active: bool,
}

impl Product {
    fn new(random: Random, row: u32, latest_year: i64) -> Self {
        let (price, fame) = (random.split(1), random.split(2));
        let recommended = (7 + price.below(113)) * 100 + 99;
        let unit_price = (recommended * (80 + price.split(0).below(21)) / 100).max(LOWEST_PRICE);
        Self {
            random,
            edition: 0,
            // Most games are recent.
            year: latest_year - i64::from(scale(scale(fame.high(), fame.high()), 40)),
            // The first products are the popular ones.
            users_rated: 20 + 400_000 / (i64::from(row) + 12) + fame.split(0).below(90),
            rating: (820 - i64::from(row) / 20).max(480) + fame.split(1).below(80),
            cost: recommended * (40 + price.split(1).below(25)) / 100,
            recommended,
            unit_price,
            is_active: true,
        }
    }

    /// Whether it can be bought in this state.
    pub(super) fn is_sold(&self) -> bool {
        self.is_active
    }
}

impl State for Product {
    const TABLE: &'static Table = &PRODUCTS;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let (play, words) = (self.random.split(3), self.random.split(4 + u64::from(self.edition)));
        let players = 1 + i64::from(scale(play.high(), 3));
        let minutes = 10 * (1 + i64::from(scale(play.low(), 9)));
        let most = players + 1 + i64::from(scale(play.split(0).high(), 5));
        let description = format!(
            "A {} game of {} and {} for {players} to {most} players.",
            names::pick(&MOODS, words.high()),
            names::pick(&MECHANICS, words.low()),
            names::pick(&MECHANICS, words.split(0).low())
        );
        [
            Cell::id(row),
            names::product(self.random).into(),
            description.into(),
            self.year.into(),
            players.into(),
            most.into(),
            minutes.into(),
            (minutes + 15 * i64::from(scale(play.split(1).high(), 8))).into(),
            names::pick(&AGES, play.split(2).high()).into(),
            self.users_rated.into(),
            self.rating.into(),
            Cell::id(row),
            self.cost.into(),
            self.recommended.into(),
            self.unit_price.into(),
            format!("https://images.example/products/{}.png", row + 1).into(),
            if self.is_active { "active" } else { "discontinued" }.into(),
        ]
    }
}

/// Mostly new prices; also ratings, texts, ends and returns of sale, deletions and launches.
pub(super) fn fold(random: Random, days: &Days) -> History<Product> {
    let founding = random.split(0);
    let year = |day: &Day| i64::from(day.date.year());
    let states = (0..FOUNDING).map(|row| Product::new(founding.split(u64::from(row)), row, year(days.get(0))));
    History::founded(days, states).unfold(random.split(1), days, Pace(2_400), |products, moment, event| {
        // The first product is always on sale.
        let Some(row) = products.any(event.split(0), |row, _| row > 0) else { return Step::Nothing };
        let (product, bits) = (products.newest(row).state, event.split(1));
        match scale(event.high(), 100) {
            0..8 => Step::Insert(Product::new(bits, products.rows(), year(moment.day))),
            8..13 => Step::Delete(row),
            13..23 => Step::Update(row, Product { is_active: !product.is_active, ..product }),
            23..38 => {
                let users_rated = product.users_rated + 1 + bits.below(500);
                let rating = (product.rating + bits.split(0).below(21) - 10).clamp(100, 1_000);
                Step::Update(row, Product { users_rated, rating, ..product })
            }
            38..42 => Step::Update(row, Product { edition: product.edition.wrapping_add(1), ..product }),
            _ => {
                let unit_price = (product.unit_price * (85 + bits.below(33)) / 100).max(LOWEST_PRICE);
                let cost = if bits.low().is_multiple_of(3) { unit_price * 55 / 100 } else { product.cost };
                Step::Update(row, Product { cost, unit_price, ..product })
            }
        }
    })
}
