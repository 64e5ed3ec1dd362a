//! A correction is of the same order: what is corrected keeps its key, and a row also its number and its time.

use std::borrow::Cow;

use events::{Listing, MappedOrder, Micros};
use serde_json::value::RawValue;
use service::ConfigError;
use transformer::Again;

fn wrong(message: Cow<'_, str>) -> ConfigError {
    ConfigError::Key { place: t!("the record").into(), message: message.into() }
}

pub fn json(text: &str) -> Result<&RawValue, ConfigError> {
    serde_json::from_str(text).map_err(|error| wrong(t!("expected JSON: %{why}", why = error)))
}

/// A row that the mapping takes for another order, or for a state of another time, is not a correction of this one.
pub fn keeps_its_identity(
    again: &Again,
    listing: Listing,
    before: &str,
    after: &str,
) -> Result<(), ConfigError> {
    let (expected, found) = (again.identify(json(before)?, listing), again.identify(json(after)?, listing));
    if expected == found {
        return Ok(());
    }
    let told = |(key, number, version): (Option<String>, Option<String>, Option<Micros>)| {
        let version = version.map_or_else(|| "-".to_string(), |version| version.to_string());
        format!("{} ({}) @ {version}", key.as_deref().unwrap_or("-"), number.as_deref().unwrap_or("-"))
    };
    Err(wrong(t!(
        "which order it is, and of what time, cannot be edited: found %{found}, expected %{expected}",
        found = told(found),
        expected = told(expected)
    )))
}

/// A record under another key would be another order at the target. Which field is the key there is the mapping's to say, so
/// none that has the value of the key or of the number may change.
pub fn keeps_its_key(order: &MappedOrder, before: &str, after: &str) -> Result<(), ConfigError> {
    type Members<'a> = indexmap::IndexMap<String, &'a RawValue>;
    let members = |json| -> Result<Members<'_>, ConfigError> {
        serde_json::from_str(json).map_err(|error| wrong(t!("expected a JSON object: %{why}", why = error)))
    };
    let (old, new) = (members(before)?, members(after)?);
    let own = [Some(order.key.as_str()), order.number.as_deref()];
    for (name, value) in &old {
        let text = value.get().trim_matches('"');
        let found = new.get(name).map(|value| value.get().trim_matches('"'));
        if own.contains(&Some(text)) && found != Some(text) {
            let found = found.map_or_else(|| t!("nothing"), Cow::from);
            return Err(wrong(t!(
                "%{name} says which order it is: found %{found}, expected %{expected}. It cannot be edited",
                name = name,
                found = found,
                expected = text
            )));
        }
    }
    Ok(())
}
