//! The folder in which `orderflow up` keeps the data of its own nats-server. One process at a time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::exit::NoServer;

/// The folder, locked for this process. The lock goes with the process, however it ends.
pub struct Home {
    folder: PathBuf,
    _lock: File,
}

impl Home {
    /// Creates and locks the folder.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        std::fs::create_dir_all(folder)
            .with_context(|| t!("the data folder %{folder} cannot be created", folder = shown))?;
        let lock = File::create(folder.join("lock"))
            .with_context(|| t!("the data folder %{folder} cannot be written", folder = shown))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_path_buf(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let used = t!(
                    "another `orderflow up` uses %{folder}; stop it, or choose another folder with --data",
                    folder = shown
                );
                bail!("{used}")
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| t!("the data folder %{folder} cannot be locked", folder = shown))
            }
        }
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

/// The data folder of an `orderflow up` that does not run at the moment; `None` when there is none, or it runs.
pub fn resting(data: &Path) -> Option<Home> {
    data.join("nats").is_dir().then(|| Home::open(data).ok()).flatten()
}

/// The address of the nats-server that a running `orderflow up` started in its data folder.
pub fn running_server(data: &Path) -> anyhow::Result<String> {
    journal::local_url(&data.join("nats")).ok_or_else(|| {
        let said = t!(
            "nats.url is missing and no `orderflow up` runs in %{folder}: start it, name its folder with --data (of a demo: \
             the folder demo-... below that of `up`), or say where NATS is (ORDERFLOW_NATS__URL)",
            folder = data.display()
        );
        NoServer(said.into()).into()
    })
}
