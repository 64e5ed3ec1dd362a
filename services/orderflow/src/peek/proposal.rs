//! A mapping for the orders that were seen: what they are known by, what people want of them, their lines. Pure. It is a text to
//! begin with, so the rest of the fields stands in it as comments.

use super::fields::FieldOfOrders;

/// What a record is proposed to have: its name, the paths that may hold it, and its type.
const WANTED: [(&str, &[&str], FieldType); 10] = [
    ("orderId", &["order_id"], FieldType::Id),
    ("orderNumber", &["order_no"], FieldType::Text),
    ("customerName", &["company.name", "company_name", "customer_name"], FieldType::Text),
    ("orderDate", &["account_date", "order_date"], FieldType::Date),
    ("createTime", &["create_time"], FieldType::Datetime),
    ("updateTime", &["update_time"], FieldType::Datetime),
    ("status", &["status_name", "status"], FieldType::Text),
    ("currency", &["currency"], FieldType::Text),
    ("exchangeRate", &["exchange_rate"], FieldType::Decimal),
    ("totalAmount", &["amount"], FieldType::Decimal),
];

/// The same of a line.
const WANTED_OF_LINES: [(&str, &[&str], FieldType); 5] = [
    ("lineId", &["unique_id"], FieldType::Id),
    ("sku", &["product_no", "sku_id", "product_id", "item_id"], FieldType::Text),
    ("name", &["product_name", "name"], FieldType::Text),
    ("quantity", &["count", "quantity"], FieldType::Decimal),
    ("price", &["unit_price", "price"], FieldType::Decimal),
];

/// The lists that may hold the lines, with the names of their number and price.
const LINES: [(&str, &str, &str); 2] =
    [("product_list", "count", "unit_price"), ("items", "quantity", "price")];

/// What a value becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldType {
    /// A whole number of any length, or a text where it is none.
    Id,
    Text,
    Decimal,
    Date,
    Datetime,
}

/// The proposed mapping; `None` when no order has a value at `id`, the field that identifies an order. `number` is the field that
/// people know an order by.
pub fn mapping(fields: &[FieldOfOrders], id: &str, number: &str) -> Option<String> {
    let seen = |path: &str| fields.iter().find(|field| field.path == path && field.filled > 0);
    seen(id)?;
    let mut out = String::from(
        "# Proposed by `orderflow peek` from the first orders of the source: correct it, then `orderflow check`.\n\
         # `orderflow map reference` prints everything that a mapping can say.\n\n",
    );
    out.push_str(&format!("key = {}\n", quoted(id)));
    for (key, path) in [("number", number), ("version", "update_time")] {
        if seen(path).is_some() {
            out.push_str(&format!("{key} = {}\n", quoted(path)));
        }
    }
    let mut used = vec![id];
    for (to, paths, of) in WANTED {
        let paths: Vec<&str> = if to == "orderId" { vec![id] } else { paths.to_vec() };
        let found: Vec<&FieldOfOrders> = paths.iter().filter_map(|path| seen(path)).collect();
        if found.is_empty() {
            continue;
        }
        used.extend(found.iter().map(|field| field.path.as_str()));
        out.push_str(&format!("\n[[field]]\nto = \"{to}\"\n{}", body(&found, "", of)));
        if to == "orderId" {
            out.push_str("required = true\n");
        }
    }
    let lines = LINES.iter().find(|(list, ..)| seen(&format!("{list}[*]")).is_some());
    if let Some((list, count, price)) = lines {
        out.push_str(&lines_of(fields, list, count, price));
        used.push(list);
    }
    out.push_str(&rest(fields, &used));
    Some(out)
}

/// The field of the lines.
fn lines_of(fields: &[FieldOfOrders], list: &str, count: &str, price: &str) -> String {
    let prefix = format!("{list}[*].");
    let seen = |name: &str| {
        let path = format!("{prefix}{name}");
        fields.iter().find(|field| field.path == path && field.filled > 0)
    };
    let mut out = format!("\n[[field]]\nto = \"lines\"\neach = {}\ndefault = []\n", quoted(list));
    let start = out.len();
    for (to, names, of) in WANTED_OF_LINES {
        let found: Vec<&FieldOfOrders> = names.iter().filter_map(|name| seen(name)).take(1).collect();
        if !found.is_empty() {
            out.push_str(&format!("[[field.field]]\nto = \"{to}\"\n{}", body(&found, &prefix, of)));
        }
    }
    if seen(count).is_some() && seen(price).is_some() {
        out.push_str(&format!(
            "[[field.field]]\nto = \"amount\"\nexpr = \"{count} * {price}\"\ntype = \"decimal\"\n"
        ));
    }
    if out.len() == start { String::new() } else { out }
}

/// `from` and `type` of a field.
fn body(found: &[&FieldOfOrders], prefix: &str, of: FieldType) -> String {
    let paths: Vec<String> =
        found.iter().map(|field| quoted(field.path.strip_prefix(prefix).unwrap_or(&field.path))).collect();
    let from = match &paths[..] {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let kind = match of {
        FieldType::Id if found.iter().all(|field| is_whole(field)) => "type = \"integer\"\n",
        FieldType::Id | FieldType::Text => "",
        FieldType::Decimal => "type = \"decimal\"\n",
        FieldType::Date => "type = \"date\"\n",
        FieldType::Datetime => "type = \"datetime\"\n",
    };
    format!("from = {from}\n{kind}")
}

/// Whether all values are numbers, or texts that are, and the first one is whole.
fn is_whole(field: &FieldOfOrders) -> bool {
    let are_numbers = field.types.iter().all(|kind| ["number", "numeric_string"].contains(&kind.as_str()));
    let first = field.example.as_deref().unwrap_or_default().trim_matches('"');
    are_numbers && !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit())
}

/// The fields of the order that are not used, as comments.
fn rest(fields: &[FieldOfOrders], used: &[&str]) -> String {
    let is_left = |field: &&FieldOfOrders| {
        field.example.is_some() && !field.path.contains("[*]") && !used.contains(&field.path.as_str())
    };
    let left = fields.iter().filter(is_left).map(|field| {
        let name = field.path.replace(['.', '"'], "_");
        format!("# [[field]]\n# to = {}\n# from = {}\n", quoted(&name), quoted(&field.path))
    });
    let left: Vec<String> = left.collect();
    if left.is_empty() {
        return String::new();
    }
    format!("\n# What else the orders have:\n{}", left.concat())
}

/// A path as a TOML text. Control characters do not get out of it, and not out of a comment.
fn quoted(path: &str) -> String {
    let mut out = String::from("\"");
    for letter in path.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str, kind: &str, example: &str) -> FieldOfOrders {
        FieldOfOrders {
            path: path.into(),
            types: vec![kind.into()],
            filled: 1,
            of: 1,
            example: Some(example.into()),
        }
    }

    #[test]
    fn without_an_id_there_is_no_mapping() {
        assert_eq!(mapping(&[field("order_no", "string", "\"A\"")], "order_id", "order_no"), None);
    }

    #[test]
    fn an_id_that_is_a_text_stays_one() {
        let text = mapping(&[field("order_id", "string", "\"A-1\"")], "order_id", "order_no").expect("an id");
        assert!(text.contains("to = \"orderId\"\nfrom = \"order_id\"\nrequired = true"), "{text}");
    }

    #[test]
    fn a_hostile_name_stays_a_name() {
        let hostile = "x\"\n[[field]]\nto = \"y";
        let fields = [field("order_id", "number", "1"), field(hostile, "string", "\"A\"")];
        let text = mapping(&fields, "order_id", "order_no").expect("an id");
        let plan = ::mapping::Plan::compile("m", &text, &jiff::tz::TimeZone::UTC);
        assert_eq!(plan.expect("it compiles").source_fields().collect::<Vec<_>>(), ["order_id"]);
    }
}
