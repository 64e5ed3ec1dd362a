//! Silences: which conditions people do not want to be told of for a while, and why.

use std::collections::BTreeMap;

use events::{AlertState, Micros, Silence};

/// The name under which all conditions are silenced.
pub const EVERYTHING: &str = "*";

/// How the names of conditions begin; those that end with a colon have a name of something behind
/// it.
const FAMILIES: [&str; 20] = [
    "window:",
    "watermark",
    "clock",
    "target:",
    "stopped:",
    "source",
    "nobody:",
    "run:",
    "storage:",
    "backlog:",
    "dead",
    "dead-group:",
    "unknown:",
    "older",
    "mapping",
    "mappings",
    "mapping-held",
    "field:",
    "paused:",
    "limit:",
];

/// Whether a condition may be called so.
pub fn is_condition_name(id: &str) -> bool {
    FAMILIES.iter().any(|family| match family.ends_with(':') {
        true => id.strip_prefix(family).is_some_and(|rest| !rest.is_empty()),
        false => id == *family,
    })
}

/// The silences in force at `now`, by the name of the condition; [`EVERYTHING`] is all of them.
pub fn silences(state: &AlertState, now: Micros) -> BTreeMap<&str, &Silence> {
    let in_force = state.silences.iter().filter(|(_, silence)| now < silence.until);
    in_force.map(|(id, silence)| (id.as_str(), silence)).collect()
}

/// The silence that covers a condition at `now`; of two the one that ends later.
pub fn silence_of<'a>(state: &'a AlertState, id: &str, now: Micros) -> Option<&'a Silence> {
    let covering = [id, EVERYTHING].into_iter().filter_map(|name| state.silences.get(name));
    covering.filter(|silence| now < silence.until).max_by_key(|silence| silence.until)
}

/// The state in which people are not told of a condition, or of [`EVERYTHING`]. Takes the place of
/// an earlier silence of that name.
pub fn silence(state: &AlertState, id: &str, silence: Silence) -> AlertState {
    let mut next = state.clone();
    next.silences.insert(id.to_string(), silence);
    next
}

/// The state without the silence of this name, and that silence; `None` when there is none at
/// `now`.
pub fn end_silence(state: &AlertState, id: &str, now: Micros) -> Option<(AlertState, Silence)> {
    let mut next = state.clone();
    let ended = next.silences.remove(id).filter(|silence| now < silence.until)?;
    Some((next, ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Actor;

    fn until(until: Micros) -> Silence {
        let by = Actor { user: "li".into(), host: "erp-1".into() };
        Silence { by, reason: "the ERP is moved".into(), at: 1, until }
    }

    #[test]
    fn a_condition_is_covered_by_its_own_silence_and_by_that_of_everything() {
        let state = silence(&AlertState::default(), "dead", until(10));
        let state = silence(&state, EVERYTHING, until(20));
        let end = |id: &str, now| silence_of(&state, id, now).map(|silence| silence.until);
        assert_eq!((end("dead", 9), end("watermark", 9)), (Some(20), Some(20)));
        assert_eq!((end("dead", 19), end("dead", 20)), (Some(20), None));
        assert_eq!(silences(&state, 9).into_keys().collect::<Vec<_>>(), [EVERYTHING, "dead"]);
        assert_eq!(silences(&state, 10).into_keys().collect::<Vec<_>>(), [EVERYTHING]);
    }

    #[test]
    fn only_names_of_conditions_are_names() {
        for id in ["dead", "watermark", "target:qeasy", "dead-group:e6b118f3", "backlog:write:qeasy"] {
            assert!(is_condition_name(id), "{id}");
        }
        for id in ["", "*", "ded", "target:", "target", "dead:1", "watermarks"] {
            assert!(!is_condition_name(id), "{id}");
        }
    }

    #[test]
    fn a_silence_ends_once() {
        let state = silence(&AlertState::default(), "dead", until(10));
        assert!(end_silence(&state, EVERYTHING, 5).is_none());
        assert!(end_silence(&state, "dead", 10).is_none(), "it is over");
        let (state, ended) = end_silence(&state, "dead", 5).expect("in force");
        assert_eq!(ended, until(10));
        assert!(end_silence(&state, "dead", 5).is_none());
    }
}
