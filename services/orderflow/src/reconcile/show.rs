//! A comparison as people read it.

use std::borrow::Cow;

use events::Slice;
use jiff::tz::TimeZone;
use operations::{Cause, Comparison, Unlike};

use crate::columns::padded;
use crate::status::time;

/// So many orders of each list are shown; `-o json` has all of them.
const SHOWN: usize = 20;

/// So many columns are for the name of a list.
const LIST: usize = 13;

pub(super) fn shown(found: &Comparison, range: Slice, zone: &TimeZone) -> String {
    let mut out = format!("{}\n{}\n", heading(found, range, zone), equation(found));
    if let Some(causes) = causes(found) {
        out.push_str(&format!("{causes}\n"));
    }
    for (name, list) in lists(found) {
        let name = padded(&name, LIST);
        for unlike in list.iter().take(SHOWN) {
            out.push_str(&format!("  {name} {}\n", line(unlike, zone)));
        }
        if list.len() > SHOWN {
            let more = t!("and %{count} more; -o json has all", count = list.len() - SHOWN);
            out.push_str(&format!("  {name} {more}\n"));
        }
    }
    out
}

fn heading(found: &Comparison, range: Slice, zone: &TimeZone) -> Cow<'static, str> {
    let since = time(range.since, zone);
    let until = time(range.until, zone);
    t!("%{target}, %{since} to %{until}", target = found.target, since = since, until = until)
}

/// The sum: every order of the source once.
fn equation(found: &Comparison) -> Cow<'static, str> {
    t!(
        "%{source} orders at the source = %{up_to_date} up to date + %{newer} newer at the target + %{repeat} there before + \
         %{skipped} skipped + %{edited} edited + %{missing} missing + %{stale} stale + %{other} with other content + %{older} \
         with an older update time + %{unknown} unknown + %{unmappable} that cannot be mapped + %{dead} dead + %{discarded} \
         discarded; %{extra} more that the source does not list",
        source = found.source,
        up_to_date = found.up_to_date,
        newer = found.newer,
        repeat = found.repeat,
        skipped = found.skipped,
        edited = found.edited.len(),
        missing = found.missing.len(),
        stale = found.stale.len(),
        other = found.other_content.len(),
        older = found.older_stamp.len(),
        unknown = found.unknown.len(),
        unmappable = found.unmappable.len(),
        dead = found.dead.len(),
        discarded = found.discarded.len(),
        extra = found.extra.len()
    )
}

/// How many of those with other content have which cause; `None` when there are none.
fn causes(found: &Comparison) -> Option<Cow<'static, str>> {
    let of = |cause| {
        let differing = found.other_content.iter().chain(&found.older_stamp);
        differing.filter(|unlike| unlike.cause == Some(cause)).count()
    };
    let any = !found.other_content.is_empty() || !found.older_stamp.is_empty();
    any.then(|| {
        t!(
            "of those that differ, %{source} have changed at the source, %{mapping} were written by another mapping and are what \
             they were, of %{unknown} that is not known, and %{repeat} the target refused to change (REPEAT)",
            source = of(Cause::Source),
            mapping = of(Cause::Mapping),
            unknown = of(Cause::Unknown),
            repeat = of(Cause::Repeat)
        )
    })
}

fn lists(found: &Comparison) -> [(Cow<'static, str>, &Vec<Unlike>); 10] {
    [
        (t!("missing"), &found.missing),
        (t!("stale"), &found.stale),
        (t!("other content"), &found.other_content),
        (t!("older stamp"), &found.older_stamp),
        (t!("unknown"), &found.unknown),
        (t!("unmappable"), &found.unmappable),
        (t!("dead"), &found.dead),
        (t!("discarded"), &found.discarded),
        (t!("edited"), &found.edited),
        (t!("extra"), &found.extra),
    ]
}

fn line(unlike: &Unlike, zone: &TimeZone) -> String {
    let at = |at: Option<i64>| at.map_or_else(|| "-".to_string(), |at| time(at, zone));
    let Unlike { order, source, target, cause, error, .. } = unlike;
    let states = t!(
        "%{order}  source %{source}  target %{target}",
        order = order,
        source = at(*source),
        target = at(*target)
    );
    let why = cause.map(told).or_else(|| error.clone().map(Cow::from));
    why.map_or_else(|| states.to_string(), |why| format!("{states}  {why}"))
}

/// A cause, for a person.
fn told(cause: Cause) -> Cow<'static, str> {
    match cause {
        Cause::Source => t!("changed at the source"),
        Cause::Mapping => t!("written by another mapping, not changed at the source"),
        Cause::Repeat => t!("the target said REPEAT and kept what it had"),
        Cause::Unknown => t!("written by another mapping; perhaps changed at the source as well"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_both;

    #[test]
    fn a_comparison_in_both_languages() {
        const AT: i64 = 1_741_233_600_000_000;
        let unlike = |order: u64, target| Unlike {
            order: order.to_string(),
            key: order.to_string(),
            source: Some(AT),
            target,
            cause: None,
            error: None,
            held: None,
            origin: None,
        };
        let differs = |order, target, cause| Unlike { cause: Some(cause), ..unlike(order, Some(target)) };
        let error = Some("missing_field: orderNumber".to_string());
        let found = Comparison {
            target: "qeasy".into(),
            source: 139,
            up_to_date: 95,
            newer: 1,
            repeat: 2,
            skipped: 7,
            edited: vec![unlike(5203550105, Some(AT))],
            missing: (0..23).map(|number| unlike(5203550000 + number, None)).collect(),
            stale: vec![unlike(5203550100, Some(AT - 60_000_000))],
            other_content: vec![
                differs(5203550106, AT, Cause::Source),
                differs(5203550107, AT, Cause::Mapping),
                differs(5203550108, AT, Cause::Repeat),
            ],
            older_stamp: vec![
                differs(5203550109, AT + 60_000_000, Cause::Source),
                differs(5203550110, AT + 60_000_000, Cause::Unknown),
            ],
            unknown: vec![unlike(5203550101, Some(AT))],
            unmappable: vec![Unlike { error, ..unlike(5203550111, Some(AT)) }],
            dead: vec![unlike(5203550102, None)],
            discarded: vec![unlike(5203550103, None)],
            settled: Vec::new(),
            extra: vec![Unlike { source: None, ..unlike(5203550104, Some(AT)) }],
        };
        let range = Slice { since: AT - 86_400_000_000, until: AT };
        insta::assert_snapshot!(in_both(|| shown(&found, range, &TimeZone::UTC)));
    }
}
