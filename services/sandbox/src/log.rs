//! An append-only file of lines that survives the death of the process.
//!
//! Lines are handed to the system with write(2) before the request is answered; what the system has taken survives
//! `kill -9`, though not a power cut. A last line torn by the death is dropped at the next start.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::lock::lock;
use crate::options::SandboxError;

/// One log file, open for appending.
pub(crate) struct Log {
    writer: Mutex<Writer>,
}

struct Writer {
    file: File,
    /// Bytes of whole lines in the file.
    length: u64,
    waiting: Vec<u8>,
}

impl Log {
    /// Opens or creates a log, gives its whole lines to `read` and cuts a torn last line off.
    pub(crate) fn open(
        path: &Path,
        mut read: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<Self, SandboxError> {
        let failed = |source| SandboxError::File { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if whole < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - whole, "dropped a torn last line");
            file.set_len(whole as u64).map_err(failed)?;
        }
        for (number, line) in (1..).zip(bytes[..whole].split_inclusive(|byte| *byte == b'\n')) {
            std::str::from_utf8(&line[..line.len() - 1])
                .map_err(|error| error.to_string())
                .and_then(&mut read)
                .map_err(|problem| SandboxError::Line { path: PathBuf::from(path), line: number, problem })?;
        }
        file.seek(SeekFrom::Start(whole as u64)).map_err(failed)?;
        Ok(Self { writer: Mutex::new(Writer { file, length: whole as u64, waiting: Vec::new() }) })
    }

    /// Queues one line, given in parts, in the order of the calls.
    pub(crate) fn push(&self, parts: &[&[u8]]) {
        let waiting = &mut lock(&self.writer).waiting;
        for part in parts {
            waiting.extend_from_slice(part);
        }
        waiting.push(b'\n');
    }

    /// Writes what is queued. When it returns, every line pushed before is with the system: lines taken along by
    /// another request's flush were written under the same lock.
    pub(crate) fn flush(&self) -> std::io::Result<()> {
        let mut writer = lock(&self.writer);
        if writer.waiting.is_empty() {
            return Ok(());
        }
        let Writer { file, length, waiting } = &mut *writer;
        let written = file.write_all(waiting);
        match &written {
            Ok(()) => *length += waiting.len() as u64,
            Err(_) => {
                // Half a line must not run into the next one. If even this fails, so will the next write.
                let _ = file.set_len(*length).and_then(|()| file.seek(SeekFrom::Start(*length)));
            }
        }
        waiting.clear();
        written
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_dropped_and_appending_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let mut lines = Vec::new();
        let log = Log::open(&path, |line| {
            lines.push(line.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(lines, ["one", "two"]);
        log.push(&[b"th", b"ree"]);
        log.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        let error = Log::open(&path, |line| if line == "two" { Err("bad".to_owned()) } else { Ok(()) })
            .err()
            .unwrap();
        assert!(error.to_string().ends_with("x.log, line 2: bad"));
    }
}
