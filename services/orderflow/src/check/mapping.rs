//! What is wrong with a mapping that compiles: slips of quotes, and what the configuration beside it does not give.

use mapping::{Plan, SlipKind, condition_slip, record_names, slips};
use secrets::address::host_of;
use service::Config;
use service::config::TargetKind;

use super::finding::{Finding, FindingLevel};

/// The domain of OKKI, whose list of orders lacks fields.
const OKKI: &str = "xiaoman.cn";

/// The slips of a mapping alone. One that is no TOML has none: it does not compile.
pub fn findings(file: &str, text: &str) -> Vec<Finding> {
    let found = slips(file, text, is_documented).unwrap_or_default();
    found.into_iter().map(|slip| told(slip.place.to_string(), slip.key.into(), slip.kind)).collect()
}

/// What a mapping and a configuration do not agree about; `file` is that of the configuration.
pub fn findings_with(config: &Config, file: &str, plan: &Plan, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut note = |level, key: String, what: String, expected: String| {
        found.push(Finding { level, file: file.to_string(), key, found: what, expected });
    };
    let is_okki = config.source.base_url.as_deref().is_some_and(|url| host_of(url).ends_with(OKKI));
    let lacking: Vec<&str> = plan.source_fields().filter(|name| okki::is_only_in_detail(name)).collect();
    if is_okki && config.source.detail.is_none() && !lacking.is_empty() {
        let what =
            t!("nothing, and the mapping reads %{fields}, which the list lacks", fields = lacking.join(", "));
        let expected = t!("[source.detail] with api = \"/v1/invoices/order/info\"");
        note(FindingLevel::Warning, "source.detail".into(), what.into(), expected.into());
    }
    if config.schedule.deleted.is_none() && text.lines().any(is_record_of_deletions) {
        let what = t!("nothing, and the mapping has on_delete = \"record\"");
        let expected = t!("[schedule.deleted], or no deletion is ever read");
        note(FindingLevel::Warning, "schedule.deleted".into(), what.into(), expected.into());
    }
    let names = record_names(text).unwrap_or_default();
    for target in &config.targets {
        let level = match target.kind {
            TargetKind::Postgres => FindingLevel::Problem,
            TargetKind::Store => FindingLevel::Warning,
            TargetKind::Execute => continue,
        };
        if !names.contains(&target.key) {
            let what = t!("\"%{key}\", which the records of the mapping do not have", key = target.key);
            let expected = t!("one of %{names}", names = names.join(", "));
            note(level, format!("target {}, key", target.name), what.into(), expected.into());
        }
    }
    let when = config.schedule.deleted.as_ref().and_then(|deleted| deleted.when.as_deref());
    let slip = when.and_then(|text| condition_slip(text, is_documented));
    found.extend(slip.map(|kind| told(file.to_string(), "schedule.deleted.when".into(), kind)));
    found
}

fn is_record_of_deletions(line: &str) -> bool {
    let value = line.strip_prefix("on_delete").map(str::trim_start).and_then(|rest| rest.strip_prefix('='));
    value.is_some_and(|value| value.trim_start().starts_with(['"', '\'']) && value.contains("record"))
}

/// Whether OKKI documents a field of that name.
fn is_documented(name: &str) -> bool {
    okki::FIELDS.contains(&name) || okki::LINE_FIELDS.contains(&name)
}

fn told(file: String, key: String, kind: SlipKind) -> Finding {
    let (level, found, expected) = match kind {
        SlipKind::QuotedExpression { text } => (
            FindingLevel::Problem,
            t!("the text \"%{text}\", which is never computed", text = text),
            t!("the same without the quotes around it; only texts stand in double quotes"),
        ),
        SlipKind::QuotedField { name } => (
            FindingLevel::Problem,
            t!("the text \"%{name}\", which is the name of a field", name = name),
            t!("%{name} without quotes, which is the field", name = name),
        ),
        SlipKind::ConstantField { name } => (
            FindingLevel::Warning,
            t!("the text \"%{name}\" for every order, which is the name of a field", name = name),
            t!("from = \"%{name}\", which is the field", name = name),
        ),
        SlipKind::BareText { name } => (
            if name.chars().any(|c| c.is_lowercase()) {
                FindingLevel::Warning
            } else {
                FindingLevel::Problem
            },
            t!("the field %{name}, which no order is known to have", name = name),
            t!("\"%{name}\" in double quotes, which is a text", name = name),
        ),
        SlipKind::NoField { text } => (
            FindingLevel::Problem,
            t!("%{text}, which is the same for every order", text = text),
            t!("a condition that reads a field, such as amount > 0"),
        ),
    };
    Finding { level, file, key, found: found.into(), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::language::in_both;

    const MAPPING: &str = "key = \"order_id\"\non_delete = \"record\"\n\
        [[when]]\nis = 'status_name != 草稿'\nreason = \"a\"\n\
        [[when]]\nis = '\"status_name != 草稿\"'\nreason = \"b\"\n\
        [[when]]\nis = '\"status_name\" != \"草稿\"'\nreason = \"c\"\n\
        [[when]]\nis = '1 == 1'\nreason = \"d\"\n\
        [[when]]\nis = 'status_name != draft'\nreason = \"e\"\n\
        [[field]]\nto = \"order_id\"\nfrom = \"order_id\"\n\
        [[field]]\nto = \"number\"\nvalue = \"order_no\"\n\
        [[deleted_field]]\nto = \"order_id\"\nfrom = \"order_id\"\n";

    fn lines(found: Vec<Finding>) -> String {
        found.iter().map(|finding| format!("{}\n", finding.text())).collect()
    }

    #[test]
    fn slips_of_quotes_are_told_with_their_line() {
        insta::assert_snapshot!(in_both(|| lines(findings("mapping.toml", MAPPING))));
    }

    #[test]
    fn what_the_configuration_lacks_for_the_mapping_is_told() {
        let text = "[source]\nbase_url = \"https://api-sandbox.xiaoman.cn\"\n\
            [[target]]\nname = \"w\"\nkind = \"postgres\"\nurl = \"postgres://u@db/x\"\ntable = \"t\"\n";
        let config = Config::parse(Path::new("orderflow.toml"), text, std::iter::empty()).expect("sound");
        let plan = Plan::compile("mapping.toml", MAPPING, &config.zone()).expect("it compiles");
        insta::assert_snapshot!(in_both(|| lines(findings_with(&config, "orderflow.toml", &plan, MAPPING))));
    }

    #[test]
    fn the_shipped_mappings_have_no_slips() {
        for text in [
            include_str!("../../../../deploy/examples/okki.mapping.toml"),
            include_str!("../../../../deploy/examples/okki-detail.mapping.toml"),
            include_str!("../../../../deploy/examples/okki-lines.mapping.toml"),
            include_str!("../../../../deploy/examples/case.mapping.toml"),
            mapping::REFERENCE,
        ] {
            assert_eq!(lines(findings("m", text)), "");
        }
    }
}
