//! Who works on the flow right now, for people.

use events::{Instance, Stage, Writing};
use jiff::tz::TimeZone;
use service::config::Target;

use crate::status::time;
use crate::summary::grouped;

/// Lines under one another begin below the first.
const UNDER: &str = "\n             ";

/// The fetchers, the transformers, and the writers of each target: those that answered just now.
pub fn shown(instances: &[Instance], targets: &[Target], partitions: u16, zone: &TimeZone) -> String {
    let of = |stage| instances.iter().filter(move |instance| instance.stage == stage);
    let mut text = format!("fetcher      {}\n", fetchers(&of(Stage::Fetch).collect::<Vec<_>>(), zone));
    text.push_str(&format!(
        "transformer  {}\n",
        transformers(&of(Stage::Transform).collect::<Vec<_>>(), zone)
    ));
    for target in targets {
        let writers: Vec<(&Instance, &Writing)> = of(Stage::Write)
            .filter_map(|instance| Some((instance, instance.writing.as_ref()?)))
            .filter(|(_, writing)| writing.target.as_str() == target.name)
            .collect();
        text.push_str(&format!("write {:<6} {}\n", target.name, writers_of(&writers, partitions, zone)));
    }
    text
}

/// The fetchers that answer, one a line, with what went wrong last.
fn fetchers(instances: &[&Instance], zone: &TimeZone) -> String {
    let line = |instance: &&Instance| {
        let Instance { host, pid, started_at, trouble, .. } = instance;
        let trouble = trouble.as_ref().map_or_else(String::new, |why| format!("{UNDER}{why}"));
        format!("{host}:{pid}  since {}{trouble}", time(*started_at, zone))
    };
    match instances {
        [] => "-".to_string(),
        some => some.iter().map(line).collect::<Vec<_>>().join(UNDER),
    }
}

/// The transformers that answer, one a line; what is wrong with a mapping they do not take stands under them.
fn transformers(instances: &[&Instance], zone: &TimeZone) -> String {
    let line = |instance: &&Instance| {
        let Instance { host, pid, mapping, started_at, .. } = instance;
        let mapping = mapping.as_deref().unwrap_or("-");
        let rejected = instance
            .mapping_rejected
            .as_ref()
            .map_or_else(String::new, |why| format!("{UNDER}does not take the newer mapping: {why}"));
        format!("{host}:{pid}  mapping {mapping}  since {}{rejected}", time(*started_at, zone))
    };
    match instances {
        [] => "-".to_string(),
        some => {
            let differ = some.windows(2).any(|two| two[0].mapping != two[1].mapping);
            let differ = differ.then(|| "they do not all use the same mapping".to_string());
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
            || "circuit closed".to_string(),
            |why| format!("circuit OPEN{UNDER}the target is left alone: {why}"),
        );
        format!(
            "{}:{}  partitions {}  {} orders, {} unknown  up to {} requests at once  since {}  {circuit}",
            instance.host,
            instance.pid,
            ranges(&held),
            sum(|held| held.orders),
            sum(|held| held.unknown),
            writing.concurrency,
            time(instance.started_at, zone),
        )
    };
    let held = |partition: &u16| {
        writers.iter().any(|(_, writing)| writing.partitions.iter().any(|held| held.partition == *partition))
    };
    let free: Vec<u16> = (0..partitions).filter(|partition| !held(partition)).collect();
    match writers {
        [] => "-".to_string(),
        some => {
            let free = (!free.is_empty()).then(|| format!("nobody holds partitions {}", ranges(&free)));
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
}
