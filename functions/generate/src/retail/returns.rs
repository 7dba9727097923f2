//! Returns: some units of some lines go back for what was paid for them.
//!
//! All figures of a return are negative. What is in proportion is rounded against the customer, so a return never gives
//! back more than was paid, and all of it when every unit comes back.

use super::{
    purchases::{Totals, Transaction},
    random::{Random, scale},
    till::Discount,
};

/// Returns of everything, in a hundred.
const WHOLE: u32 = 35;

/// The return of some of a purchase: its first lines, and some units of each.
pub(super) fn returned(purchase: &Transaction, random: Random) -> Transaction {
    let count = u32::try_from(purchase.lines().len()).unwrap_or_default();
    let is_whole = scale(random.split(0).high(), 100) < WHOLE;
    let kept = if is_whole { count } else { 1 + scale(random.high(), count) };
    let units = |number: u32| {
        let bought = purchase.lines()[number as usize].quantity;
        if is_whole { bought } else { 1 + random.split(1 + u64::from(number)).below(bought) }
    };
    let mut back = purchase.clone();
    back.identifier = random.identifier();
    back.original = Some(purchase.identifier);
    back.at = purchase.change.changed_at;
    back.truncate(kept as usize);
    for (number, line) in (0..).zip(back.lines_mut()) {
        line.quantity = -units(number);
    }

    // What was paid for the lines before the discounts of the order, and how much of that goes back.
    let of_lines = |discounts: &[Discount]| -> i64 {
        discounts.iter().filter(|discount| discount.line.is_some()).map(|discount| discount.amount).sum()
    };
    let paid = purchase.totals.subtotal - of_lines(&purchase.discounts);
    back.discounts.clear();
    for discount in &purchase.discounts {
        let share = discount_of_line(purchase, &back, discount);
        back.discounts.extend(share);
    }
    let subtotal: i64 = back.lines().iter().map(super::purchases::Line::total).sum();
    let refunded = -(subtotal - of_lines(&back.discounts));
    let mut left = refunded;
    for discount in purchase.discounts.iter().filter(|discount| discount.line.is_none()) {
        let amount = share_up(discount.amount, refunded, paid).min(left);
        left -= amount;
        if amount > 0 {
            back.discounts.push(Discount { amount: -amount, ..*discount });
        }
    }
    let discount: i64 = back.discounts.iter().map(|discount| discount.amount).sum();
    let taxed = purchase.totals.subtotal - purchase.totals.discount;
    back.totals = Totals { subtotal, discount, tax: -share_down(purchase.totals.tax, left, taxed) };

    // The money goes back the way it came, the first payment first.
    let mut left = -back.totals.total();
    for payment in back.payments_mut() {
        let amount = payment.amount.min(left);
        payment.amount = -amount;
        left -= amount;
    }
    back.drop_empty_payments();
    back
}

/// What of a line's discount is lost with the units that go back; nothing when the line stays. Shares that are rounded up, one by
/// one, could come to more than the units are worth: the last ones are then less.
fn discount_of_line(purchase: &Transaction, back: &Transaction, discount: &Discount) -> Option<Discount> {
    let line = discount.line? as usize - 1;
    let returned = back.lines().get(line)?;
    let (bought, units_back) = (purchase.lines()[line].quantity, -returned.quantity);
    let lost: i64 = back.discounts.iter().filter(|other| other.line == discount.line).map(|other| other.amount).sum();
    let amount = share_up(discount.amount, units_back, bought).min(lost - returned.total());
    let units = discount.units.map(|units| -share_up(units, units_back, bought));
    (amount > 0).then_some(Discount { units, amount: -amount, ..*discount })
}

/// A part of something in proportion, rounded up.
fn share_up(whole: i64, part: i64, of: i64) -> i64 {
    -share_down(-whole, part, of)
}

/// A part of something in proportion, rounded down.
fn share_down(whole: i64, part: i64, of: i64) -> i64 {
    let exact = i128::from(whole) * i128::from(part);
    // Of nothing, nothing.
    i64::try_from(exact.div_euclid(i128::from(of.max(1)))).unwrap_or_default()
}
