//! `condition` of the metadata as a `[[when]]` of mapping.toml: which orders are carried at all.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::function::{Operator, Sql, condition};
use super::metadata::Metadata;
use super::object::Literal;
use super::report::{Report, advice_for, holds_a_secret, is_condition, shown};
use super::scope::{Reference, Scope};
use super::template::Path;
use super::toml_text::{comment, string};

/// One comparison as it stands there.
#[derive(Debug, Deserialize)]
struct Line<'j> {
    field: String,
    logic: Option<String>,
    #[serde(borrow)]
    value: Option<&'j RawValue>,
}

/// The filters of one end, as text, and the members of the order that they read; what cannot be said is listed.
pub(super) fn filters(end: &Metadata, report: &mut Report) -> (String, Vec<String>) {
    let mut out = String::new();
    let mut reads = Vec::new();
    for (key, value) in end.unknown.iter().filter(|(key, _)| is_condition(key)) {
        let mut remarks = Vec::new();
        let made = read(value)
            .and_then(|sql| condition(&sql, &Scope::default(), &mut |remark| remarks.push(remark)));
        let place = format!("{}, `{key}`", end.file);
        match made {
            Ok((text, read)) => {
                reads.extend(read.iter().filter_map(Reference::member).map(str::to_owned));
                remarks.push(format!(
                    "{place}: within one group every line has to hold, and one group is enough; other orders are skipped"
                ));
                remarks.into_iter().for_each(|remark| report.note(remark));
                let found = format!("{key} {}", shown(key, value.text()));
                let reason = format!("{key} of {}", end.file);
                out.push_str(&format!("\n{}[[when]]\n", comment(&found)));
                out.push_str(&format!("is = {}\nreason = {}\n", string(&text), string(&reason)));
            }
            Err(why) => {
                let advice = format!("{why}; {}", advice_for(key));
                report.lose(place, shown(key, value.text()), advice);
            }
        }
    }
    (out, reads)
}

/// Groups of lines, or lines alone.
fn read(value: &Literal) -> Result<Sql, String> {
    let groups: Vec<Vec<Line<'_>>> = match serde_json::from_str(value.text()) {
        Ok(groups) => groups,
        Err(_) => vec![serde_json::from_str(value.text()).map_err(|_| "it is no list of conditions")?],
    };
    let all = |group: &Vec<Line<'_>>| {
        let lines = group.iter().map(compare).collect::<Result<Vec<_>, _>>()?;
        joined(Operator::And, lines)
    };
    let groups = groups.iter().filter(|group| !group.is_empty()).map(all);
    joined(Operator::Or, groups.collect::<Result<Vec<_>, _>>()?)
}

fn joined(operator: Operator, parts: Vec<Sql>) -> Result<Sql, String> {
    let join = |left, right| Sql::Two(operator, Box::new(left), Box::new(right));
    parts.into_iter().reduce(join).ok_or_else(|| "it is no list of conditions".into())
}

fn compare(line: &Line<'_>) -> Result<Sql, String> {
    let path = Path::read(&line.field).ok_or_else(|| format!("{:?} is no path of the order", line.field))?;
    let left = || Box::new(Sql::Value(path.clone()));
    let two = |operator| Ok(Sql::Two(operator, left(), Box::new(single(line)?)));
    let empty = |operator| Ok(Sql::Two(operator, left(), Box::new(Sql::Null)));
    let logic = line.logic.as_deref().unwrap_or("eq").to_ascii_lowercase().replace([' ', '_'], "");
    match logic.as_str() {
        "eq" | "eqv2" | "=" | "==" => two(Operator::Equal),
        "neq" | "neqv2" | "ne" | "!=" | "<>" => two(Operator::Unequal),
        "gt" | ">" => two(Operator::Greater),
        "gte" | "egt" | "ge" | ">=" => two(Operator::GreaterOrEqual),
        "lt" | "<" => two(Operator::Less),
        "lte" | "elt" | "le" | "<=" => two(Operator::LessOrEqual),
        "in" => Ok(Sql::In(left(), several(line)?)),
        "notin" | "nin" => Ok(Sql::Not(Box::new(Sql::In(left(), several(line)?)))),
        "like" => Ok(Sql::Like(left(), format!("%{}%", text(line)?))),
        "notlike" => Ok(Sql::Not(Box::new(Sql::Like(left(), format!("%{}%", text(line)?))))),
        "null" | "isnull" | "empty" => empty(Operator::Equal),
        "notnull" | "isnotnull" | "notempty" => empty(Operator::Unequal),
        other => Err(format!("the comparison {other:?} is not known here")),
    }
}

/// The value that a line compares with.
fn single(line: &Line<'_>) -> Result<Sql, String> {
    match line.value.and_then(Literal::of) {
        None => Ok(Sql::Null),
        Some(Literal::Number(digits)) => Ok(Sql::Number(digits)),
        Some(Literal::Other(_)) => Err(format!("{} is compared with a list", line.field)),
        Some(value) => plain(value.text()).map(Sql::Text),
    }
}

/// The values of a list, or of a text with commas.
fn several(line: &Line<'_>) -> Result<Vec<Sql>, String> {
    let value = line.value.and_then(Literal::of);
    match value {
        Some(Literal::Other(list)) => {
            let items: Vec<&RawValue> = serde_json::from_str(&list)
                .map_err(|_| format!("{} is compared with no list", line.field))?;
            let one = |item: &RawValue| match Literal::of(item) {
                Some(Literal::Number(digits)) => Ok(Sql::Number(digits)),
                Some(value) => plain(value.text()).map(Sql::Text),
                None => Ok(Sql::Null),
            };
            items.into_iter().map(one).collect()
        }
        Some(value) => value.text().split(',').map(|item| plain(item.trim()).map(Sql::Text)).collect(),
        None => Err(format!("{} is compared with nothing", line.field)),
    }
}

fn text(line: &Line<'_>) -> Result<String, String> {
    let value = line.value.and_then(Literal::of).ok_or_else(|| format!("{} is like nothing", line.field))?;
    plain(value.text())
}

/// A text without anything to be put in its place.
fn plain(text: &str) -> Result<String, String> {
    match text.contains("{{") || text.starts_with('_') || holds_a_secret(text) {
        true => Err("it compares with something that is no constant".into()),
        false => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(json: &str) -> String {
        match read(&Literal::Other(json.into()))
            .and_then(|sql| condition(&sql, &Scope::default(), &mut |_| {}))
        {
            Ok((text, _)) => text,
            Err(why) => format!("refused: {why}"),
        }
    }

    #[test]
    fn lines_of_a_group_hold_together_and_groups_one_or_the_other() {
        assert_eq!(is(r#"[{"field":"amount","logic":"gt","value":"0"}]"#), r#"amount > "0""#);
        assert_eq!(
            is(
                r#"[[{"field":"amount","logic":"egt","value":1},{"field":"company.name","logic":"notnull"}],[{"field":"status","value":"9"}]]"#
            ),
            r#"((amount >= 1) && (company?.name != "")) || (status == "9")"#
        );
        assert_eq!(is(r#"[[{"field":"status","logic":"in","value":"1,2"}]]"#), r#"status in ["1", "2"]"#);
        assert_eq!(
            is(r#"[[{"field":"status","logic":"not in","value":[1,"2"]}]]"#),
            r#"!(status in [1, "2"])"#
        );
        assert_eq!(
            is(r#"[[{"field":"remark","logic":"like","value":"急"}]]"#),
            r#"text(remark ?? "").contains("急")"#
        );
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        for json in [
            "[]",
            "[[]]",
            r#"{"field":"a"}"#,
            r#"[[{"field":"a b","logic":"eq","value":1}]]"#,
            r#"[[{"field":"a","logic":"matches","value":1}]]"#,
            r#"[[{"field":"a","logic":"eq","value":"{{LAST_SYNC_TIME|datetime}}"}]]"#,
            r#"[[{"field":"a","logic":"eq","value":[1]}]]"#,
        ] {
            assert!(is(json).starts_with("refused: "), "{json}: {}", is(json));
        }
    }
}
