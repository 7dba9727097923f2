//! The till: what promotions take off a purchase.
//!
//! Line promotions come first, line by line, then order promotions on what is left. A promotion is considered when it
//! applies at the instant, its group has the product, and its minimums are met; in the order of priority, then of
//! number. Promotions of one pool exclude each other as soon as one of them can't be stacked.

use std::ops::Range;

use super::{
    calendar::Days,
    categories::Category,
    history::{History, State},
    links::Link,
    promotions::{Kind, Level, Terms},
    purchases::Line,
    shop::Shop,
};

/// What a promotion took off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discount {
    /// The row of the promotion, from 0.
    pub promotion: u32,
    /// The line, from 1; none for the whole order.
    pub line: Option<u32>,
    /// Units of the line that were cheaper.
    pub units: Option<i64>,
    /// How much, in cents; more than 0, less than 0 of a return.
    pub amount: i64,
}

/// A promotion as long as it applies on the same terms.
#[derive(Clone, Copy, Debug)]
struct Spell {
    promotion: u32,
    applies: (i64, i64),
    terms: Terms,
}

/// The promotions of a day, in the order in which they are considered.
#[derive(Debug, Default)]
struct Today {
    lines: Vec<Spell>,
    orders: Vec<Spell>,
    /// Which of `lines` are for everything, a bit each.
    everything: u64,
    /// Which of `lines` are for a product at some time of the day, a bit each.
    of_product: Vec<u64>,
}

/// A product's time in a group.
#[derive(Clone, Copy, Debug)]
struct Member {
    product: u32,
    during: (i64, i64),
}

/// The promotions of some days and the products that they are for.
#[derive(Debug)]
pub(super) struct Till {
    first: u32,
    days: Vec<Today>,
    /// By group, by product.
    groups: Vec<Vec<Member>>,
}

impl Till {
    /// What holds on some days.
    pub(super) fn new(shop: &Shop, days: &Days, ordinals: Range<u32>) -> Self {
        let window = (days.get(ordinals.start).begin, days.get(ordinals.end - 1).window().1);
        let spells = spells(shop, window);
        let most = spells.iter().filter_map(|spell| spell.terms.group).max().map_or(0, |group| group + 1);
        let groups: Vec<Vec<Member>> = (0..most).map(|group| members(shop, group, window)).collect();
        let first = ordinals.start;
        let days = ordinals.map(|ordinal| today(shop, days.get(ordinal).window(), &spells, &groups)).collect();
        Self { first, days, groups }
    }

    /// Whether a promotion is for a product in particular on a day.
    pub(super) fn promotes(&self, day: u32, product: u32) -> bool {
        self.days[(day - self.first) as usize].of_product[product as usize] != 0
    }

    /// What is taken off a purchase, in order.
    pub(super) fn discounts(&self, day: u32, at: i64, lines: &[Line]) -> Vec<Discount> {
        let mut discounts = Vec::new();
        let today = &self.days[(day - self.first) as usize];
        let subtotal: i64 = lines.iter().map(Line::total).sum();
        let mut left_of_order = subtotal;
        for (number, line) in (1..).zip(lines) {
            let mut candidates = today.everything | today.of_product[line.product as usize];
            let mut basket = Basket::new(line.quantity, line.total(), subtotal);
            while candidates != 0 {
                let spell = &today.lines[candidates.trailing_zeros() as usize];
                candidates &= candidates - 1;
                let is_meant = during(spell.applies, at)
                    && spell.terms.group.is_none_or(|group| self.has(group, line.product, at));
                if is_meant && let Some((amount, units)) = basket.take(&spell.terms, line.unit_price) {
                    let promotion = spell.promotion;
                    discounts.push(Discount { promotion, line: Some(number), units: Some(units), amount });
                }
            }
            left_of_order -= line.total() - basket.left;
        }
        let quantity = lines.iter().map(|line| line.quantity).sum();
        let mut basket = Basket::new(quantity, left_of_order, subtotal);
        for spell in today.orders.iter().filter(|spell| during(spell.applies, at)) {
            if let Some((amount, _)) = basket.take(&spell.terms, 0) {
                discounts.push(Discount { promotion: spell.promotion, line: None, units: None, amount });
            }
        }
        discounts
    }

    fn has(&self, group: u32, product: u32, at: i64) -> bool {
        let members = &self.groups[group as usize];
        let first = members.partition_point(|member| member.product < product);
        let spans = members[first..].iter().take_while(|member| member.product == product);
        spans.into_iter().any(|member| during(member.during, at))
    }
}

/// A line, or what is left of an order, at the till.
struct Basket {
    quantity: i64,
    left: i64,
    subtotal: i64,
    /// Pools of which something was taken, a bit each.
    used: u8,
    /// Pools of which nothing more may be taken.
    closed: u8,
}

impl Basket {
    const fn new(quantity: i64, left: i64, subtotal: i64) -> Self {
        Self { quantity, left, subtotal, used: 0, closed: 0 }
    }

    /// Takes off what a promotion's terms allow: cents, and the units that are cheaper for it.
    fn take(&mut self, terms: &Terms, unit_price: i64) -> Option<(i64, i64)> {
        let pool = 1 << terms.pool as u8;
        let is_excluded = self.closed & pool != 0 || (!terms.is_stackable && self.used & pool != 0);
        if is_excluded || self.quantity < terms.minimum_quantity || self.subtotal < terms.minimum_subtotal {
            return None;
        }
        let (amount, units) = match terms.kind {
            Kind::Percent => ((self.left * terms.value + 5_000) / 10_000, self.quantity),
            Kind::Flat => (terms.value, self.quantity),
            Kind::FixedPrice => (self.left - self.quantity * terms.value, self.quantity),
            Kind::BuyXGetY => {
                let free = self.quantity / (terms.minimum_quantity + terms.value) * terms.value;
                (free * unit_price, free)
            }
        };
        let amount = amount.min(self.left);
        if amount <= 0 {
            return None;
        }
        self.left -= amount;
        self.used |= pool;
        if !terms.is_stackable {
            self.closed |= pool;
        }
        Some((amount, units))
    }
}

fn during((from, to): (i64, i64), at: i64) -> bool {
    from <= at && at < to
}

/// What two stretches of time have in common, if anything.
fn common(one: (i64, i64), other: (i64, i64)) -> Option<(i64, i64)> {
    let both = (one.0.max(other.0), one.1.min(other.1));
    (both.0 < both.1).then_some(both)
}

/// A row's states and how long each holds, the newest first.
fn holding<S: State>(history: &History<S>, row: u32) -> impl Iterator<Item = (&S, (i64, i64))> {
    let mut until = i64::MAX;
    history.versions(row).filter_map(move |version| {
        let during = (version.valid_from, std::mem::replace(&mut until, version.valid_from));
        (!version.is_deleted()).then_some((&version.state, during))
    })
}

fn spells(shop: &Shop, window: (i64, i64)) -> Vec<Spell> {
    let mut spells = Vec::new();
    for promotion in 0..shop.promotions.rows() {
        for (state, during) in holding(&shop.promotions, promotion) {
            let applies = state.applies().and_then(|applies| common(applies, during)).and_then(|at| common(at, window));
            spells.extend(applies.map(|applies| Spell { promotion, applies, terms: state.terms }));
        }
    }
    spells.sort_by_key(|spell| (spell.terms.priority, spell.promotion));
    spells
}

/// Who belongs to a group, and when, by product.
fn members(shop: &Shop, group: u32, window: (i64, i64)) -> Vec<Member> {
    let mut members = Vec::new();
    match shop.promotion_groups.newest(group).state.category {
        None => {
            for (link, during) in pairs(&shop.promotion_groups_products, window) {
                if link.partner == group {
                    members.push(Member { product: link.product, during });
                }
            }
        }
        Some(wanted) => {
            // A leaf's branch may change; that of a branch does not.
            let under: Vec<Vec<(i64, i64)>> =
                (0..shop.categories.rows()).map(|leaf| below(&shop.categories, leaf, wanted)).collect();
            for (link, during) in pairs(&shop.categories_products, window) {
                let times = under[link.partner as usize].iter().filter_map(|&time| common(time, during));
                members.extend(times.map(|during| Member { product: link.product, during }));
            }
        }
    }
    members.sort_by_key(|member| member.product);
    members
}

/// When a category is, or lies below, another one.
fn below(categories: &History<Category>, category: u32, wanted: u32) -> Vec<(i64, i64)> {
    let parent = |row: u32| categories.newest(row).state.parent;
    holding(categories, category)
        .filter(|(state, _)| {
            let above = std::iter::successors(state.parent, |&row| parent(row));
            std::iter::once(category).chain(above).any(|row| row == wanted)
        })
        .map(|(_, during)| during)
        .collect()
}

/// A bridge's pairs and how long each is there.
fn pairs<A>(bridge: &History<Link<A>>, window: (i64, i64)) -> impl Iterator<Item = (&Link<A>, (i64, i64))>
where
    Link<A>: State,
{
    (0..bridge.rows()).filter_map(move |row| {
        let newest = bridge.newest(row);
        let until = if newest.is_deleted() { newest.valid_from } else { i64::MAX };
        let from = bridge.versions(row).last()?.valid_from;
        common((from, until), window).map(|during| (&newest.state, during))
    })
}

fn today(shop: &Shop, window: (i64, i64), spells: &[Spell], groups: &[Vec<Member>]) -> Today {
    let mut today = Today { of_product: vec![0; shop.products.rows() as usize], ..Today::default() };
    for spell in spells.iter().filter(|spell| common(spell.applies, window).is_some()) {
        if spell.terms.level == Level::Order {
            today.orders.push(*spell);
            continue;
        }
        // A handful of promotions runs at a time: their spells of a day never come near 64.
        debug_assert!(today.lines.len() < 64, "too many promotions on one day");
        let bit = 1_u64 << today.lines.len();
        today.lines.push(*spell);
        let Some(group) = spell.terms.group else {
            today.everything |= bit;
            continue;
        };
        for member in groups[group as usize].iter().filter(|member| common(member.during, window).is_some()) {
            today.of_product[member.product as usize] |= bit;
        }
    }
    today
}
