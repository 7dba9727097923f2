//! `promotions_log`: what takes something off a price, and when.
//!
//! A promotion is announced, starts, may be corrected, prolonged or cancelled, ends, and is deleted some weeks later.
//! Its whole life follows from its number, so the log is made of the lives, by time.

use super::{
    calendar::Days,
    cells::Cell,
    history::{History, MOST_LATE, Moment, Pace, State},
    names, promotion_groups,
    random::{Random, scale},
    table::{Log, Table, Type},
};

/// The table.
pub(super) const PROMOTIONS: Table = Table {
    name: "promotions_log",
    key: &["promotion_id"],
    columns: &[
        ("promotion_id", Type::Integer),
        ("code", Type::Text),
        ("name", Type::Text),
        ("discount_level", Type::Text),
        ("discount_pool", Type::Text),
        ("is_stackable", Type::Boolean),
        ("priority", Type::Integer),
        ("discount_type", Type::Text),
        ("discount_value", Type::Integer),
        ("minimum_quantity", Type::Integer),
        ("minimum_subtotal_cents", Type::Integer),
        ("promotion_group_id", Type::Integer),
        ("starts_at", Type::Timestamp),
        ("ends_at", Type::Timestamp),
        ("status", Type::Text),
    ],
    log: Log::Versions,
};

/// What it takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Hundredths of a percent of what is left.
    Percent,
    /// Cents.
    Flat,
    /// Whatever a unit costs above these cents.
    FixedPrice,
    /// So many free units for each `minimum_quantity` units bought.
    BuyXGetY,
}

/// What it is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Each line.
    Line,
    /// The transaction, after its lines.
    Order,
}

/// Promotions of a pool know of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    Order,
    Loyalty,
    Sale,
    Clearance,
    Bundle,
}

impl Pool {
    const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Loyalty => "loyalty",
            Self::Sale => "sale",
            Self::Clearance => "clearance",
            Self::Bundle => "bundle",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Scheduled,
    Active,
    Ended,
    Cancelled,
}

/// What a promotion says, beside when it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// What it is taken off.
    pub(super) level: Level,
    /// Promotions of one pool know of each other.
    pub(super) pool: Pool,
    /// Whether it goes together with others of its pool.
    pub(super) is_stackable: bool,
    /// Lower ones first.
    pub(super) priority: i64,
    /// What it takes off.
    pub(super) kind: Kind,
    /// How much, in the unit of the kind.
    pub(super) value: i64,
    /// Units of the line, or of the whole transaction, that it needs.
    pub(super) minimum_quantity: i64,
    /// Cents of the whole transaction, before discounts, that it needs.
    pub(super) minimum_subtotal: i64,
    /// The row of the group that it is for; none for everything.
    pub(super) group: Option<u32>,
}

/// A promotion's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promotion {
    name: Random,
    pub(super) terms: Terms,
    starts_at: i64,
    ends_at: i64,
    status: Status,
}

impl Promotion {
    /// From when to when it applies, as far as it stays in this state.
    pub(super) fn applies(&self) -> Option<(i64, i64)> {
        (self.status == Status::Active).then_some((self.starts_at, self.ends_at))
    }
}

impl State for Promotion {
    const TABLE: &'static Table = &PROMOTIONS;

    fn cells(&self, row: u32) -> impl IntoIterator<Item = Cell> {
        let terms = &self.terms;
        let word = names::pick(&WORDS, self.name.high());
        [
            Cell::id(row),
            format!("{}{:03}", word.to_uppercase(), row + 1).into(),
            format!("{word} {}", names::pick(&OCCASIONS, self.name.low())).into(),
            if terms.level == Level::Order { "ORDER" } else { "LINE_ITEM" }.into(),
            terms.pool.name().into(),
            terms.is_stackable.into(),
            terms.priority.into(),
            match terms.kind {
                Kind::Percent => "PERCENT",
                Kind::Flat => "FLAT",
                Kind::FixedPrice => "FIXED_PRICE",
                Kind::BuyXGetY => "BUY_X_GET_Y",
            }
            .into(),
            terms.value.into(),
            terms.minimum_quantity.into(),
            terms.minimum_subtotal.into(),
            terms.group.map(Cell::id).into(),
            Cell::Instant(self.starts_at),
            Cell::Instant(self.ends_at),
            match self.status {
                Status::Scheduled => "scheduled",
                Status::Active => "active",
                Status::Ended => "ended",
                Status::Cancelled => "cancelled",
            }
            .into(),
        ]
    }
}

const WORDS: [&str; 10] = ["Save", "Table", "Play", "Bonus", "Meeple", "Weekend", "Season", "Corner", "Happy", "Early"];
const OCCASIONS: [&str; 8] = ["days", "weeks", "special", "offer", "deal", "sale", "thank-you", "surprise"];

const fn terms(level: Level, pool: Pool, is_stackable: bool, priority: i64, kind: Kind, value: i64) -> Terms {
    Terms { level, pool, is_stackable, priority, kind, value, minimum_quantity: 1, minimum_subtotal: 0, group: None }
}

/// Every kind of promotion there is; the first [`FOUNDING`] are one of each.
const TEMPLATES: [Terms; 12] = {
    use Kind::{BuyXGetY, FixedPrice, Flat, Percent};
    use Level::{Line, Order};
    [
        Terms { minimum_subtotal: 10_000, ..terms(Order, Pool::Order, false, 10, Percent, 500) },
        Terms { minimum_subtotal: 15_000, ..terms(Order, Pool::Order, false, 5, Flat, 1_000) },
        Terms { minimum_subtotal: 5_000, ..terms(Order, Pool::Loyalty, true, 20, Percent, 200) },
        Terms { group: Some(0), ..terms(Line, Pool::Sale, false, 10, Percent, 1_500) },
        Terms { group: Some(1), minimum_quantity: 2, ..terms(Line, Pool::Sale, false, 5, Flat, 300) },
        Terms { minimum_quantity: 5, ..terms(Line, Pool::Sale, true, 30, Percent, 500) },
        Terms { group: Some(3), ..terms(Line, Pool::Clearance, false, 10, FixedPrice, 1_999) },
        Terms { group: Some(2), minimum_quantity: 2, ..terms(Line, Pool::Bundle, false, 10, BuyXGetY, 1) },
        Terms { group: Some(5), ..terms(Line, Pool::Bundle, false, 1, BuyXGetY, 1) },
        Terms { group: Some(4), minimum_subtotal: 8_000, ..terms(Line, Pool::Clearance, true, 20, Percent, 3_000) },
        Terms { minimum_quantity: 6, ..terms(Order, Pool::Order, true, 50, Percent, 300) },
        Terms { minimum_quantity: 4, ..terms(Line, Pool::Loyalty, true, 40, Flat, 100) },
    ]
};
const FOUNDING: usize = TEMPLATES.len();

/// Promotions that are announced, in a hundred days.
const PACE: Pace = Pace(10);

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

#[derive(Clone, Copy, Debug)]
enum Event {
    Announced,
    Started,
    Corrected,
    Prolonged { ends_at: i64 },
    Cancelled,
    Ended,
    Deleted,
}

/// The lives of all promotions, as one log.
pub(super) fn fold(random: Random, days: &Days) -> History<Promotion> {
    let start = days.get(0).begin;
    // What happens, when and to which promotion.
    let mut events: Vec<(i64, u32, Event)> = Vec::new();
    let mut announced = Vec::new();
    for (number, terms) in (0..).zip(TEMPLATES) {
        let bits = random.split(0).split(u64::from(number));
        // The first one never ends; two are still to come.
        let first_day = if number % 6 == 5 { 2 + bits.below(5) } else { -1 - bits.below(20) };
        let last_day = if number == 0 { 3_650 } else { 8 + bits.split(0).below(60) };
        announced.push(Promotion {
            name: bits.split(1),
            terms,
            starts_at: start + first_day * DAY,
            ends_at: start + last_day * DAY,
            status: if first_day < 0 { Status::Active } else { Status::Scheduled },
        });
        let told = start + HOUR;
        live(bits.split(2), number, told, &announced[number as usize], &mut events);
    }
    for ordinal in 1..=days.last() {
        for (moment, bits) in PACE.moments(random.split(1), days, ordinal) {
            let number = u32::try_from(announced.len()).unwrap_or(u32::MAX);
            let starts_at = moment.day.begin + (1 + bits.below(10)) * DAY;
            let promotion = Promotion {
                name: bits.split(1),
                terms: vary(names::pick(&TEMPLATES, bits.split(2).high()), bits.split(3)),
                starts_at,
                ends_at: starts_at + (3 + bits.split(0).below(26)) * DAY,
                status: Status::Scheduled,
            };
            announced.push(promotion);
            events.push((moment.instant(), number, Event::Announced));
            live(bits.split(4), number, moment.instant(), &promotion, &mut events);
        }
    }
    events.sort_by_key(|&(at, number, _)| (at, number));

    let mut history = History::founded(days, announced[..FOUNDING].iter().copied());
    for (at, number, event) in events {
        let Some((ordinal, offset)) = days.place(at) else { continue };
        let moment = Moment { ordinal, day: days.get(ordinal), offset };
        let bits = random.split(2).split(u64::from(number));
        apply(&mut history, moment, number, event, &announced[number as usize], bits);
    }
    history
}

/// One of a kind, with other figures.
fn vary(terms: Terms, random: Random) -> Terms {
    let value = match terms.kind {
        Kind::BuyXGetY => terms.value,
        _ => terms.value * (70 + random.below(61)) / 100,
    };
    let minimum_subtotal = terms.minimum_subtotal * (80 + random.split(0).below(41)) / 100;
    let group = terms.group.map(|_| scale(random.split(1).high(), promotion_groups::LASTING));
    Terms { value, minimum_subtotal, group, ..terms }
}

/// What is to happen to a promotion after it was first told of.
fn live(random: Random, number: u32, told: i64, promotion: &Promotion, events: &mut Vec<(i64, u32, Event)>) {
    let mut plan = |at, event| events.push((at, number, event));
    let (starts_at, length) = (promotion.starts_at, promotion.ends_at - promotion.starts_at);
    // Told within some hours of what they tell.
    let soon = |child: u64| 1 + random.split(child).below(6 * HOUR);
    if promotion.status == Status::Scheduled {
        plan(starts_at + soon(0), Event::Started);
    }
    if number == 0 {
        return;
    }
    let chance = |child: u64| scale(random.split(child).high(), 100);
    let within = |child: u64| {
        let at = starts_at + length / 4 + random.split(child).below(length / 2);
        at.max(told + random.split(child).split(0).below(DAY))
    };
    if chance(1) < 35 {
        plan(within(2), Event::Corrected);
    }
    if chance(3) < 15 {
        plan(within(4), Event::Cancelled);
    }
    let mut ends_at = promotion.ends_at;
    if chance(5) < 35 {
        ends_at += (3 + random.split(6).below(12)) * DAY;
        plan(within(7), Event::Prolonged { ends_at });
    }
    plan(ends_at + soon(8), Event::Ended);
    if chance(9) < 50 {
        plan(ends_at + (5 + random.split(10).below(40)) * DAY, Event::Deleted);
    }
}

fn apply(
    history: &mut History<Promotion>,
    moment: Moment<'_>,
    row: u32,
    event: Event,
    announced: &Promotion,
    random: Random,
) {
    if let Event::Announced = event {
        history.insert(moment, *announced);
        return;
    }
    let present = history.newest(row).state;
    if let Event::Deleted = event {
        history.delete(moment, row);
        return;
    }
    if present.status == Status::Cancelled {
        return;
    }
    let (next, valid_from) = match event {
        Event::Started => (Promotion { status: Status::Active, ..present }, present.starts_at),
        Event::Corrected => {
            let value = match present.terms.kind {
                Kind::BuyXGetY => present.terms.value,
                _ => (present.terms.value * (80 + random.below(41)) / 100).max(1),
            };
            let terms = Terms { value, priority: present.terms.priority + random.split(0).below(3), ..present.terms };
            (Promotion { terms, ..present }, moment.instant() - random.split(1).below(MOST_LATE))
        }
        Event::Prolonged { ends_at } => (Promotion { ends_at, ..present }, moment.instant()),
        Event::Cancelled => (Promotion { status: Status::Cancelled, ..present }, moment.instant()),
        _ => (Promotion { status: Status::Ended, ..present }, present.ends_at),
    };
    history.update(moment, row, next, valid_from);
}
