//! Bridges: which partners (authors, categories ...) a product has. They follow what happens at both ends.
//!
//! A product that is launched brings its partners along; when either end is deleted, the rows between them are deleted
//! at the same instant; when a partner merges into another, its rows go over. A pair that was deleted never comes back.

use super::{
    calendar::Days,
    cells::Cell,
    change::Operation,
    columns::epoch_day,
    history::{History, Moment, Pace, State, Step},
    products::Product,
    random::{Random, scale},
    table::Table,
};

/// What a bridge says of a pair beside the two ids and the date.
pub(super) trait Attributes: Copy {
    /// The change log.
    const TABLE: &'static Table;

    /// By how many days a change of its own also corrects the date.
    const CORRECTION: i32 = 0;

    /// For a new pair.
    fn new(random: Random) -> Self;

    /// After a change of its own; none when only the lead of a product's partners changes.
    fn changed(self, random: Random) -> Option<Self>;

    /// Whether the partner is the product's first, in a bridge where one is.
    fn is_lead(self) -> Option<bool> {
        None
    }

    /// The same as the product's first partner, or no longer so.
    #[must_use]
    fn lead(self, _: bool) -> Self {
        self
    }

    /// The values of the columns between the ids and the date.
    fn cells(self, partner: u32, product: u32) -> impl IntoIterator<Item = Cell>;
}

/// A pair's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<A> {
    /// The row of the partner, from 0.
    pub(super) partner: u32,
    /// The row of the product, from 0.
    pub(super) product: u32,
    added_on: i32,
    attributes: A,
}

impl<A: Attributes> Link<A> {
    /// Whether the partner is the product's first.
    pub(super) fn is_lead(&self) -> bool {
        self.attributes.is_lead() == Some(true)
    }
}

impl<A: Attributes> State for Link<A> {
    const TABLE: &'static Table = A::TABLE;

    fn cells(&self, _: u32) -> impl IntoIterator<Item = Cell> {
        let ids = [Cell::id(self.partner), Cell::id(self.product)];
        let own = self.attributes.cells(self.partner, self.product);
        ids.into_iter().chain(own).chain([Cell::Date(self.added_on)])
    }
}

/// How products and partners are linked.
pub(super) struct Rule<P> {
    /// Partners of a product, in 16 products.
    pub(super) partners: fn(Random) -> u32,
    /// Which partners take new products.
    pub(super) takes: fn(u32, &P) -> bool,
    /// The partner that this one has become a part of.
    pub(super) merged_into: fn(&P) -> Option<u32>,
    /// How often a pair of its own accord is added, changed or deleted.
    pub(super) pace: Pace,
}

/// What happens to a bridge, and when.
enum Event {
    Launched { product: u32 },
    ProductDeleted { product: u32 },
    PartnerDeleted { partner: u32 },
    Merged { partner: u32, into: u32 },
    Own,
}

/// Both ends have been told of this long after the first instant, in microseconds.
const FOUNDED: i64 = 100;

/// Folds a bridge, following both ends.
pub(super) fn fold<A: Attributes, P: State>(
    random: Random,
    days: &Days,
    products: &History<Product>,
    partners: &History<P>,
    rule: &Rule<P>,
) -> History<Link<A>> {
    let start = Moment { ordinal: 0, day: days.get(0), offset: 0 };
    let founders = products.of_day(0).iter().filter(|version| version.change.operation == Operation::Insert);
    let mut founding = Vec::new();
    for version in founders {
        let bits = random.split(0).split(u64::from(version.row));
        let opened = start.day.begin + FOUNDED;
        founding.extend(partners_of::<A, P>(bits, version.row, &start, opened, partners, rule));
    }
    let mut by_product = vec![Vec::new(); products.rows() as usize];
    for (row, link) in (0..).zip(&founding) {
        by_product[link.product as usize].push(row);
    }
    let mut bridge =
        Bridge { links: History::founded_after(FOUNDED, days, founding), by_product, partners, products, rule };
    for ordinal in 1..=days.last() {
        let day = days.get(ordinal);
        let mut events = Vec::new();
        for version in products.of_day(ordinal) {
            let (offset, product) = (version.change.changed_at - day.begin, version.row);
            match version.change.operation {
                Operation::Insert => events.push((offset, Event::Launched { product }, random.split(1))),
                Operation::Delete => events.push((offset, Event::ProductDeleted { product }, random)),
                Operation::Update => {}
            }
        }
        for version in partners.of_day(ordinal) {
            let (offset, partner) = (version.change.changed_at - day.begin, version.row);
            match (version.change.operation, (rule.merged_into)(&version.state)) {
                (Operation::Delete, _) => events.push((offset, Event::PartnerDeleted { partner }, random)),
                (Operation::Update, Some(into)) => events.push((offset, Event::Merged { partner, into }, random)),
                _ => {}
            }
        }
        let own = rule.pace.moments(random.split(2), days, ordinal);
        events.extend(own.map(|(moment, bits)| (moment.offset, Event::Own, bits)));
        // Stable: what happens to an end comes before what the bridge does at the same instant.
        events.sort_by_key(|(offset, ..)| *offset);
        for (offset, event, bits) in events {
            bridge.apply(Moment { ordinal, day, offset }, &event, bits);
        }
    }
    bridge.links
}

/// The partners that a new product comes with, the first of them in the lead.
fn partners_of<A: Attributes, P: State>(
    random: Random,
    product: u32,
    moment: &Moment<'_>,
    instant: i64,
    partners: &History<P>,
    rule: &Rule<P>,
) -> Vec<Link<A>> {
    let mut links: Vec<Link<A>> = Vec::new();
    for number in 0..(rule.partners)(random) {
        let bits = random.split(u64::from(number));
        let Some(partner) = choose(bits, instant, partners, rule) else { continue };
        if links.iter().all(|link| link.partner != partner) {
            let attributes = A::new(bits.split(0)).lead(links.is_empty());
            links.push(Link { partner, product, added_on: epoch_day(moment.day.date), attributes });
        }
    }
    links
}

/// A partner that is there at an instant and takes products, the earlier ones more often.
fn choose<P: State>(random: Random, instant: i64, partners: &History<P>, rule: &Rule<P>) -> Option<u32> {
    let (mut bits, count) = (random.split(1), partners.rows_by(instant));
    (0..16).find_map(|_| {
        let partner = scale(scale(bits.high(), bits.high()), count);
        bits = bits.split(0);
        partners.known(partner, instant).is_some_and(|state| (rule.takes)(partner, state)).then_some(partner)
    })
}

struct Bridge<'a, A, P> {
    links: History<Link<A>>,
    /// The rows of each product, those that are gone as well.
    by_product: Vec<Vec<u32>>,
    partners: &'a History<P>,
    products: &'a History<Product>,
    rule: &'a Rule<P>,
}

impl<A: Attributes, P: State> Bridge<'_, A, P> {
    fn apply(&mut self, moment: Moment<'_>, event: &Event, random: Random) {
        match *event {
            Event::Launched { product } => {
                let bits = random.split(u64::from(product));
                for link in partners_of(bits, product, &moment, moment.instant(), self.partners, self.rule) {
                    self.insert(moment, link);
                }
            }
            Event::ProductDeleted { product } => {
                for row in self.of_product(product) {
                    self.links.delete(moment, row);
                }
            }
            Event::PartnerDeleted { partner } => {
                for row in self.of_partner(partner) {
                    self.remove(moment, row);
                }
            }
            Event::Merged { partner, into } => {
                for row in self.of_partner(partner) {
                    let link = self.links.newest(row).state;
                    self.links.delete(moment, row);
                    if self.is_new(into, link.product) {
                        let added_on = epoch_day(moment.day.date);
                        self.insert(moment, Link { partner: into, added_on, ..link });
                    } else {
                        self.lead(moment, link.product);
                    }
                }
            }
            Event::Own => self.own(moment, random),
        }
    }

    fn own(&mut self, moment: Moment<'_>, random: Random) {
        let (bits, kind) = (random.split(0), scale(random.high(), 100));
        if kind < 40 {
            let product = scale(bits.high(), self.products.rows_by(moment.instant()));
            let partner = choose(bits.split(0), moment.instant(), self.partners, self.rule);
            let is_there = self.products.known(product, moment.instant()).is_some();
            if let Some(partner) = partner.filter(|&partner| is_there && self.is_new(partner, product)) {
                let is_first = self.of_product(product).is_empty();
                let attributes = A::new(bits.split(1)).lead(is_first);
                let added_on = epoch_day(moment.day.date);
                self.insert(moment, Link { partner, product, added_on, attributes });
            }
            return;
        }
        let Some(row) = self.links.any(bits, |_, _| true) else { return };
        if kind < 65 {
            self.remove(moment, row);
            return;
        }
        let link = self.links.newest(row).state;
        match link.attributes.changed(bits.split(1)) {
            Some(attributes) => {
                let added_on = link.added_on - A::CORRECTION;
                let step = Step::Update(row, Link { added_on, attributes, ..link });
                self.links.take(step, moment, bits.split(2));
            }
            None => self.hand_over(moment, row),
        }
    }

    /// Makes a partner the product's first.
    fn hand_over(&mut self, moment: Moment<'_>, row: u32) {
        let link = self.links.newest(row).state;
        if link.attributes.is_lead() != Some(false) {
            return;
        }
        for other in self.of_product(link.product) {
            if self.links.newest(other).state.is_lead() {
                self.set_lead(moment, other, false);
            }
        }
        self.set_lead(moment, row, true);
    }

    fn set_lead(&mut self, moment: Moment<'_>, row: u32, lead: bool) {
        let link = self.links.newest(row).state;
        self.links.update(moment, row, Link { attributes: link.attributes.lead(lead), ..link }, moment.instant());
    }

    /// Deletes a pair; if it was the product's first, another one takes its place.
    fn remove(&mut self, moment: Moment<'_>, row: u32) {
        let product = self.links.newest(row).state.product;
        self.links.delete(moment, row);
        self.lead(moment, product);
    }

    /// Sees to it that one of the product's partners is the first, if it has any.
    fn lead(&mut self, moment: Moment<'_>, product: u32) {
        let rows = self.of_product(product);
        let leads = |row: &u32| self.links.newest(*row).state.attributes.is_lead() != Some(false);
        if let Some(&first) = rows.first()
            && !rows.iter().any(leads)
        {
            self.set_lead(moment, first, true);
        }
    }

    fn insert(&mut self, moment: Moment<'_>, link: Link<A>) {
        let row = self.links.insert(moment, link);
        self.by_product[link.product as usize].push(row);
    }

    /// The pairs of a product that are there now.
    fn of_product(&self, product: u32) -> Vec<u32> {
        let rows = self.by_product[product as usize].iter().copied();
        rows.filter(|&row| !self.links.newest(row).is_deleted()).collect()
    }

    /// The pairs of a partner that are there now.
    fn of_partner(&self, partner: u32) -> Vec<u32> {
        let is_there = |&row: &u32| {
            let version = self.links.newest(row);
            version.state.partner == partner && !version.is_deleted()
        };
        (0..self.links.rows()).filter(is_there).collect()
    }

    /// Whether a pair was never there.
    fn is_new(&self, partner: u32, product: u32) -> bool {
        self.by_product[product as usize].iter().all(|&row| self.links.newest(row).state.partner != partner)
    }
}
