//! An order as JSON: as it is, as it is after edits, or bent the way the real source bends it.

use super::change::inserted_number;
use super::{Content, Row};
use crate::civil;
use crate::draw::in_share;
use crate::faults::IdShape;
use crate::fields::{Fields, quote};
use crate::key::Key;
use crate::money;

/// How rows are bent on their way out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shape {
    pub(crate) ids: IdShape,
    /// Share of the orders (0..1) with `[]` where an object belongs.
    pub(crate) php_empties: f64,
    /// Without lines, status and custom fields.
    pub(crate) brief: bool,
}

impl Row {
    /// Appends the order's JSON.
    pub(crate) fn render(&self, out: &mut Vec<u8>, shape: Shape) {
        if shape == Shape::default() {
            return self.render_whole(out);
        }
        let mut whole = Vec::with_capacity(2048);
        self.render_whole(&mut whole);
        match std::str::from_utf8(&whole).ok().and_then(Fields::parse) {
            Some(mut fields) => {
                self.bend(&mut fields, shape);
                fields.write(out);
            }
            None => out.extend_from_slice(&whole),
        }
    }

    fn render_whole(&self, out: &mut Vec<u8>) {
        match &self.content {
            Content::Generated { generator, index } => {
                generator.render(out, *index, self.revision, self.times, self.deleted);
            }
            Content::Stored(text) if self.revision == 0 && !self.inserted && self.deleted.is_none() => {
                out.extend_from_slice(text);
            }
            Content::Stored(text) => match std::str::from_utf8(text).ok().and_then(Fields::parse) {
                Some(mut fields) => {
                    self.revise(&mut fields);
                    fields.write(out);
                }
                None => out.extend_from_slice(text),
            },
        }
    }

    /// Brings a stored order up to its revision.
    fn revise(&self, fields: &mut Fields<'_>) {
        let quoted_time = |seconds| format!("\"{}\"", civil::text(seconds));
        if self.inserted {
            fields.set("order_id", self.key.to_string());
            fields.set("order_no", quote(&inserted_number(&self.key)));
            fields.set("create_time", quoted_time(self.times.created));
        }
        // A silent edit and a deletion leave the update time as it was read, unreadable ones too.
        let read = fields.get("update_time").and_then(|raw| civil::parse(raw.trim_matches('"'))).unwrap_or(0);
        if self.inserted || read != self.times.updated {
            fields.set("update_time", quoted_time(self.times.updated));
        }
        if let Some(deleted) = self.deleted {
            fields.set("delete_time", quoted_time(deleted));
        }
        if self.revision == 0 {
            return;
        }
        fields.set("remark", quote(&format!("第 {} 次修改", self.revision)));
        let list =
            if fields.get("items").is_some_and(|items| items != "null") { "items" } else { "product_list" };
        let Some((lines, difference)) = fields.get(list).and_then(|json| self.revise_lines(json)) else {
            return;
        };
        fields.set(list, lines);
        for amount in ["amount", "product_total_amount"] {
            if let Some(before) = fields.get(amount).and_then(money::decimal) {
                fields.set(amount, (before + difference).normalize().to_string());
            }
        }
    }

    /// The lines with the edited one changed, and by how much the total grew.
    fn revise_lines(&self, json: &str) -> Option<(String, rust_decimal::Decimal)> {
        let mut lines: Vec<Fields<'_>> = serde_json::from_str(json).ok()?;
        let edited = money::edited_line(self.key.stable_hash(), lines.len())?;
        let fields = &mut lines[edited];
        let before = money::line(&fields.text())?;
        let after = before.revised(self.revision);
        let own_names = |first, second, fields: &Fields<'_>| {
            if fields.get(first).is_some() { first } else { second }
        };
        let (quantity, price) =
            (own_names("quantity", "count", fields), own_names("price", "unit_price", fields));
        fields.set(quantity, after.quantity.normalize().to_string());
        fields.set(price, after.price.normalize().to_string());
        let total = money::total([after])?;
        if fields.get("cost_amount").is_some() {
            fields.set("cost_amount", total.normalize().to_string());
        }
        let text = lines.iter().map(Fields::text).collect::<Vec<_>>().join(",");
        Some((format!("[{text}]"), total - money::total([before])?))
    }

    fn bend(&self, fields: &mut Fields<'_>, shape: Shape) {
        let hash = self.key.stable_hash();
        let as_text = match shape.ids {
            IdShape::AsIs => None,
            IdShape::Number => Some(false),
            IdShape::String => Some(true),
            IdShape::Mixed => Some(in_share(hash, 0.5)),
        };
        match (as_text, &self.key) {
            (Some(true), key) => fields.set("order_id", quote(&key.to_string())),
            (Some(false), Key::Number(number)) => fields.set("order_id", number.to_string()),
            // A text id cannot be written as a number.
            (Some(false), Key::Text(_)) | (None, _) => {}
        }
        if in_share(!hash, shape.php_empties) {
            fields.set("company", "[]".to_owned());
            fields.set("quotation_info", "[]".to_owned());
        }
        if shape.brief {
            fields.keep(|name| {
                let custom = name.bytes().all(|byte| byte.is_ascii_digit());
                !custom && !matches!(name, "items" | "product_list" | "cost_list" | "status" | "status_name")
            });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::options::Orders;
    use crate::orders::Book;
    use crate::orders::change::Change;

    const LINE: &str = r#"{"order_id":"12","order_no":"A","amount":0.7,"update_time":"2011-01-02 03:04:05","company":[],"status":1,"1101060384":"x","product_list":[{"count":2,"unit_price":0.35,"cost_amount":0.7,"unique_id":9}]}"#;

    fn file_book() -> Book {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders.ndjson");
        std::fs::write(&path, LINE).unwrap();
        Book::load(&Orders::File(path), 1).unwrap()
    }

    fn text(book: &Book, index: u32, shape: Shape) -> String {
        let mut out = Vec::new();
        book.row(index).render(&mut out, shape);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_stored_order_is_served_as_read_until_it_is_edited() {
        let mut book = file_book();
        assert_eq!(text(&book, 0, Shape::default()), LINE);
        book.apply([Change::Edit { index: 0, at: 2_000_000_000 }]);
        insta::assert_snapshot!(text(&book, 0, Shape::default()));
        let total = money::total(money::lines(&text(&book, 0, Shape::default())).unwrap());
        assert_eq!((total, total), (book.total(0, 1), money::decimal("1.08")));
    }

    #[test]
    fn a_silent_edit_and_a_deletion_leave_the_update_time_as_read() {
        let mut book = file_book();
        let changes = book.plan_silent_edits(9);
        assert_eq!(changes, [Change::Edit { index: 0, at: book.row(0).times.updated }]);
        book.apply(changes);
        book.apply([Change::Remove { index: 0, at: 2_000_000_000 }]);
        for shape in [Shape::default(), Shape { brief: true, php_empties: 1.0, ..Shape::default() }] {
            let text = text(&book, 0, shape);
            assert!(text.contains(r#""update_time":"2011-01-02 03:04:05""#), "{text}");
            assert!(text.contains(r#""remark":"第 1 次修改""#), "{text}");
            assert!(text.contains(r#""delete_time":"2033-05-18 03:33:20""#), "{text}");
        }
    }

    #[test]
    fn orders_whose_total_cannot_change_are_not_edited_silently() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders.ndjson");
        let lines = [
            r#"{"order_id":1,"product_list":[]}"#,
            r#"{"order_id":2,"update_time":"","product_list":[{"count":1,"unit_price":2}]}"#,
            r#"{"order_id":3,"product_list":[{"count":"","unit_price":2}]}"#,
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let mut book = Book::load(&Orders::File(path), 1).unwrap();
        let changes = book.plan_silent_edits(3);
        assert_eq!(book.apply(changes), [Key::Number(2)]);
        let text = text(&book, 1, Shape::default());
        assert!(
            text.contains(r#""update_time":"""#) && text.contains(r#""count":2,"unit_price":2.01"#),
            "{text}"
        );
    }

    #[test]
    fn an_inserted_order_is_a_copy_under_a_new_id() {
        let mut book = file_book();
        let changes = book.plan_inserts(2, 2_000_000_000);
        let keys = book.apply(changes);
        assert_eq!(keys, [Key::Number(19), Key::Number(26)]);
        insta::assert_snapshot!(text(&book, 2, Shape::default()));
        assert_eq!(book.find_number("NEW-26"), Some(2));
        assert_eq!(book.total(2, 0), money::decimal("0.70"));
    }

    #[test]
    fn ids_take_the_shape_asked_for() {
        let book = Book::load(&Orders::Generated { count: 64 }, 1).unwrap();
        let texts = |ids| {
            let shape = Shape { ids, ..Shape::default() };
            (0..64).filter(|index| text(&book, *index, shape).starts_with(r#"{"order_id":""#)).count()
        };
        assert_eq!((texts(IdShape::AsIs), texts(IdShape::Number), texts(IdShape::String)), (0, 0, 64));
        assert!((16..48).contains(&texts(IdShape::Mixed)));
        let numbers = Shape { ids: IdShape::Number, ..Shape::default() };
        assert!(text(&file_book(), 0, numbers).starts_with(r#"{"order_id":12,"#));
    }

    #[test]
    fn brief_rows_and_php_empties() {
        let brief = text(&file_book(), 0, Shape { brief: true, ..Shape::default() });
        for name in ["product_list", "status", "1101060384"] {
            assert!(!brief.contains(name), "{brief}");
        }
        let book = Book::load(&Orders::Generated { count: 1 }, 1).unwrap();
        let empty = text(&book, 0, Shape { php_empties: 1.0, ..Shape::default() });
        assert!(empty.contains(r#""company":[]"#) && empty.contains(r#""quotation_info":[]"#));
    }
}
