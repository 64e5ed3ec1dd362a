//! Files that a command writes for a person, and does not overwrite unless it is told to.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use service::ConfigError;

/// Refuses a file that is there. `flag` names what says where it is written.
///
/// # Errors
/// [`ConfigError`] that names the file.
pub fn refuse_existing(path: &Path, flag: &str) -> Result<(), ConfigError> {
    match path.symlink_metadata() {
        Ok(_) => Err(ConfigError::Key {
            place: path.display().to_string(),
            message: t!(
                "it is there already; --force overwrites it, %{flag} names another place",
                flag = flag
            )
            .into(),
        }),
        Err(_) => Ok(()),
    }
}

/// Writes a file. Without `force` one that has come to be there meanwhile is not overwritten.
///
/// # Errors
/// When it cannot be written.
pub fn write_new(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true).create_new(!force);
    let file = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    file.with_context(|| t!("%{file} cannot be written", file = path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_left_alone_without_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("orderflow.toml");
        write_new(&file, "first", false).expect("nobody has it");
        let error = refuse_existing(&file, "--out").expect_err("it is there").to_string();
        assert!(error.contains("orderflow.toml") && error.contains("--force"), "{error}");
        assert!(write_new(&file, "second", false).is_err());
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "first");
        write_new(&file, "third", true).expect("it is wanted");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "third");
    }
}
