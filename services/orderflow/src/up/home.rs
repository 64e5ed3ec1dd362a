//! The folder in which `orderflow up` keeps the data of its own nats-server. One process at a time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use journal::LocalAddress;

use crate::exit::NoServer;

/// So long a folder in use is waited for: a killed process keeps its lock until the system has freed its memory.
const LET_GO: Duration = Duration::from_secs(5);

/// The folder, locked for this process. The lock goes with the process, however it ends.
pub struct Home {
    folder: PathBuf,
    _lock: File,
}

impl Home {
    /// Creates and locks the folder; one in use is waited for a moment.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        if let Some(bad) = unwritable(folder) {
            return Err(service::ConfigError::Key {
                place: "--data".into(),
                message: t!(
                    "%{character} in %{folder} cannot be written into the configuration of nats-server; choose another folder",
                    character = format!("{bad:?}"),
                    folder = format!("{folder:?}")
                )
                .into_owned(),
            }
            .into());
        }
        let patience = || {
            tracing::info!(folder = %shown, "the data folder is in use; waiting a moment");
            LET_GO
        };
        Self::locked(folder, patience)?.with_context(|| {
            t!(
                "another `orderflow up` uses %{folder}; stop it, or choose another folder with --data",
                folder = shown
            )
        })
    }

    /// `None`: somebody else had it all the time. `patience`, asked when the folder is in use, says how long to wait.
    fn locked(folder: &Path, patience: impl FnOnce() -> Duration) -> anyhow::Result<Option<Self>> {
        let shown = folder.display();
        journal::create_folder(folder)
            .with_context(|| t!("the data folder %{folder} cannot be created", folder = shown))?;
        let lock = journal::open_file(&folder.join("lock"))
            .with_context(|| t!("the data folder %{folder} cannot be written", folder = shown))?;
        let locked = match lock.try_lock() {
            Ok(()) => Some(Ok(lock)),
            Err(TryLockError::WouldBlock) => match patience() {
                Duration::ZERO => None,
                patience => waited(lock, patience),
            },
            Err(TryLockError::Error(error)) => Some(Err(error)),
        };
        locked
            .transpose()
            .map(|lock| lock.map(|lock| Self { folder: folder.to_path_buf(), _lock: lock }))
            .with_context(|| t!("the data folder %{folder} cannot be locked", folder = shown))
    }

    /// Where the server keeps its streams.
    pub fn nats(&self) -> PathBuf {
        self.folder.join("nats")
    }

    /// A file or folder in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A character of the folder's path that cannot be written into a configuration file as it is, or that is no text.
fn unwritable(folder: &Path) -> Option<char> {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let is_bad = |c: &char| c.is_control() || *c == char::REPLACEMENT_CHARACTER;
    whole.to_string_lossy().chars().find(is_bad)
}

/// The lock, once nobody else has it; `None` when that took too long.
fn waited(lock: File, patience: Duration) -> Option<std::io::Result<File>> {
    let (got, answer) = mpsc::channel();
    // Should it get the lock when nobody waits for it any more, the lock goes with the answer nobody took.
    std::thread::spawn(move || got.send(lock.lock().map(|()| lock)));
    answer.recv_timeout(patience).ok()
}

/// The data folder of an `orderflow up` that does not run at the moment; `None` when there is none, or it runs.
pub fn resting(data: &Path) -> Option<Home> {
    data.join("nats").is_dir().then(|| Home::locked(data, || Duration::ZERO).ok()).flatten().flatten()
}

/// How to reach the nats-server that a running `orderflow up` started in its data folder.
pub fn running_server(data: &Path) -> anyhow::Result<LocalAddress> {
    journal::local_address(&data.join("nats"))?.ok_or_else(|| {
        let said = t!(
            "nats.url is missing and no `orderflow up` runs in %{folder}: start it, name its folder with --data (of a demo: \
             the folder demo-... below that of `up`), or say where NATS is (ORDERFLOW_NATS__URL)",
            folder = data.display()
        );
        NoServer(said.into()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_had_as_soon_as_the_one_before_lets_go_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = Home::open(folder.path()).expect("nobody has it");
        let lets_go = || {
            drop(before);
            Duration::from_secs(60)
        };
        assert!(Home::locked(folder.path(), lets_go).expect("it can be locked").is_some());
    }

    #[test]
    fn of_a_folder_in_use_there_is_only_one_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Home::open(folder.path()).expect("nobody has it");
        let second = || Home::locked(folder.path(), || Duration::from_millis(1)).expect("it can be locked");
        assert!(second().is_none());
        drop(first);
        assert!(Home::open(folder.path()).is_ok(), "who gave up does not keep it");
    }
}
