//! Exact amounts: the total of an order's lines, and how a line changes from revision to revision.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A JSON number, or a string holding one; `None` for anything else, and for more digits than can be held exactly.
pub(crate) fn decimal(json: &str) -> Option<Decimal> {
    let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json).trim();
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text).ok()
    }
}

/// One order line: how many at what price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) quantity: Decimal,
    pub(crate) price: Decimal,
}

impl Line {
    /// The line as it is after so many edits of its order. Both sizes grow with every edit, so no two revisions of an
    /// order have the same total unless the line is out of range.
    pub(crate) fn revised(self, revision: u32) -> Self {
        let grow = |value: Decimal, by: Decimal| {
            if value.is_sign_negative() { value - by } else { value + by }
        };
        Self {
            quantity: grow(self.quantity, Decimal::from(revision)),
            price: grow(self.price, Decimal::new(i64::from(revision), 2)),
        }
    }

    fn total(self) -> Option<Decimal> {
        self.quantity.checked_mul(self.price)
    }
}

/// The sum of quantity × price; `None` when it does not fit.
pub(crate) fn total(lines: impl IntoIterator<Item = Line>) -> Option<Decimal> {
    lines.into_iter().try_fold(Decimal::ZERO, |sum, line| sum.checked_add(line.total()?))
}

/// Which of the lines an edit of this order changes: always the same one.
pub(crate) fn edited_line(order_hash: u64, lines: usize) -> Option<usize> {
    let count = u64::try_from(lines).ok().filter(|count| *count > 0)?;
    usize::try_from(order_hash % count).ok()
}

#[derive(Deserialize)]
struct LineLists<'a> {
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
    #[serde(borrow, default)]
    product_list: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LineText<'a> {
    #[serde(borrow, default)]
    quantity: Option<&'a RawValue>,
    #[serde(borrow, default)]
    count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    price: Option<&'a RawValue>,
    #[serde(borrow, default)]
    unit_price: Option<&'a RawValue>,
}

impl LineText<'_> {
    fn line(&self) -> Option<Line> {
        Some(Line {
            quantity: decimal(self.quantity.or(self.count)?.get())?,
            price: decimal(self.price.or(self.unit_price)?.get())?,
        })
    }
}

/// The lines of an order's JSON (`items`, or else `product_list`); `None` when they are absent or any is not a number.
pub(crate) fn lines(order: &str) -> Option<Vec<Line>> {
    let lists: LineLists<'_> = serde_json::from_str(order).ok()?;
    let rows: Vec<LineText<'_>> = serde_json::from_str(lists.items.or(lists.product_list)?.get()).ok()?;
    rows.iter().map(LineText::line).collect()
}

/// One line's JSON as numbers.
pub(crate) fn line(json: &str) -> Option<Line> {
    serde_json::from_str::<LineText<'_>>(json).ok()?.line()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_lines_add_up_exactly() {
        let own = r#"{"items":[{"quantity":3,"price":0.1},{"quantity":"2","price":"19.99"}]}"#;
        assert_eq!(total(lines(own).unwrap()), decimal("40.28"));
        let okki = r#"{"product_list":[{"count":6,"unit_price":2.55},{"count":-1,"unit_price":0.3}]}"#;
        assert_eq!(total(lines(okki).unwrap()), decimal("15.00"));
    }

    #[test]
    fn dirt_has_no_total() {
        for order in
            [r#"{"items":[{"quantity":"","price":1}]}"#, r#"{"items":null}"#, r#"{"product_list":""}"#, "[]"]
        {
            assert!(lines(order).is_none(), "{order}");
        }
    }

    #[test]
    fn every_revision_has_its_own_total() {
        for (quantity, price) in [("0", "0"), ("3", "0"), ("-2", "5.5"), ("1", "0.01")] {
            let line = Line { quantity: decimal(quantity).unwrap(), price: decimal(price).unwrap() };
            let totals =
                (0..20).map(|r| line.revised(r).total().unwrap()).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(totals.len(), 20, "{quantity} x {price}");
        }
    }
}
