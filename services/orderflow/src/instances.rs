//! Who works on the flow right now, for people.

use events::{Instance, Stage, Writing};
use jiff::tz::TimeZone;
use service::config::Target;

use crate::columns::padded;
use crate::status::time;
use crate::summary::grouped;

/// So many columns are for who it is.
const LABEL: usize = 13;
/// Lines under one another begin below the first.
const UNDER: &str = "\n             ";

/// The fetchers, the transformers, and the writers of each target: those that answered just now.
pub fn shown(instances: &[Instance], targets: &[Target], partitions: u16, zone: &TimeZone) -> String {
    let of = |stage| instances.iter().filter(move |instance| instance.stage == stage);
    // The names of the stages' programs: `orderflow write` is what somebody starts.
    let line = |who: &str, text: String| format!("{}{text}\n", padded(who, LABEL));
    let mut text = line("fetcher", fetchers(&of(Stage::Fetch).collect::<Vec<_>>(), zone));
    text.push_str(&line("transformer", transformers(&of(Stage::Transform).collect::<Vec<_>>(), zone)));
    for target in targets {
        let writers: Vec<(&Instance, &Writing)> = of(Stage::Write)
            .filter_map(|instance| Some((instance, instance.writing.as_ref()?)))
            .filter(|(_, writing)| writing.target.as_str() == target.name)
            .collect();
        let who = format!("write {} ", padded(&target.name, 6));
        text.push_str(&line(&who, writers_of(&writers, partitions, zone)));
    }
    text
}

/// Where a process runs.
fn place(instance: &Instance) -> String {
    format!("{}:{}", instance.host, instance.pid)
}

/// Since when it runs.
fn since(instance: &Instance, zone: &TimeZone) -> String {
    t!("since %{time}", time = time(instance.started_at, zone)).into()
}

/// The fetchers that answer, one a line, with what went wrong last.
fn fetchers(instances: &[&Instance], zone: &TimeZone) -> String {
    let line = |instance: &&Instance| {
        let trouble = instance
            .trouble
            .as_ref()
            .map_or_else(String::new, |why| format!("{UNDER}{}", service::escape_value(why)));
        format!("{}  {}{trouble}", place(instance), since(instance, zone))
    };
    match instances {
        [] => "-".to_string(),
        some => some.iter().map(line).collect::<Vec<_>>().join(UNDER),
    }
}

/// The transformers that answer, one a line; what is wrong with a mapping they do not take stands under them.
fn transformers(instances: &[&Instance], zone: &TimeZone) -> String {
    let line = |instance: &&Instance| {
        let mapping = t!("mapping %{version}", version = instance.mapping.as_deref().unwrap_or("-"));
        let rejected = instance.mapping_rejected.as_ref().map_or_else(String::new, |why| {
            format!("{UNDER}{}", t!("does not take the newer mapping: %{why}", why = why))
        });
        let storage = instance.storage.as_ref().map_or_else(String::new, |why| format!("{UNDER}{why}"));
        format!("{}  {mapping}  {}{rejected}{storage}", place(instance), since(instance, zone))
    };
    match instances {
        [] => "-".to_string(),
        some => {
            let differ = some.windows(2).any(|two| two[0].mapping != two[1].mapping);
            let differ = differ.then(|| t!("they do not all use the same mapping").into_owned());
            some.iter().map(line).chain(differ).collect::<Vec<_>>().join(UNDER)
        }
    }
}

/// The writers of one target that answer, with the partitions they hold; what nobody holds stands under them.
fn writers_of(writers: &[(&Instance, &Writing)], partitions: u16, zone: &TimeZone) -> String {
    let line = |(instance, writing): &(&Instance, &Writing)| {
        let held: Vec<u16> = writing.partitions.iter().map(|held| held.partition).collect();
        let sum = |count: fn(&events::HeldPartition) -> Option<u64>| {
            let sum: Option<u64> = writing.partitions.iter().map(count).sum();
            sum.map_or_else(|| "-".to_string(), grouped)
        };
        let circuit = writing.trouble.as_ref().map_or_else(
            || t!("circuit closed").into_owned(),
            |why| {
                let alone = t!("the target is left alone: %{why}", why = why);
                format!("{}{UNDER}{alone}", t!("circuit OPEN"))
            },
        );
        let (orders, unknown) = (sum(|held| held.orders), sum(|held| held.unknown));
        [
            place(instance),
            t!("partitions %{numbers}", numbers = ranges(&held)).into(),
            t!("%{orders} orders, %{unknown} unknown", orders = orders, unknown = unknown).into(),
            t!("up to %{count} requests at once", count = writing.concurrency).into(),
            since(instance, zone),
            circuit,
        ]
        .join("  ")
    };
    let held = |partition: &u16| {
        writers.iter().any(|(_, writing)| writing.partitions.iter().any(|held| held.partition == *partition))
    };
    let free: Vec<u16> = (0..partitions).filter(|partition| !held(partition)).collect();
    match writers {
        [] => "-".to_string(),
        some => {
            let free = (!free.is_empty())
                .then(|| t!("nobody holds partitions %{numbers}", numbers = ranges(&free)).into_owned());
            some.iter().map(line).chain(free).collect::<Vec<_>>().join(UNDER)
        }
    }
}

/// Ascending numbers as `0-3,7`; a dash for none.
fn ranges(numbers: &[u16]) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    if numbers.is_empty() { "-".into() } else { shown.collect::<Vec<_>>().join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::in_both;
    use events::{HeldPartition, TargetName};

    fn instance(pid: u32) -> Instance {
        Instance {
            stage: Stage::Transform,
            member: "m".into(),
            host: "erp-1".into(),
            pid,
            started_at: 1_741_251_325_000_000,
            mapping: Some("0123456789abcdef".into()),
            mapping_rejected: None,
            writing: None,
            trouble: None,
            storage: None,
            trouble_since: None,
            next_attempt: None,
        }
    }

    #[test]
    fn fetchers_say_what_went_wrong_last() {
        let troubled = Instance { trouble: Some("HTTP 503".into()), ..instance(7) };
        assert_eq!(fetchers(&[], &TimeZone::UTC), "-");
        assert_eq!(
            fetchers(&[&troubled, &instance(12)], &TimeZone::UTC),
            "erp-1:7  since 2025-03-06 08:55:25+00:00\n             HTTP 503\n             \
             erp-1:12  since 2025-03-06 08:55:25+00:00"
        );
    }

    #[test]
    fn transformers_stand_under_one_another_with_what_they_do_not_take() {
        let rejecting =
            Instance { mapping_rejected: Some("mapping.toml:3: no such key".into()), ..instance(7) };
        assert_eq!(transformers(&[], &TimeZone::UTC), "-");
        assert_eq!(
            transformers(&[&rejecting, &instance(12)], &TimeZone::UTC),
            "erp-1:7  mapping 0123456789abcdef  since 2025-03-06 08:55:25+00:00\n             \
             does not take the newer mapping: mapping.toml:3: no such key\n             \
             erp-1:12  mapping 0123456789abcdef  since 2025-03-06 08:55:25+00:00"
        );
    }

    #[test]
    fn writers_say_what_they_hold_and_what_nobody_holds_is_seen() {
        let writing = |partitions: &[u16], orders, trouble: Option<&str>| Writing {
            target: TargetName::new("qeasy"),
            partitions: partitions
                .iter()
                .map(|partition| HeldPartition { partition: *partition, orders, unknown: orders.map(|_| 1) })
                .collect(),
            trouble: trouble.map(str::to_string),
            concurrency: 32,
            trouble_since: None,
            next_attempt: None,
        };
        let (one, other) = (instance(7), instance(12));
        let (first, second) =
            (writing(&[0, 1, 2, 5], Some(700), None), writing(&[3], None, Some("HTTP 503")));
        assert_eq!(
            writers_of(&[(&one, &first), (&other, &second)], 8, &TimeZone::UTC),
            "erp-1:7  partitions 0-2,5  2,800 orders, 4 unknown  up to 32 requests at once  since 2025-03-06 08:55:25+00:00  circuit closed\n             \
             erp-1:12  partitions 3  - orders, - unknown  up to 32 requests at once  since 2025-03-06 08:55:25+00:00  circuit OPEN\n             \
             the target is left alone: HTTP 503\n             nobody holds partitions 4,6-7"
        );
        assert_eq!(writers_of(&[], 8, &TimeZone::UTC), "-");
    }

    #[test]
    fn in_both_languages() {
        let writing = |partition, trouble: Option<&str>| Writing {
            target: TargetName::new("qeasy"),
            partitions: vec![HeldPartition { partition, orders: Some(1_700), unknown: Some(1) }],
            trouble: trouble.map(str::to_string),
            concurrency: 32,
            trouble_since: None,
            next_attempt: None,
        };
        let of = |stage, writing| Instance { stage, writing, ..instance(7) };
        let all = [
            Instance { stage: Stage::Fetch, trouble: Some("HTTP 503".into()), ..instance(7) },
            Instance { mapping_rejected: Some("mapping.toml:3: no such key".into()), ..instance(7) },
            Instance { mapping: Some("fedcba9876543210".into()), ..instance(8) },
            of(Stage::Write, Some(writing(0, None))),
            of(Stage::Write, Some(writing(1, Some("HTTP 503")))),
        ];
        let text = "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"http://127.0.0.1:1\"\n";
        let path = std::path::Path::new("o.toml");
        let config = service::Config::parse(path, text, std::iter::empty()).expect("a configuration");
        insta::assert_snapshot!(in_both(|| shown(&all, &config.targets, 4, &TimeZone::UTC)));
    }
}
