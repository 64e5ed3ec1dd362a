//! The faults in force, changed while requests run.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use serde_json::Value;

use crate::Faults;
use crate::key::Key;
use crate::lock::{read, write};

/// Faults with what is derived from them once, so that no request has to.
#[derive(Debug, Default)]
pub(crate) struct Armed {
    pub(crate) faults: Faults,
    pub(crate) refused: HashSet<Key>,
}

/// Holds the faults in force.
#[derive(Default)]
pub(crate) struct Dial(RwLock<Arc<Armed>>);

impl Dial {
    pub(crate) fn new(faults: Faults) -> Self {
        Self(RwLock::new(arm(faults)))
    }

    pub(crate) fn now(&self) -> Arc<Armed> {
        Arc::clone(&read(&self.0))
    }

    pub(crate) fn set(&self, faults: Faults) {
        *write(&self.0) = arm(faults);
    }

    /// Merges a part of the faults in; on an unknown name or an impossible value nothing changes.
    pub(crate) fn patch(&self, part: Value) -> Result<Faults, String> {
        if !part.is_object() {
            return Err("give an object with source and/or target".to_owned());
        }
        let mut held = write(&self.0);
        let mut whole = serde_json::to_value(&held.faults).map_err(|error| error.to_string())?;
        merge(&mut whole, part);
        let faults: Faults = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        faults.check()?;
        *held = arm(faults.clone());
        Ok(faults)
    }
}

fn arm(faults: Faults) -> Arc<Armed> {
    let refused = faults.target.refuse.iter().filter_map(|id| Key::from_text(id)).collect();
    Arc::new(Armed { faults, refused })
}

fn merge(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (name, value) in part {
                merge(whole.entry(name).or_insert(Value::Null), value);
            }
        }
        (whole, part) => *whole = part,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_changes_only_what_it_names() {
        let dial = Dial::default();
        dial.patch(json!({"source": {"outage": true}})).unwrap();
        dial.patch(
            json!({"target": {"refuse": ["12"], "lost_answer": 0.5}, "source": {"success_code": null}}),
        )
        .unwrap();
        let armed = dial.now();
        assert!(armed.faults.source.outage && armed.faults.source.success_code.is_none());
        assert!(armed.refused.contains(&Key::Number(12)));
        dial.patch(json!({"source": {"outage": false, "success_code": 0}})).unwrap();
        assert_eq!(dial.now().faults.source.success_code, Some(0));
    }

    #[test]
    fn an_unknown_name_changes_nothing_and_tells_the_known_ones() {
        let dial = Dial::default();
        let error = dial.patch(json!({"target": {"outage": true, "lost_answers": 1}})).unwrap_err();
        assert!(error.contains("`lost_answers`") && error.contains("`lost_answer`"), "{error}");
        assert!(dial.patch(json!({"target": {"html": 1.5}})).unwrap_err().contains("target.html is 1.5"));
        assert!(
            dial.patch(json!({"source": {"detail_gone": -0.5}}))
                .unwrap_err()
                .contains("source.detail_gone is")
        );
        assert!(dial.patch(json!({"source": {"past_end": "first"}})).unwrap_err().contains("`last`"));
        assert!(dial.patch(json!([])).is_err());
        assert_eq!(dial.now().faults, Faults::default());
    }

    #[test]
    fn the_defaults_in_full() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&Faults::default()).unwrap());
    }
}
