//! Texts of files and of the environment: what editors, shells and secret stores leave around a
//! value is taken off, and what no value can hold is refused by its place, without repeating the
//! value.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ConfigError;
use crate::plain_text::is_hidden;

/// A character that no value can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadCharacter {
    /// Its place in the value, from 1.
    place: usize,
    character: char,
}

impl fmt::Display for BadCharacter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "character {} is U+{:04X}", self.place, u32::from(self.character))?;
        let name = match self.character {
            '\0' => " (NUL: is it UTF-16 text?)",
            '\t' => " (a tab)",
            '\n' => " (a line feed)",
            '\r' => " (a carriage return)",
            '\u{a0}' => " (a no-break space)",
            '\u{200b}' => " (a zero-width space)",
            '\u{feff}' => " (a byte order mark)",
            _ => "",
        };
        f.write_str(name)
    }
}

/// The value without blanks, line ends and marks that cannot be seen around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_hidden(c))
}

/// The first character that a value of the configuration cannot hold: a control character other
/// than a tab, or a mark that cannot be seen.
pub(super) fn bad_character(text: &str) -> Option<BadCharacter> {
    first(text, |c| c != '\t' && is_hidden(c))
}

/// The first character that the value of a header cannot hold.
fn bad_character_of_header(text: &str) -> Option<BadCharacter> {
    first(text, |c| c != '\t' && (is_hidden(c) || (c.is_whitespace() && !c.is_ascii())))
}

fn first(text: &str, is_bad: impl Fn(char) -> bool) -> Option<BadCharacter> {
    let at = text.chars().position(is_bad)?;
    Some(BadCharacter { place: at + 1, character: text.chars().nth(at)? })
}

/// Refuses what cannot be the value of a header; `origin` says where it comes from.
pub(super) fn check_header_value(place: &str, origin: &str, value: &str) -> Result<(), ConfigError> {
    match bad_character_of_header(value) {
        None => Ok(()),
        Some(bad) => {
            let message = format!("{bad} in {origin}, which no header can hold; correct {origin}");
            Err(ConfigError::key(place, message))
        }
    }
}

/// What is wrong with the name of a header, when something is (RFC 9110, section 5.6.2).
pub(super) fn wrong_header_name(name: &str) -> Option<String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() {
        return Some("found nothing, expected the name of a header".into());
    }
    let bad = first(name, |c| !is_good(c))?;
    Some(format!("{bad}, expected the name of a header: letters, digits and -"))
}

/// A configuration has no more bytes.
const LARGEST_CONFIGURATION: u64 = 4 << 20;

/// A file that holds one value has no more bytes.
const LARGEST_VALUE: u64 = 64 << 10;

/// The text of the configuration. It may also come through a pipe that the shell names: `/dev/stdin`, `<(...)`.
///
/// # Errors
/// [`ConfigError`] naming the file and what it is instead; nothing of it is repeated.
pub(super) fn read_configuration(what: &str, path: &Path) -> Result<String, ConfigError> {
    refuse_what_is_no_file(what, path)?;
    read_text(what, path, LARGEST_CONFIGURATION)
}

/// Refuses what could be waited for or read without end: a named pipe, a device, a socket. A pipe that the shell names
/// (`/dev/stdin`, `<(...)`) was meant.
///
/// # Errors
/// [`ConfigError`] naming the key and the path.
pub fn refuse_what_is_no_file(what: &str, path: &Path) -> Result<(), ConfigError> {
    let is_of_shell = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|pipe| path.starts_with(pipe));
    if is_of_shell { Ok(()) } else { refuse_all_but_files(what, path) }
}

fn refuse_all_but_files(what: &str, path: &Path) -> Result<(), ConfigError> {
    // What is not there, and a folder, are errors of reading.
    let Ok(kind) = std::fs::metadata(path).map(|found| found.file_type()) else { return Ok(()) };
    if kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    let place = format!("{what} {}", path.display());
    Err(ConfigError::key(place, "found a pipe, a device or a socket, expected a regular file"))
}

/// The text of a file: UTF-8, with or without a byte order mark, and of no more than `most` bytes.
fn read_text(what: &str, path: &Path, most: u64) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|source| ConfigError::File { what: what.into(), path: path.to_path_buf(), source })?;
    if bytes.len() as u64 > most {
        let place = format!("{what} {}", path.display());
        return Err(ConfigError::key(
            place,
            format!("the file has more than {most} bytes; is it the right one?"),
        ));
    }
    let wrong = |is: &str| {
        let place = format!("{what} {}", path.display());
        Err(ConfigError::key(place, format!("the file is {is}; save it as UTF-8")))
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return wrong("UTF-16 text");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_string()),
        Err(error) => wrong(&format!("no UTF-8 text from byte {} on", error.valid_up_to() + 1)),
    }
}

/// The one value that a file holds, without what stands around it.
///
/// # Errors
/// As [`read_configuration`], and when there is nothing in it, or something that no value can hold.
pub(super) fn read_value(what: &str, path: &Path) -> Result<String, ConfigError> {
    refuse_all_but_files(what, path)?;
    let text = read_text(what, path, LARGEST_VALUE)?;
    let value = trim(&text);
    let place = || format!("{what} {}", path.display());
    if value.is_empty() {
        return Err(ConfigError::key(
            place(),
            "the file holds nothing; it must hold the value and nothing else",
        ));
    }
    match bad_character(value) {
        None => Ok(value.to_string()),
        Some(bad) => {
            let message = format!("{bad}; the file must hold the value and nothing else");
            Err(ConfigError::key(place(), message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_value_is_taken_off() {
        for text in ["s3cret", "\u{feff}s3cret\r\n", " s3cret\t", "s3cret\u{a0}", "\u{200b}s3cret\0"] {
            assert_eq!(trim(text), "s3cret", "{text:?}");
        }
        assert_eq!(trim("\u{feff}\n"), "");
    }

    #[test]
    fn a_character_that_no_value_holds_is_named_by_its_place() {
        let said = |text| bad_character(text).map(|bad| bad.to_string());
        assert_eq!(said("ab\nc").as_deref(), Some("character 3 is U+000A (a line feed)"));
        assert_eq!(said("张\u{feff}c").as_deref(), Some("character 2 is U+FEFF (a byte order mark)"));
        assert_eq!(said("\u{9b}").as_deref(), Some("character 1 is U+009B"));
        assert_eq!(said("写入 空操作\té"), None);
        let error = check_header_value("header A", "QEASY_TOKEN", "Bearer\u{a0}s3cret").expect_err("wrong");
        let error = error.to_string();
        assert!(
            error.contains("header A: character 7 is U+00A0 (a no-break space) in QEASY_TOKEN"),
            "{error}"
        );
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_header_has_a_name() {
        assert_eq!(wrong_header_name("Idempotency-Key"), None);
        for name in ["", "Authorization:", "X Key", "Schlüssel", "A\n"] {
            assert!(wrong_header_name(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_file_of_a_value_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |path: &Path| read_value("source.client_secret_file", path).expect_err("none").to_string();
        let error = read(Path::new("/dev/zero"));
        assert!(error.contains("source.client_secret_file /dev/zero: found a pipe, a device"), "{error}");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success() && read(&pipe).contains("expected a regular file"));
        let error = read_configuration("configuration", &pipe).expect_err("a pipe").to_string();
        assert!(error.contains("expected a regular file"), "{error}");
        let large = folder.path().join("large");
        std::fs::write(&large, vec![b'a'; 9 << 20]).expect("written");
        assert!(read(&large).contains("more than 65536 bytes"), "{}", read(&large));
        assert!(read(folder.path()).contains("cannot be read"));
    }

    #[test]
    fn a_file_is_utf_8_or_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            read_value("source.client_secret_file", &path).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbfs3cret\r\n").as_deref(), Ok("s3cret"));
        for (bytes, expected) in [
            (&b"\xff\xfes\x003\x00"[..], "is UTF-16 text; save it as UTF-8"),
            (b"\xfe\xff\x00s", "is UTF-16 text; save it as UTF-8"),
            (b"s\x003\x00", "character 2 is U+0000 (NUL: is it UTF-16 text?)"),
            (b"s3cr\xe9t", "no UTF-8 text from byte 5 on"),
            (b"s3cret\nother", "character 7 is U+000A (a line feed)"),
            (b" \n", "the file holds nothing"),
        ] {
            let error = read(bytes).expect_err("no value");
            assert!(error.contains(expected) && error.contains("client_secret_file"), "{error}");
            assert!(!error.contains("s3cr"), "{error}");
        }
    }
}
