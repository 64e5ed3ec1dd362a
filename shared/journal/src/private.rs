//! Folders and files of ours alone: what lies in them is not for other users of the machine, and
//! nothing that another user left there is taken for ours.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// What others may do with a file or folder of ours: nothing.
const OF_OTHERS: u32 = 0o077;

/// Why a file or a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// A link stands where a file or a folder of ours should be.
    #[error(
        "{} is a symbolic link that another user made, or one in place of a file of ours: move what it leads to here",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// It belongs to somebody else, who could change what lies there.
    #[error(
        "{} belongs to user {found}, and this process runs as user {expected}: run it as the owner, or give the \
         folder with all that is in it to user {expected}",
        path.display()
    )]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Its owner, as a user id.
        found: u32,
        /// Who we are.
        expected: u32,
    },
    /// Its file system knows no owners.
    #[error(
        "{} can be entered by other users (mode {mode:o}), and its file system does not change that: move the data \
         folder, with all that is in it, to another file system",
        path.display()
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A server runs there that is of an older build, or its key pair is gone.
    #[error("{} is missing: the server there is of an older build; end `orderflow up` and start it again", path.display())]
    NoIdentity {
        /// The file with the key pair.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PrivateError {
    let path = path.to_path_buf();
    move |source| PrivateError::Io { what, path, source }
}

/// Creates a folder, and those above it, for nobody but us (mode 0700). One that is there stays as
/// it is; a link to one is followed when the link is ours or the system's.
///
/// # Errors
/// [`PrivateError::Link`] when another user made the link; [`PrivateError::Io`].
pub fn create_folder(folder: &Path) -> Result<(), PrivateError> {
    if let Ok(found) = folder.symlink_metadata()
        && found.is_symlink()
        && ![0, our_user()].contains(&found.uid())
    {
        return Err(PrivateError::Link { path: folder.to_path_buf() });
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("create", folder))
}

/// Creates a folder that only we can enter, or makes one of ours such a folder.
///
/// # Errors
/// As [`create_folder`]; [`PrivateError::Foreign`] when it is another user's, [`PrivateError::Open`] when others can enter it
/// all the same.
pub fn create_private_folder(folder: &Path) -> Result<(), PrivateError> {
    create_folder(folder)?;
    if expect_folder_of(folder, our_user())? & OF_OTHERS != 0 {
        let private = Permissions::from_mode(0o700);
        std::fs::set_permissions(folder, private).map_err(io("change the mode of", folder))?;
    }
    match expect_folder_of(folder, our_user())? & 0o777 {
        mode if mode & OF_OTHERS != 0 => Err(PrivateError::Open { path: folder.to_path_buf(), mode }),
        _ => Ok(()),
    }
}

/// That what others may have put in place of a folder is ours, and no link that another user made.
/// The administrator may look into everybody's.
///
/// # Errors
/// [`PrivateError::Link`], [`PrivateError::Foreign`], [`PrivateError::Io`] when it is not there.
pub fn expect_our_folder(folder: &Path) -> Result<(), PrivateError> {
    let link = folder.symlink_metadata().map_err(io("find", folder))?;
    if link.is_symlink() && ![0, our_user()].contains(&link.uid()) {
        return Err(PrivateError::Link { path: folder.to_path_buf() });
    }
    if our_user() == 0 { Ok(()) } else { expect_folder_of(folder, our_user()).map(drop) }
}

/// The mode of a folder that belongs to this user.
fn expect_folder_of(folder: &Path, user: u32) -> Result<u32, PrivateError> {
    let found = folder.metadata().map_err(io("find", folder))?;
    if found.uid() != user {
        let (path, found) = (folder.to_path_buf(), found.uid());
        return Err(PrivateError::Foreign { path, found, expected: our_user() });
    }
    Ok(found.mode())
}

/// That a file is no link, and ours; the administrator may read everybody's.
///
/// # Errors
/// [`PrivateError::Link`], [`PrivateError::Foreign`], [`PrivateError::Io`] when it is not there.
pub fn expect_our_file(path: &Path) -> Result<(), PrivateError> {
    let found = path.symlink_metadata().map_err(io("find", path))?;
    if found.is_symlink() {
        return Err(PrivateError::Link { path: path.to_path_buf() });
    }
    if ![found.uid(), 0].contains(&our_user()) {
        let (path, found) = (path.to_path_buf(), found.uid());
        return Err(PrivateError::Foreign { path, found, expected: our_user() });
    }
    Ok(())
}

/// Opens a file for writing and leaves what is in it, or creates it (mode 0600). No link is
/// followed.
///
/// # Errors
/// [`PrivateError::Link`], [`PrivateError::Io`].
pub fn open_file(path: &Path) -> Result<File, PrivateError> {
    open(path, OpenOptions::new().write(true).create(true).truncate(false))
}

/// Writes a file that only we can read (mode 0600), whole or not at all.
///
/// # Errors
/// [`PrivateError::Io`].
pub fn write_file(path: &Path, text: &str) -> Result<(), PrivateError> {
    let beside = path.with_extension("new");
    if let Err(error) = std::fs::remove_file(&beside)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(io("replace", &beside)(error));
    }
    let mut file = open(&beside, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write to", &beside))?;
    std::fs::rename(&beside, path).map_err(io("replace", path))
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File, PrivateError> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options.mode(0o600).custom_flags(no_link).open(path).map_err(|source| {
        if path.is_symlink() {
            PrivateError::Link { path: path.to_path_buf() }
        } else {
            io("write to", path)(source)
        }
    })
}

/// The id of the user we run as.
pub(crate) fn our_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().expect("it is there").mode() & 0o777
    }

    #[test]
    fn what_is_ours_alone_has_the_mode_for_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("above/private");
        create_private_folder(&folder).expect("created");
        assert_eq!((mode(&folder), mode(&parent.path().join("above"))), (0o700, 0o700));
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("changed");
        create_private_folder(&folder).expect("made private");
        assert_eq!(mode(&folder), 0o700);

        let file = folder.join("key.pem");
        write_file(&file, "first").expect("written");
        write_file(&file, "second").expect("written over it");
        assert_eq!((std::fs::read_to_string(&file).expect("text").as_str(), mode(&file)), ("second", 0o600));
        open_file(&file).expect("opened");
        assert_eq!(std::fs::read_to_string(&file).expect("text"), "second", "nothing was cut off");
    }

    #[test]
    fn links_are_not_followed() {
        let parent = tempfile::tempdir().expect("a folder");
        let (link, victim) = (parent.path().join("lock"), parent.path().join("victim"));
        std::fs::write(&victim, "precious").expect("written");
        std::os::unix::fs::symlink(&victim, &link).expect("linked");
        assert!(matches!(open_file(&link), Err(PrivateError::Link { .. })));
        write_file(&link, "ours").expect("the link is replaced");
        assert_eq!(std::fs::read_to_string(&victim).expect("text"), "precious");

        let folder = parent.path().join("nats");
        std::os::unix::fs::symlink(parent.path(), &folder).expect("linked");
        create_private_folder(&folder).expect("the link is ours");
    }
}
