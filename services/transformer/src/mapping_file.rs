//! The mapping file as it is now: read, compiled, and its cases run.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use mapping::{Case, CaseResult, Outcome, Plan, Text};
use service::{Config, ConfigError};

use crate::TransformError;

/// A mapping file that can be used.
#[derive(Debug, Clone)]
pub(crate) struct MappingFile {
    pub(crate) text: String,
    pub(crate) plan: Arc<Plan>,
}

/// Reads a mapping file.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub fn read_mapping(path: &Path) -> Result<String, ConfigError> {
    service::config::refuse_what_is_no_file("mapping.file", path)?;
    std::fs::read_to_string(path).map_err(|source| {
        let source = match source.kind() {
            ErrorKind::InvalidData => std::io::Error::new(source.kind(), "it is not UTF-8: save it as UTF-8"),
            _ => source,
        };
        ConfigError::File { what: "mapping.file".into(), path: path.to_path_buf(), source }
    })
}

/// Compiles a text that stands for the mapping file.
pub(crate) fn compile(config: &Config, text: &str) -> Result<Plan, TransformError> {
    let plan = Plan::compile(&config.mapping.file.display().to_string(), text, &config.zone())?;
    let when = config.schedule.deleted.as_ref().and_then(|deleted| deleted.when.as_deref());
    Ok(plan.with_deleted_when("schedule.deleted.when", when)?)
}

impl MappingFile {
    /// The file that the configuration names.
    ///
    /// # Errors
    /// When it cannot be read, a rule is wrong, or one of its cases does not come out as it expects.
    pub(crate) fn read(config: &Config) -> Result<Self, TransformError> {
        Self::of(config, read_mapping(&config.mapping.file)?)
    }

    /// A text that stands in the file.
    ///
    /// # Errors
    /// When a rule is wrong, or one of its cases does not come out as it expects.
    pub(crate) fn of(config: &Config, text: String) -> Result<Self, TransformError> {
        let plan = compile(config, &text)?;
        let file = &config.mapping.file;
        let cases =
            mapping::cases(&file.display().to_string(), &text).map_err(mapping::MappingErrors::from)?;
        for case in &cases {
            if let Some(why) = failure(case, &plan, file.parent().unwrap_or(Path::new(""))) {
                let (place, name) = (case.place.clone(), case.name.clone());
                return Err(TransformError::Case { place, name, why });
            }
        }
        Ok(Self { text, plan: Arc::new(plan) })
    }
}

/// How a case differs from what it expects, in one line; `None` when it does not.
fn failure(case: &Case, plan: &Plan, folder: &Path) -> Option<String> {
    let read = |text: &Text| match text {
        Text::Here(text) => Ok(text.clone()),
        Text::File(name) => {
            let path = folder.join(name);
            std::fs::read_to_string(&path)
                .map_err(|error| format!("the file {} cannot be read: {error}", path.display()))
        }
    };
    Some(match case.run(plan, read) {
        Ok(CaseResult::Passed) => return None,
        Ok(CaseResult::NoOrder(error)) => format!("its input is no JSON: {error}"),
        Ok(CaseResult::Marks(marks)) => format!("found the marks {marks:?}, expected {:?}", case.marks),
        Ok(CaseResult::Other(Ok(Outcome::Records(_)))) => "found another record than expected".into(),
        Ok(CaseResult::Other(Ok(Outcome::Skipped(skipped)))) => {
            format!("found it skipped: {}", skipped.reason)
        }
        Ok(CaseResult::Other(Err(error))) => format!("found an error of kind {}: {error}", error.kind()),
        Err(unreadable) => unreadable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cases: &str) -> Result<MappingFile, TransformError> {
        let config = Config::parse(Path::new("orderflow.toml"), "", std::iter::empty()).expect("defaults");
        let text = format!("key = \"id\"\n[[field]]\nto = \"no\"\nfrom = \"no\"\n{cases}");
        MappingFile::of(&config, text)
    }

    #[test]
    fn a_file_whose_case_fails_is_not_used_and_says_which() {
        let case = |expect: &str| {
            format!("[[case]]\nname = \"usual\"\ninput = '{{\"id\":1,\"no\":\"A\"}}'\nexpect = '{expect}'\n")
        };
        assert!(read("").is_ok() && read(&case(r#"{"no":"A"}"#)).is_ok());
        let error = read(&case(r#"{"no":"B"}"#)).expect_err("another record").to_string();
        assert!(error.contains("usual") && error.contains("another record"), "{error}");
        let missing = "[[case]]\nname = \"of a file\"\ninput_file = \"nowhere.json\"\nexpect = '{}'\n";
        let error = read(missing).expect_err("no such file").to_string();
        assert!(error.contains("nowhere.json cannot be read"), "{error}");
    }
}
